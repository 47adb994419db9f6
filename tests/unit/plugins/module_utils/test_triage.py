# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Severity, playbook and whom to page from recorded looks; and a text that says unknown for what is missing."""

from __future__ import annotations

import os
from typing import Any

import pytest
from unit.plugins.plans import HEALTH, PUBLIC, Looks, decide, service

from ansible_collections.monero_marketplace.incident.plugins.filter import triage_report
from ansible_collections.monero_marketplace.incident.plugins.module_utils._triage import ALERTS
from ansible_collections.monero_marketplace.incident.plugins.module_utils._triage_words import triage

SITE = {
    "server_service": "server",
    "database_service": "database",
    "proxy_service": "nginx",
    "daemon_service": "monerod",
    "wallet_services": ["monero-wallet-rpc-buyer", "monero-wallet-rpc-vendor", "monero-wallet-rpc-arbiter"],
    "health_url": HEALTH,
    "public_url": PUBLIC,
    "error_ratio_limit": 0.05,
}
HOSTILE = "{{ lookup('pipe','touch /tmp/x') }}\n\x1b[31mred\x00"


def sample(value: Any, **labels: str) -> dict[str, Any]:
    return {"labels": labels, "value": value, "time": 0.0}


def told(**results: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "answered": True,
        "results": {name: {"samples": samples, "series": [], "problem": None} for name, samples in results.items()},
    }


def gone(look: dict[str, Any], name: str) -> None:
    """One more service, that exited a moment ago."""
    one = {**service(look, "database"), "name": name, "depends_on": [], "waits_for": []}
    one.update(state="exited", exit_code=137, health="unknown", finished_at=look["taken_at"])
    look["services"].append(one)


