# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says of a database: cause, what was done, what was measured, and how old its backup is."""

from __future__ import annotations

import json
from typing import Any

from unit.plugins.database_plans import HEALTH, POOL_ERROR, decide, facts, holder, pool, says, service

from ansible_collections.monero_marketplace.incident.plugins.filter.sqlite_integrity_report import sqlite_integrity_report
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_report import backup_line, proof
from ansible_collections.monero_marketplace.incident.plugins.module_utils._outcome import judge
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import summary

GOOD = {"role": "database", "good": True, "created": "2026-11-24T01:00:00Z", "age_seconds": 1200.0, "problem": None}


def backups(**more: Any) -> dict[str, Any]:
    return {"backups": [{**GOOD, **more}]}


def well() -> dict[str, Any]:
    found = facts()
    for one in found["compose"]["endpoints"]:
        one.update(status=200, body=json.dumps({"status": "ok", "database": {"status": "ok", "write_seconds": 0.0041}}))
    return found


def locked() -> dict[str, Any]:
    found = says(facts(), "database: database is locked")
    found["sqlite"]["state"] = "locked"
    found["sqlite"]["holders"].append(holder(4121, "sqlite3", ["write"]))
    found["prometheus"] = pool(10, 10)
    service(found, "server")["said"] = {POOL_ERROR: 212}
    return found


def told(before: dict[str, Any], after: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"first": decide(before), "before": before, "after": after, "backups": backups(), "health_url": HEALTH}
    return sqlite_integrity_report(decide(after, **more.pop("site", {})), **{**given, **more})


def test_a_lock_that_was_ended() -> None:
    found = told(locked(), well(), done=["confirmed end_lock_holder:4121: it ended within 0.2 s"])
    assert found["settled"] and found["escalate"] == []
    assert "pid 4121 (sqlite3, user deploy, since 01:52:10 UTC) holds a write lock" in found["causes"][0]
    assert '212 "Failed to get DB connection" in 15 min' in " ".join(found["causes"])
    assert found["did"] == ["confirmed end_lock_holder:4121: it ended within 0.2 s"]
    assert found["proof"] == ["write probe 4 ms", "quick check of a copy ok, invariants 1/1", "WAL 402 KiB"]
    assert found["backup"] == ["newest good 01:00 (20 m 00 s old, RPO 1 h 00 m)"]
    assert found["next"] == []


def test_an_old_backup_is_a_breach_with_the_command_for_a_new_one() -> None:
    found = told(well(), well(), backups=backups(age_seconds=4440.0))
    assert found["backup"] == ["newest good 01:00 (1 h 14 m old: RPO 1 h 00 m BREACHED)"]
    assert found["next"] == ["ansible-playbook playbooks/backup.yml"]
    assert told(locked(), locked(), backups=backups(age_seconds=4440.0))["next"] == []


def test_none_that_is_good_is_said_and_nothing_is_where_nobody_looked() -> None:
    bad = {**GOOD, "good": False, "problem": "it does not decrypt"}
    assert backup_line({"backups": [bad]}, 3600) == (["no good backup of the database is known: RPO BREACHED"], True)
    assert backup_line({"backups": []}, 3600)[1]
    assert backup_line({}, 3600) == ([], False) == backup_line(None, 3600)
    lines, breached = backup_line({"backups": [bad, GOOD]}, 3600)
    listed, _breached = backup_line({"backups": [{**GOOD, "good": None}]}, 3600)
    assert listed == ["newest 01:00 (20 m 00 s old, RPO 1 h 00 m, good: unproven)"]
    assert lines[1] == "1 newer not good: it does not decrypt" and not breached


def test_nothing_is_proven_that_was_not_measured() -> None:
    found = facts()
    found["sqlite"] = {"state": "suspect", "problem": "torn"}
    for one in found["compose"]["endpoints"]:
        one["body"] = "{}"
    assert proof(found, HEALTH) == []


def test_damage_pages_the_database_team_and_hands_over() -> None:
    found = facts()
    found["sqlite"].update(state="page_damage", sentences=["47 pages of orders are damaged"])
    report = told(found, found)
    assert report["page"].startswith("Database Team, CTO")
    assert report["next"] == ["ansible-playbook playbooks/data_corruption.yml"]


def run(findings: dict[str, Any], **more: Any) -> dict[str, Any]:
    return judge({"host": "market-1", "playbook": "database", "findings": findings, **more})


def test_the_summary_has_the_line_of_the_backup() -> None:
    found = told(locked(), well(), backups=backups(age_seconds=4440.0), done=["confirmed end_lock_holder:4121"])
    text = summary(run(found, acted=True, proof={"verdict": "proven", "sentences": ["GET 200 ×5"]}), {"incident": "INC-1"})
    labels = [line.split(" ")[0] for line in text.splitlines() if not line.startswith(" ")]
    assert labels == ["DATABASE", "cause", "did", "proof", "backup", "record", "next"]
    assert "RPO 1 h 00 m BREACHED" in text and "write probe 4 ms" in text and "GET 200 ×5" in text


def test_the_refusal_says_what_to_type() -> None:
    result = run(told(locked(), locked()))
    assert result["outcome"] == "needs_confirmation"
    assert "-e confirm=end_lock_holder:4121" in result["next"][0]


def test_a_healthy_run_of_many_hosts_is_one_line_unless_its_backup_is_too_old() -> None:
    good = run(told(well(), well()), proof={"verdict": "proven", "sentences": ["GET 200 ×5"]})
    assert good["outcome"] == "healthy" and len(summary(good, brief=True).splitlines()) == 1
    old = run(told(well(), well(), backups=backups(age_seconds=9000.0)), proof={"verdict": "proven", "sentences": []})
    assert "BREACHED" in summary(old, brief=True)
