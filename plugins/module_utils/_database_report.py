# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What role incident is told about a database, a plan for it and what became of it."""

from __future__ import annotations

import json
from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _diagnosis_changes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_causes import PAGE
from ansible_collections.monero_marketplace.incident.plugins.module_utils._health_report import (
    causes_of,
    clock_risk,
    plan_of,
    stray,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import clock, duration

BACKUP = "ansible-playbook playbooks/backup.yml"


def report(
    first: dict[str, Any],
    last: dict[str, Any],
    before: dict[str, Any],
    after: dict[str, Any],
    kept: list[dict[str, Any]],
    problems: list[str],
    done: list[str],
    given: list[str],
    backups: Mapping[str, Any] | None,
    rpo_seconds: float,
    health_url: str = "",
    clock_ahead: float = 0.0,
) -> dict[str, Any]:
    """The findings of a run, in sentences. before and after are the facts of the first look and of the last one."""
    escalate = [{"sentence": one["sentence"]} for one in last["escalate"]]
    if not last["settled"]:
        escalate += [{"sentence": problem} for problem in problems]
        problems = []
    moved = _diagnosis_changes.changes(before["compose"], after["compose"])
    causes = causes_of(first, last)
    symptoms = [one for one in first["symptoms"] if not any(one in cause for cause in causes)]
    backup, breached = backup_line(backups, rpo_seconds)
    return {
        "settled": last["settled"],
        "serving": last["serving"],
        "causes": causes + ([f"seen: {', '.join(symptoms)}"] if causes and symptoms else []),
        "plan": plan_of(first) + [f"wait for {one['for']}" for one in first["waiting"]],
        "confirm": last["confirm"],
        "stray_confirmations": stray(given, first["confirm"] + last["confirm"]),
        "escalate": escalate,
        "did": done + moved["did"],
        "untouched": moved["untouched"],
        "kept": kept,
        "risk": problems
        + list(dict.fromkeys([*first["risks"], *last["risks"]] if not last["settled"] else last["risks"]))
        + clock_risk(clock_ahead),
        "proof": proof(after, health_url),
        "backup": backup,
        "next": _next(last, breached),
        "log": {one["service"]: one["log"] for one in last["escalate"] if one.get("log") and one["service"]},
        "page": "Database Team, CTO, Incident Commander" if last["suspected"] else "Database Team, Incident Commander",
    }


def _next(last: Mapping[str, Any], breached: bool) -> list[str]:
    follow = list(last["hand_over"])
    if breached and not last["escalate"] and not last["confirm"]:
        follow.append(BACKUP)
    return follow + ([f"read {PAGE}"] if last["escalate"] and not follow else [])


def proof(facts: Mapping[str, Any], health_url: str) -> list[str]:
    """What was measured of the database itself, beside what role service_verify proves; nothing that was not asked."""
    sqlite = facts.get("sqlite") or {}
    said = []
    seconds = _write_seconds(facts["compose"], health_url)
    if seconds is not None:
        said.append(f"write probe {1000 * seconds:.0f} ms")
    if sqlite.get("state") == "ok":
        said.append(f"{sqlite.get('check') or 'quick'} check of a copy ok{_invariants(sqlite)}")
    size = (sqlite.get("wal") or {}).get("bytes")
    if isinstance(size, int):
        said.append(f"WAL {human_bytes(size)}")
    return said


def _write_seconds(compose: Mapping[str, Any], health_url: str) -> float | None:
    body = next((one.get("body") for one in compose["endpoints"] if one["url"] == health_url), "")
    try:
        said = json.loads(body or "")
    except ValueError:
        return None
    database = said.get("database") if isinstance(said, dict) else None
    seconds = database.get("write_seconds") if isinstance(database, dict) else None
    return float(seconds) if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) else None


def _invariants(sqlite: Mapping[str, Any]) -> str:
    told = sqlite.get("invariants") or {}
    good = [one for one in told.values() if not one.get("problem") and not one.get("rows")]
    return f", invariants {len(good)}/{len(told)}" if told else ""


def backup_line(backups: Mapping[str, Any] | None, rpo_seconds: float) -> tuple[list[str], bool]:
    """The newest good backup of the database and its age against the target; whether that is missed."""
    if not backups:
        return [], False
    listed = [one for one in backups.get("backups") or [] if one.get("role") in (None, "database")]
    # A listing does not open them: nothing wrong is known of it then, and no more.
    newest = next((one for one in listed if one.get("good") or (one.get("good") is None and not one.get("problem"))), None)
    if newest is None:
        return ["no good backup of the database is known: RPO BREACHED"], True
    age = newest.get("age_seconds")
    made = epoch(newest.get("created"))
    at = f" {clock(made, '%H:%M')}" if made is not None else ""
    what = f"{'newest good' if newest.get('good') else 'newest'}{at}"
    unproven = "" if newest.get("good") else ", good: unproven"
    if not isinstance(age, (int, float)):
        return [f"{what} (age unknown{unproven})"], False
    breached = age > rpo_seconds
    target = f": RPO {duration(rpo_seconds)} BREACHED" if breached else f", RPO {duration(rpo_seconds)}"
    line = f"{what} ({duration(age)} old{target}{unproven})"
    later = [one for one in listed[: listed.index(newest)] if one.get("problem")]
    return [line] + ([f"{len(later)} newer not good: {clean_line(str(later[0]['problem']), 120)}"] if later else []), breached
