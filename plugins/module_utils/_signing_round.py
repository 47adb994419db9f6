# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Whether a signing round is open, by what the application's database answered. A pure function; what nobody knows may be open."""

from __future__ import annotations

from typing import Any, Mapping

NO_QUERY = "marketplace_open_signing_query is empty, so nothing proves that no signing round is open"
# States in which a sound copy was asked: without a check, and with one.
ASKED = ("read", "ok", "locked")
SHOWN = 5


def judge(said: Mapping[str, Any] | None, no_query: bool = False) -> tuple[str, str]:
    """None, open or unknown, and in words from where that is known."""
    if no_query:
        return "unknown", NO_QUERY
    if not said:
        return "unknown", "nobody asked the database for open signing rounds yet"
    if said.get("state") not in ASKED:
        return "unknown", f"whether a signing round is open is unknown: {said.get('problem') or said.get('state')}"
    answer = (said.get("queries") or {}).get("signing") or {}
    if answer.get("problem"):
        return "unknown", f"whether a signing round is open is unknown: {answer['problem']}"
    rows = answer.get("rows")
    if not isinstance(rows, list):
        return "unknown", "whether a signing round is open is unknown: the query gave no answer"
    if rows or answer.get("more"):
        names = ", ".join(str(row[0]) for row in rows[:SHOWN] if row)
        rest = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
        return "open", f"a signing round is open for {names or 'an escrow'}{rest}: its nonces are in the wallets' caches"
    return "none", "no signing round is open (by a sound copy of the database)"
