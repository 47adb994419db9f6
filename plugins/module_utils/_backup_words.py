# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What a run says of its backups, and the pins it leaves of the signers."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import duration

HOUR = 3600


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _short(sha256: Any) -> str:
    return f"sha256 {str(sha256)[:8]}…" if sha256 else "no sha256"


def _did(one: dict[str, Any]) -> str:
    what = f"{_count(len(one['wallets']), 'wallet')}, {human_bytes(one['bytes'])}, {_short(one['sha256'])}"
    if one["state"] == "made":
        return f"{one['role']}: {what}, {one['seconds']:.1f} s"
    return f"{one['role']}: nothing, the archive of {duration(one['age_seconds'])} ago holds the same ({what})"


def _proof(made: list[dict[str, Any]]) -> list[str]:
    decrypted = [one["role"] for one in made if one["verified"] == "decrypted"]
    sealed = [one["role"] for one in made if one["verified"] == "checksum"]
    found = []
    if decrypted:
        found.append(f"{', '.join(decrypted)}: decrypted again, each file equal to what was read")
    if sealed:
        found.append(f"{', '.join(sealed)}: NOT decrypted, as the secret key is not on this host")
    unstored = [
        f"{one['role']}/{wallet['name']}" for one in made for wallet in one["wallets"] if wallet.get("consistent") == "unstored"
    ]
    stored = sum(wallet.get("consistent") == "stored" for one in made for wallet in one["wallets"])
    if stored and not unstored:
        found.append(f"{_count(stored, 'open wallet')} stored first")
    return found


def _retention(made: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """What was done, and what could not be."""
    told = [one for one in made if one.get("retention")]
    removed = sum(len(one["retention"]["removed"]) for one in told)
    kept = sum(one["retention"]["kept"] for one in told)
    why = sorted({one["retention"]["why"] for one in told if one["retention"]["why"]})
    done = (
        [f"{_count(removed, 'old archive')} removed, {kept} kept"]
        if removed
        else [f"{_count(kept, 'archive')} kept"]
        if told
        else []
    )
    return done, [f"nothing old was removed: {clean_line(one, 200)}" for one in why]


def _plan(
    found: dict[str, Any], planned: list[dict[str, Any]], roles: list[str], overdue_hours: int
) -> tuple[list[str], list[str]]:
    """What a run would do, and which role has no young archive."""
    plan, overdue = [], []
    fresh = {one["role"] for one in planned if one["state"] == "fresh"}
    for role in roles:
        newest = next((one for one in found.get("backups") or [] if one["role"] == role), None)
        if newest is None:
            plan.append(f"back up {role}'s wallets, of which there is no archive")
            overdue.append(f"{role} has NO archive")
            continue
        age = duration(newest["age_seconds"])
        if role not in fresh:
            plan.append(f"back up {role}'s wallets (newest archive {age} old, {_short(newest['sha256'])})")
        if newest["age_seconds"] > overdue_hours * HOUR:
            overdue.append(f"{role}'s newest archive is {age} old, more than {overdue_hours} h")
    return plan, overdue


def report(
    found: dict[str, Any], made: dict[str, Any], roles: list[str], host: str, overdue_hours: int, pins: dict[str, Any]
) -> dict[str, Any]:
    """Findings for a run's end: what it did, or, where nothing was made yet, what it would do."""
    backups = made.get("backups") or []
    planned = not any(one["state"] == "made" or one["retention"] for one in backups)
    plan, overdue = _plan(found, backups, roles, overdue_hours)
    broken = [clean_line(one["problem"], 300) for one in found.get("backups") or [] if one["problem"]]
    notes = [clean_line(note, 300) for one in backups for note in one["notes"]]
    done = [one for one in backups if one["state"] in ("made", "fresh")]
    failed = [one for one in backups if one["state"] == "failed"]
    if planned and not failed:
        did = [] if plan else [*map(_did, done)]
        return {
            "verb": True, "settled": not plan, "plan": plan, "did": did, "risk": overdue + notes + broken, "escalate": [], "next": [],
            "proof": [],
        }  # fmt: skip
    kept, held = _retention(done)
    more = [str(pins["problem"])] if pins.get("problem") else []
    again = f"ansible-playbook playbooks/backup.yml --limit {host}"
    return {
        "verb": not failed,
        "settled": not failed,
        "plan": plan if planned else [],
        "did": [*map(_did, done), *kept],
        "risk": [*(pins.get("differ") or []), *notes, *held, *more, *broken],
        "escalate": [{"sentence": clean_line(one["problem"], 400)} for one in failed],
        "next": [again] if failed else [],
        "proof": _proof([one for one in done if one["state"] == "made"]),
    }


def _pins(text: str, host: str) -> dict[str, Any] | None:
    """What the desk's file says; None where it cannot be understood."""
    try:
        known = json.loads(text) if text.strip() else {"format": 1, "host": host, "wallets": {}}
        there = known["wallets"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    sound = isinstance(there, dict) and all(isinstance(names, dict) for names in there.values())
    return dict(known) if sound else None


def pin_of(text: str, host: str, role: str, wallet: str, signer: str) -> dict[str, Any]:
    """What a wallet's keys are pinned to: the inventory's, else the desk's, and nothing where they contradict each other."""
    known = _pins(text, host)
    if known is None:
        return {
            "pin": "",
            "problem": f"The pins of {host} on the desk cannot be understood: look at pins/wallets/{host}.json there before keys are restored.",
        }
    there = known["wallets"].get(role, {}).get(wallet)
    desk = str(there.get("keys_sha256") or "") if isinstance(there, dict) else ""
    if desk and signer and desk.lower() != signer.lower():
        return {
            "pin": "",
            "problem": (
                f"The {role}'s {clean_line(wallet, 60)} is pinned to {_short(signer)} in the inventory (marketplace_wallets[].signer), and to "
                f"{_short(desk)} on the desk (pins/wallets/{host}.json): find out which is right, and correct the other before keys are restored."
            ),
        }
    return {"pin": signer or desk, "problem": ""}


def pinned(text: str, backups: list[dict[str, Any]], host: str) -> dict[str, Any]:
    """Pins of a host with those of wallets that had none. What is pinned stays: only a person can say that keys may be others."""
    known = _pins(text, host)
    if known is None:
        return {
            "text": text, "added": [], "differ": [],
            "problem": f"the pins of {host} on the desk cannot be understood and were left alone: look at pins/wallets/{host}.json",
        }  # fmt: skip
    there = known["wallets"]
    added, differ = [], []
    for one in backups:
        if one["state"] not in ("made", "fresh"):
            continue
        for wallet in one["wallets"]:
            pin = there.setdefault(one["role"], {}).get(wallet["name"])
            if pin is None:
                there[one["role"]][wallet["name"]] = {"keys_sha256": wallet["keys_sha256"], "since": one["created"]}
                added.append(f"{one['role']}/{wallet['name']}")
            elif pin.get("keys_sha256") != wallet["keys_sha256"]:
                differ.append(
                    f"the keys of {one['role']}/{clean_line(wallet['name'], 60)} ({_short(wallet['keys_sha256'])}) are NOT the ones pinned "
                    f"{pin.get('since')} ({_short(pin.get('keys_sha256'))}): find out who changed them before anything is restored"
                )
    return {"text": json.dumps(known, sort_keys=True, indent=1) + "\n", "added": added, "differ": differ, "problem": ""}
