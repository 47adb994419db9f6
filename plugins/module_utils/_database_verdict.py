# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What the look at a frozen database settles: sound, damaged, or nothing."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Mapping, Sequence

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_damage import WRONG_VALUES
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_look import DAMAGE

# A restore would mend none of them: the file may be whole.
NO_DAMAGE = {
    "encrypted": "nobody can look into it here: the target needs the Python package sqlcipher3 and marketplace_database_key",
    "encrypted_wrong_key": "marketplace_database_key does not open it, which looks like damage and is none: find the right key, restore nothing",
    "locked": "a lock is left on it: ansible-playbook playbooks/database.yml",
    "unfinished": "its check did not end in time: raise sqlite_integrity_check_seconds",
    "changed": "somebody still writes to it, from another host or past its name: find out who",
    "suspect": "it could not be told",
}


def verdict(
    sqlite: Mapping[str, Any], strangers: Sequence[Mapping[str, Any]] = (), unsettled: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """state: sound, damaged or unproven. stays: whether the database stays frozen, as damage was seen.

    unsettled: damage was seen in an earlier run, and nobody has compared since. Then it stays, however whole it looks. Where it lives in
    a kept copy, it is whole because its newest part is gone, and nobody mended it.
    """
    found = _judged(sqlite, strangers)
    if unsettled and found["state"] == "sound" and unsettled.get("lives_in"):
        said = (
            f"{sqlite.get('path') or 'the database'} is of an older moment: what was in files that had lost their names is only in "
            f"{clean_line(str(unsettled['lives_in']), 300)} and beside it"
        )
        older = {**sqlite, "state": "deleted_but_open", "sentences": [said]}
        return {**found, "sqlite": older, "state": "damaged", "stays": True, "sentences": [said]}
    if unsettled and not found["stays"]:
        why = f"{found['why']}; " if found["why"] else ""
        return {**found, "stays": True, "why": f"{why}it was damaged before, and was not compared with the chain since"}
    return found


def _thaw(state: str, sentences: Sequence[str], sqlite: Mapping[str, Any]) -> str:
    """The word that a person gives to go on with values that are wrong or look so, and these only; nobody goes on with a file that is broken."""
    if state not in WRONG_VALUES and not (sqlite.get("damage") or {}).get("doubtful"):
        return ""
    seen = [state, list(sentences), (sqlite.get("damage") or {}).get("foreign_keys"), sqlite.get("invariants")]
    return f"thaw:database-{hashlib.sha256(json.dumps(seen, sort_keys=True, default=str).encode()).hexdigest()[:6]}"


def _judged(sqlite: Mapping[str, Any], strangers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    state = str(sqlite.get("state") or "unknown")
    sentences = [clean_line(str(one), 300) for one in sqlite.get("sentences") or []]
    found: dict[str, Any] = {
        "sqlite": dict(sqlite),
        "kept": [],
        "kept_database": "",
        "sentences": sentences,
        "why": "",
        "thaw": "",
    }
    # Once is enough to keep the writers away from it.
    seen = state == "disagree" or any(one in DAMAGE for one in sqlite.get("looks") or [])
    said = clean_line(str(sqlite.get("problem") or ""), 300).rstrip(".")
    if strangers:
        named = ", ".join(
            f"{clean_line(str(one['command'] or ''), 60) or 'a process'} (pid {one['pid']})" for one in strangers[:5]
        )
        return {
            **found,
            "state": "unproven",
            "stays": seen or state not in ("ok", *NO_DAMAGE),
            "why": f"{named} has the database open and is in no container, so it could not be held still: end it, then run the same command again",
        }
    if state == "ok":
        return {**found, "state": "sound", "stays": False}
    if state in NO_DAMAGE:
        why = NO_DAMAGE[state] + (f" ({said})" if said and state in ("changed", "suspect") else "")
        return {**found, "state": "unproven", "stays": seen, "why": why}
    if sqlite.get("certain"):
        return {**found, "state": "damaged", "stays": True, "thaw": _thaw(state, sentences, sqlite)}
    why = "two looks at the frozen database did not agree" if seen else "the frozen database could not be examined"
    why += (f" ({said})" if said else "") + ": run the same command again"
    return {**found, "state": "unproven", "stays": True, "why": why}