def facts(look: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    seen = {"compose": look, "plan": decide(look), "clock": look["clock"]} if look else {}
    return {"host": "market-1", "site": SITE, **seen, **more}


def line(text: str, label: str) -> str:
    return next(one for one in text.splitlines() if one.startswith(label.ljust(7)))


@pytest.mark.parametrize(
    ("fault", "severity"),
    [
        ("containers_exited", "P1"),
        ("stack_down", "P1"),
        ("docker_stopped", "P1"),
        ("hung", "P1"),
        ("paused", "P1"),
        ("crash_loop", "P1"),
        ("image_missing", "P1"),
        ("disk_full", "P2"),
        ("docker_hung", "P2"),
    ],
)
def test_severity_follows_what_customers_see(recorded_look: Looks, fault: str, severity: str) -> None:
    found = triage(facts(recorded_look(fault)))
    assert (found["severity"], found["playbook"]) == (severity, "outage"), found["text"]
    assert "ansible-playbook playbooks/outage.yml --limit market-1" in line(found["text"], "next")


def test_who_is_kept_out_of_the_database_is_its_own_playbooks(recorded_look: Looks) -> None:
    found = triage(facts(recorded_look("unhealthy"), built=["outage", "database"]))
    assert (found["severity"], found["playbook"]) == ("P1", "database")
    assert "ansible-playbook playbooks/database.yml --limit market-1" in line(found["text"], "next")
    look = recorded_look("unhealthy")
    service(look, "server").update(state="exited", health="none", exit_code=1, finished_at=look["taken_at"])
    assert triage(facts(look))["playbook"] == "outage"
    locked = {"state": "locked", "path": "/data/marketplace.db", "lock_problem": "sqlite3 (pid 4121) keeps it locked"}
    found = triage(facts(recorded_look("healthy"), signing=locked))
    assert (found["severity"], found["playbook"]) == ("P2", "database")


def test_a_database_service_that_alone_is_down_is_its_own_playbooks(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    service(look, "database").update(state="exited", exit_code=0, health="none", finished_at=look["taken_at"])
    assert triage(facts(look))["playbook"] == "database"


@pytest.mark.parametrize("state", ["missing", "empty", "deleted_but_open", "page_damage", "wal_damage", "invariant_damage"])
def test_a_copy_that_is_damaged_stops_every_repair(recorded_look: Looks, state: str) -> None:
    found = triage(facts(recorded_look("healthy"), signing={"state": state, "path": "/data/marketplace.db"}))
    assert (found["severity"], found["playbook"]) == ("P1", "data_corruption")
    for unsure in ("suspect", "unreadable", "encrypted", "encrypted_wrong_key", "ok"):
        assert triage(facts(recorded_look("healthy"), signing={"state": unsure}))["playbook"] is None


def test_nothing_wrong_proposes_nothing(recorded_look: Looks) -> None:
    found = triage(facts(recorded_look("healthy"), prometheus=told(alerts=[])))
    assert (found["severity"], found["playbook"], found["page"]) == (None, None, [])
    assert "UP for customers" in line(found["text"], "site")
    assert line(found["text"], "next").endswith("nothing to do")


def test_a_host_of_which_nothing_is_seen_is_taken_for_the_worst() -> None:
    found = triage(facts(None, problem="The folder /opt/x does not exist."))
    assert (found["severity"], found["seen"], found["playbook"]) == ("P1", False, "outage")
    assert "The folder /opt/x does not exist." in line(found["text"], "cause")
    also = triage(facts(None, problem="The folder /opt/x does not exist.", signing={"state": "missing", "path": "/data/x.db"}))
    assert also["playbook"] == "outage", "a database is not lost because its disk is not there"


def test_what_is_missing_is_unknown(recorded_look: Looks) -> None:
    text = triage(facts(recorded_look("healthy")))["text"]
    for label in ("site", "money", "data", "recent", "alerts", "holds", "record"):
        assert "unknown" in line(text, label), label
    assert "0.0 %" not in line(text, "site")


def test_one_wallet_is_a_matter_of_its_own_playbook(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    gone(look, "monero-wallet-rpc-vendor")
    found = triage(facts(look))
    assert (found["severity"], found["playbook"]) == ("P2", "monero_rpc")
    assert "playbooks/" not in line(found["text"], "next"), "a playbook that is not there is proposed as a command"


def test_wallets_that_come_up_after_a_reboot_are_not_the_matter(recorded_look: Looks) -> None:
    look = recorded_look("host_rebooted")
    for one in look["services"]:
        if one["name"].startswith("monero-wallet"):
            one.update(state="running", health="starting")
    assert triage(facts(look))["playbook"] == "outage"


def test_monitoring_alone_hurts_no_customer(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    gone(look, "prometheus")
    assert triage(facts(look))["severity"] == "P3"


def test_errors_count_only_with_enough_requests(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    many = triage(facts(look, prometheus=told(alerts=[], requests=[sample(1000.0)], errors=[sample(80.0)])))
    assert (many["severity"], many["playbook"]) == ("P2", "error_rate")
    few = triage(facts(look, prometheus=told(alerts=[], requests=[sample(10.0)], errors=[sample(8.0)])))
    assert few["severity"] is None and "errors unknown" in few["text"]


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_of_the_handbook_leads_to_its_playbook(recorded_look: Looks, name: str) -> None:
    firing = sample(1.0, alertname=name, alertstate="firing", severity="P2")
    assert triage(facts(recorded_look("healthy"), prometheus=told(alerts=[firing])))["playbook"] == ALERTS[name]


def test_alerts_have_their_beginning_and_silences_their_author(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    prometheus = told(
        alerts=[sample(1.0, alertname="ServiceDown", alertstate="firing", severity="P1", instance="site")],
        alerts_since=[sample(look["clock"] - 90, alertname="ServiceDown", severity="P1", instance="site")],
    )
    silence = {
        "status": {"state": "active"},
        "matchers": [{"name": "alertname", "value": "DiskFull"}],
        "createdBy": "alice",
        "endsAt": "2026",
    }
    found = triage(facts(look, prometheus=prometheus, silences=[silence, {"status": {"state": "expired"}}]))
    assert "ServiceDown site firing since 1 m 30 s" in line(found["text"], "alerts")
    assert "alertname=DiskFull by alice until 2026" in line(found["text"], "alerts")
    assert found["severity"] == "P2", "an alert outlives its cause"


def test_whom_to_page(recorded_look: Looks) -> None:
    assert "nobody yet" in triage(facts(recorded_look("containers_exited")))["page"][0]
    assert "Incident Commander" in triage(facts(recorded_look("crash_loop")))["page"][0]
    look = recorded_look("healthy")
    service(look, "database").update(state="exited", exit_code=1, health="unknown", finished_at=look["taken_at"])
    assert any("Database Team" in one for one in triage(facts(look))["page"])
    assert "docker.com" in line(triage(facts(recorded_look("docker_hung")))["text"], "page")


def test_holds_lease_and_record_are_told(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    binding = {
        "lease": None,
        "freezes": [],
        "holds": [{"name": "payout-freeze", "by": "alice", "since": "02:00", "reason": "audit", "playbooks": []}],
    }
    desk = {"incidents": [], "open_incident": {"id": "INC-20261124-0200", "status": "open", "opened": look["taken_at"]}}
    text = triage(facts(look, binding=binding, desk=desk))["text"]
    assert "payouts held (payout-freeze)" in line(text, "money")
    assert "payout-freeze by alice" in line(text, "holds") and "lease free" in line(text, "holds")
    assert "INC-20261124-0200" in line(text, "record")


def test_text_from_outside_stays_text(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    changes = {
        "commits": [{"commit": "abc", "time": look["clock"] - 60, "subject": HOSTILE}],
        "edited": [HOSTILE],
        "setting": {"path": f"/opt/{HOSTILE}", "time": look["clock"]},
        "backups": [{"directory": HOSTILE, "path": HOSTILE, "time": None, "bytes": 0, "problem": HOSTILE}],
    }
    prometheus = told(alerts=[sample(1.0, alertname=HOSTILE, alertstate="firing", severity=HOSTILE, instance=HOSTILE * 1000)])
    text = triage(
        facts(
            look,
            changes=changes,
            prometheus=prometheus,
            silences=HOSTILE,
            desk={"incidents": [], "open_incident": {"id": HOSTILE}},
        )
    )["text"]
    assert "\x1b" not in text and "\x00" not in text
    assert all(len(one) < 4000 for one in text.splitlines())
    assert len(text.splitlines()) == 10


def firing(*names: str, **labels: str) -> list[dict[str, Any]]:
    return [sample(1.0, alertname=name, alertstate="firing", severity="P1", **labels) for name in names]


def test_a_breach_comes_before_every_repair(recorded_look: Looks) -> None:
    found = triage(facts(recorded_look("containers_exited"), prometheus=told(alerts=firing("UnauthorizedAccess"))))
    assert (found["severity"], found["playbook"]) == ("P1", "security_breach")
    assert "Security Team" in found["page"][0] and "outage.yml" not in line(found["text"], "next")
    desk = {"incidents": [], "open_incident": {"id": "INC-1", "title": "security_breach"}}
    assert triage(facts(recorded_look("healthy"), desk=desk))["playbook"] == "security_breach"


def test_a_word_of_damage_stops_every_repair(recorded_look: Looks) -> None:
    look = recorded_look("unhealthy")
    service(look, "server")["log"] = ["sqlite3.DatabaseError: database disk image is malformed"]
    found = triage(facts(look))
    assert (found["severity"], found["playbook"]) == ("P1", "data_corruption")
    assert [one.partition(":")[0] for one in found["page"]] == ["Database Team", "CTO", "Incident Commander"]
    assert line(found["text"], "next").startswith("next   read docs/data_corruption.md")


def probed(look: dict[str, Any], *values: float, age: float = 0.0) -> dict[str, Any]:
    points = [[look["clock"] - age - 2.0 * (len(values) - number), value] for number, value in enumerate(values)]
    answer = told(alerts=[])
    answer["results"]["probe"] = {"samples": [], "series": [{"labels": {}, "points": points}], "problem": None}
    return answer


def test_customers_are_believed_before_the_host(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    found = triage(facts(look, prometheus=probed(look, 1, 1, 0, 0, 0, 0, 0, 0)))
    assert (found["severity"], found["playbook"], found["customers_served"]) == ("P1", "outage", False)
    assert "DOWN for customers since" in line(found["text"], "site") and "cloudflare" in line(found["text"], "page")
    for calm in (probed(look, 1, 0, 0, 0), probed(look, *[0] * 8, 1), probed(look, 1, *[0] * 8, age=3600)):
        assert triage(facts(look, prometheus=calm))["customers_served"] is True


def test_two_silent_wallets_are_funds_out_of_reach(recorded_look: Looks) -> None:
    def silent(*wallets: str) -> dict[str, Any]:
        return told(
            alerts=[one for name in wallets for one in firing("WalletRPCUnreachable", wallet=name, instance="server:8080")]
        )

    one = triage(facts(recorded_look("healthy"), prometheus=silent("buyer")))
    two = triage(facts(recorded_look("healthy"), prometheus=silent("buyer", "vendor")))
    assert (one["severity"], one["playbook"]) == ("P2", "monero_rpc")
    assert (two["severity"], two["playbook"]) == ("P1", "monero_rpc") and "1 of 3 wallets answer" in two["reason"]


def test_a_database_that_takes_no_writes_is_critical(recorded_look: Looks) -> None:
    prometheus = told(alerts=firing("DatabaseUnavailable"), database=[sample(0)])
    found = triage(facts(recorded_look("healthy"), prometheus=prometheus))
    assert (found["severity"], found["playbook"]) == ("P1", "database")


def test_a_person_knows_better_and_says_why(recorded_look: Looks) -> None:
    look = recorded_look("containers_exited")
    found = triage(facts(look, severity="P3", severity_reason="a rehearsal", responder="alice"))
    assert (found["severity"], found["proposed_severity"]) == ("P3", "P1")
    assert found["text"].startswith("TRIAGE market-1 · P3 by alice: a rehearsal (the facts: P1, customers are not served)")
    assert "-e incident_severity=P3" in line(found["text"], "next")
    for wrong in ({"severity": "P3"}, {"severity": "P9", "severity_reason": "because"}):
        with pytest.raises(ValueError, match="triage_severity"):
            triage(facts(look, **wrong))


def test_what_binds_the_host_binds_the_proposal(recorded_look: Looks) -> None:
    lease = {
        "in_force": True,
        "responder": "alice",
        "controller": "c",
        "playbook": "outage",
        "since": "02:00",
        "until": "02:15",
    }
    hold = {"name": "evidence", "by": "bob", "since": "01:00", "reason": "a copy is taken", "playbooks": ["outage"]}
    other = {**hold, "playbooks": ["rollback"]}
    for binding, proposed in (({"lease": lease}, "status"), ({"holds": [hold]}, "status"), ({"holds": [other]}, "outage")):
        text = triage(facts(recorded_look("containers_exited"), binding={"holds": [], "lease": None, **binding}))["text"]
        assert f"playbooks/{proposed}.yml" in line(text, "next")


def test_a_host_that_gives_no_answer_still_gets_its_lines() -> None:
    found = triage(
        facts(
            None,
            unreachable={"sentence": "market-1 does not answer.", "next": "ping market-1; then the hoster's console"},
            desk={"incidents": [], "open_incident": {"id": "INC-1", "status": "open"}},
        )
    )
    assert (found["severity"], found["seen"]) == ("P1", False)
    assert "does not answer" in line(found["text"], "cause") and "INC-1" in line(found["text"], "record")
    assert line(found["text"], "next") == "next   ping market-1; then the hoster's console"


def test_the_clock_of_acknowledgement_runs(recorded_look: Looks) -> None:
    look = recorded_look("containers_exited")
    prometheus = told(
        alerts=firing("ServiceDown"), alerts_since=[sample(look["clock"] - 60, alertname="ServiceDown", severity="P1")]
    )
    assert "(P1: 15 m 00 s; 14 m 00 s left)" in line(triage(facts(look, prometheus=prometheus))["text"], "record")
    desk = {"incidents": [], "open_incident": {"id": "INC-1", "status": "open", "opened": "2026-11-23T00:00:00Z"}}
    assert "LATE unless it was" in line(triage(facts(look, desk=desk))["text"], "record")


def test_what_is_proposed_as_a_command_is_there() -> None:
    assert {"outage", "status"} <= {path.removesuffix(".yml") for path in os.listdir(triage_report.PLAYBOOKS)}


def test_ages_are_known_also_where_docker_is_not() -> None:
    changes = {"commits": [{"commit": "abc1234", "time": 940.0, "subject": "a change"}]}
    told = facts(None, binding={"clock": 1000.0, "holds": [], "lease": None}, changes=changes)
    assert "abc1234 1 m 00 s ago" in line(triage_report.triage_report(told)["text"], "recent")
