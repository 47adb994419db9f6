# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Run the site's own escrow test, bounded, and keep one line of what it said."""

from __future__ import annotations

from typing import Any, Sequence

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_freezes, _incident_host
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, clean_lines
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError

# A test that talks more than this is read on, and what it says is dropped.
OUTPUT_LIMIT = 1024 * 1024
LINE_LIMIT = 200


class Absent(IncidentError):
    """There is no such command on this host."""


NOT_RUN: dict[str, Any] = {"state": "not_run", "exit_status": None, "seconds": 0.0, "line": "", "why": ""}


def refusal(state_dir: str, playbook: str) -> str | None:
    """Why no payment may be made now, in a sentence: a hold, or payouts that are frozen."""
    places = _incident_host.Places(state_dir=state_dir, lease_dir="")
    held = _incident_host.binding(_incident_host.read_holds(places), playbook)
    if held:
        return f"the hold '{held[0]['name']}' by {held[0]['by']} forbids it: {held[0]['reason']}"
    frozen = _incident_freezes.read_freezes(places)
    return clean_line(_incident_freezes.words(frozen[0]), LINE_LIMIT) if frozen else None


def escrow_test(argv: Sequence[str], timeout: float) -> dict[str, Any]:
    """state: proven (exit status 0 within the time) or failed. Whatever the command started ends with it."""
    ran = run(argv, timeout, limit=OUTPUT_LIMIT)
    if ran.absent and not ran.out:
        raise Absent(
            f"The command {clean_line(str(argv[0]), LINE_LIMIT)} of marketplace_escrow_test_command does not exist on this host: "
            "correct it in the inventory, or leave it empty to have the wallets only looked at."
        )
    said = clean_lines(ran.out, last=1, limit=LINE_LIMIT) or clean_lines(ran.err, last=1, limit=LINE_LIMIT)
    return {
        "state": "proven" if ran.ok else "failed",
        "exit_status": ran.status,
        "seconds": round(ran.seconds, 1),
        "line": said[0].strip() if said else "",
        "why": f"it did not end within {timeout:g} s" if ran.timed_out else "" if ran.ok else f"exit status {ran.status}",
    }
