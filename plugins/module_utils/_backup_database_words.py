# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What a run says of the database's backup, and of the proof that backups can be restored."""

from __future__ import annotations

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import duration

# An archive for each hour: what is wrong with more of them is in what the module returned.
TOLD = 3


def count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def short(sha256: Any) -> str:
    return f"sha256 {str(sha256)[:8]}…" if sha256 else "no sha256"


def _did(one: dict[str, Any]) -> str:
    image = one["manifest"].get("image") or {}
    tables = image.get("tables") or {}
    rows = sum(number for number in tables.values() if isinstance(number, int))
    what = f"{human_bytes(image.get('bytes') or 0)} in {human_bytes(one['bytes'])}, {count(len(tables), 'table')}, {count(rows, 'row')}, {short(one['sha256'])}"
    if one["state"] == "made":
        how = f", read in {one['image_seconds']:.2f} s" if one.get("image_seconds") is not None else ""
        return f"database: {what}{how}, {one['seconds']:.1f} s in all"
    return f"database: nothing, the archive of {duration(one['age_seconds'])} ago is young enough ({what})"


def _proof(one: dict[str, Any]) -> str:
    image = one["manifest"].get("image") or {}
    checked = {"ok": "checked with its foreign keys and invariants", "encrypted": "NOT checked, as it is encrypted"}
    said = checked.get(str(image.get("state")), "checked, and NOT known to be right in all")
    if one["verified"] == "decrypted":
        return f"database: image of one moment {said}, decrypted again, equal to what was read"
    return f"database: image of one moment {said}, NOT decrypted, as the secret key is not on this host"


def _newest(found: dict[str, Any]) -> dict[str, Any] | None:
    """The newest archive of which nothing bad is known."""
    good = (found.get("newest_good") or {}).get("database")
    for one in found.get("backups") or []:
        if one["path"] == good or (
            good is None and not one["problem"] and one["good"] is not False and one["age_seconds"] >= 0
        ):
            return dict(one)
    return None


def _late(found: dict[str, Any], rpo_seconds: int) -> list[str]:
    newest = _newest(found)
    if newest is None:
        return ["the database has NO archive"]
    if newest["age_seconds"] > rpo_seconds:
        return [
            f"the database's newest archive is {duration(newest['age_seconds'])} old: RPO of {duration(rpo_seconds)} BREACHED"
        ]
    return []


def report(found: dict[str, Any], made: dict[str, Any], host: str, rpo_seconds: int) -> dict[str, Any]:
    """Findings for a run's end: what it did, or, where nothing was made yet, what it would do."""
    one = next(iter(made.get("backups") or []), None)
    problems = [clean_line(each["problem"], 300) for each in found.get("backups") or [] if each["problem"]]
    broken = problems[:TOLD] + (
        [f"{len(problems) - TOLD} more archives of the database have a problem"] if problems[TOLD:] else []
    )
    done = one is not None and (one["state"] == "made" or one["retention"] is not None)
    if one is not None and one["state"] == "failed":
        again = f"ansible-playbook playbooks/backup.yml --limit {host}"
        sentence = {"sentence": clean_line(one["problem"], 400)}
        return {
            **_empty(),
            "verb": False,
            "settled": False,
            "risk": _late(found, rpo_seconds) + broken,
            "escalate": [sentence],
            "next": [again],
        }
    if one is None or not done:
        fresh = one is not None and one["state"] == "fresh"
        newest = _newest(found)
        what = (
            f"newest archive {duration(newest['age_seconds'])} old, {short(newest['sha256'])}"
            if newest
            else "of which there is no archive"
        )
        plan = [] if fresh else [f"back up the database ({what})"]
        notes = [clean_line(note, 300) for note in one["notes"]] if one else []
        did = [_did(one)] if one is not None and fresh else []
        return {**_empty(), "settled": not plan, "plan": plan, "did": did, "risk": _late(found, rpo_seconds) + notes + broken}
    retention = one["retention"] or {"removed": [], "kept": 0, "why": ""}
    gone = len(retention["removed"])
    kept = f"{gone} old archives of the database removed, {retention['kept']} kept" if gone else ""
    held = [f"nothing old was removed: {clean_line(retention['why'], 200)}"] if retention["why"] else []
    proof = [_proof(one)] if one["state"] == "made" else []
    return {
        **_empty(), "did": [_did(one), *([kept] if kept else [])], "risk": [clean_line(note, 300) for note in one["notes"]] + held + broken,
        "proof": proof,
    }  # fmt: skip


def _empty() -> dict[str, Any]:
    return {
        "verb": True, "settled": True, "plan": [], "did": [], "risk": [], "escalate": [], "next": [], "proof": [],
    }  # fmt: skip


def both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Findings about two kinds as one. A command that comes next is said once."""
    lists = {name: list(dict.fromkeys([*one[name], *other[name]])) for name in ("plan", "did", "risk", "next", "proof")}
    return {
        **lists, "verb": one["verb"] and other["verb"], "settled": one["settled"] and other["settled"],
        "escalate": [*one["escalate"], *other["escalate"]],
    }  # fmt: skip


def proven(
    found: dict[str, Any], wallets: dict[str, Any], roles: list[str], rpo_seconds: int, rto_seconds: int
) -> dict[str, Any]:
    """Findings about a proof: what was restored into scratch, how long that took, how old it is; empty `found` where it was not asked."""
    findings = _empty()
    if found:
        _prove(findings, found, "database", rpo_seconds, rto_seconds)
    for role in roles:
        _prove(findings, wallets, role, 0, 0)
    findings["verb"] = findings["settled"] = not findings["escalate"]
    return findings


def _prove(findings: dict[str, Any], found: dict[str, Any], role: str, rpo_seconds: int, rto_seconds: int) -> None:
    path = (found.get("newest_good") or {}).get(role)
    mine = [one for one in found.get("backups") or [] if role in (one.get("roles") or [one["role"]])]
    one = next((each for each in mine if each["path"] == path), None)
    problems = [clean_line(each["problem"], 300) for each in mine if each["problem"]][:TOLD]
    whose = "the database" if role == "database" else role
    if one is None:
        findings["escalate"].append(
            {"sentence": f"No archive of {whose} can be restored: {problems[0] if problems else 'there is none'}"}
        )
        return
    seconds = sum((one.get("seconds") or {}).values())
    done = "restored into scratch and checked" if role == "database" else "decrypted to its end"
    findings["proof"].append(f"{role}: {done} in {seconds:.1f} s, {duration(max(0, one['age_seconds']))} old")
    findings["risk"] += problems
    if rpo_seconds and one["age_seconds"] > rpo_seconds:
        findings["risk"].append(
            f"{whose}'s newest good archive is {duration(one['age_seconds'])} old: RPO of {duration(rpo_seconds)} BREACHED"
        )
    if rto_seconds and seconds > rto_seconds:
        findings["risk"].append(
            f"decrypting and checking {whose}'s archive alone takes {duration(seconds)}: RTO of {duration(rto_seconds)} BREACHED"
        )
