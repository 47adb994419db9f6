# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What triage makes of wallets, daemon, freezes and signing rounds, from real answers of each state."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from unit.plugins.plans import HEALTH, PUBLIC, Looks, decide, exit_now, service

from ansible_collections.monero_marketplace.incident.plugins.filter.triage_report import triage_report
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import frozen_services
from ansible_collections.monero_marketplace.incident.plugins.module_utils._triage_words import triage

SITE = {
    "server_service": "server",
    "database_service": "database",
    "proxy_service": "nginx",
    "health_url": HEALTH,
    "public_url": PUBLIC,
    "daemon_service": "monerod",
    "wallet_services": ["monero-wallet-rpc-buyer"],
}
FREEZE = {
    "name": "payouts",
    "since": "2026-11-24T02:14:09Z",
    "by": "alice",
    "reason": "an import is needed",
    "services": ["server"],
}


def told(look: dict[str, Any], **more: Any) -> dict[str, Any]:
    return triage({"host": "market-1", "site": SITE, "compose": look, "plan": decide(look), "clock": look["clock"], **more})


def line(text: str, label: str) -> str:
    return next(one for one in text.splitlines() if one.startswith(label.ljust(7)))


@pytest.mark.parametrize(
    ("answer", "severity", "words"),
    [
        ("healthy", None, "wallets 3/3 ready · daemon synchronized"),
        ("wallet_hung", "P2", "not_responding"),
        ("wallet_closed", "P2", "no_wallet_open"),
        ("wallet_wrong", "P2", "wrong_wallet"),
        ("wallet_auth", "P2", "auth_required"),
        ("keys_locked", "P2", "keys_locked"),
        ("daemon_hung", "P1", "daemon not_responding"),
    ],
)
def test_wallets_and_daemon_are_asked_themselves(recorded_look: Looks, answer: str, severity: str | None, words: str) -> None:
    found = told(recorded_look("healthy"), monero=recorded_look(f"monero_{answer}"))
    assert found["severity"] == severity, found["text"]
    assert found["playbook"] == (None if severity is None else "monero_rpc")
    assert words in line(found["text"], "money")
    if severity:
        assert "is " in line(found["text"], "cause") and "no cause seen" not in found["text"]


def test_a_wallet_that_the_application_opens_as_it_needs_it_may_be_closed(recorded_look: Looks) -> None:
    monero = recorded_look("monero_wallet_closed")
    for one in monero["wallets"]:
        one["open"] = "on_demand"
    assert told(recorded_look("healthy"), monero=monero)["severity"] is None


def test_two_wallets_that_cannot_be_used_are_funds_out_of_reach(recorded_look: Looks) -> None:
    monero = recorded_look("monero_healthy")
    for one in monero["wallets"][:2]:
        one.update(state="keys_locked", evidence=["/data/wallets/x.keys is locked by pid 7"])
    found = told(recorded_look("healthy"), monero=monero)
    assert (found["severity"], found["playbook"]) == ("P1", "monero_rpc")
    assert "escrow funds are out of reach: 1 of 3 wallets can be used, 2 must sign" in found["text"]
    assert "locked by pid 7" in line(found["text"], "cause")


def test_funds_are_no_less_out_of_reach_where_the_cause_is_known(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    exit_now(look, "monerod")
    found = told(look, monero=recorded_look("monero_daemon_down"))
    assert found["severity"] == "P1"
    assert "0 of 3 wallets can be used" in found["reason"] and "monerod" in found["reason"]


def test_somebody_who_is_sick_beside_it_is_no_reason_why_funds_are_out_of_reach(recorded_look: Looks) -> None:
    look, monero = recorded_look("healthy"), recorded_look("monero_healthy")
    for one in monero["wallets"][:2]:
        one.update(state="keys_locked", evidence=["/data/wallets/x.keys is locked by pid 7"])
    look["services"].append({**deepcopy(service(look, "database")), "name": "grafana"})
    exit_now(look, "grafana")
    found = told(look, monero=monero)
    assert "grafana" in line(found["text"], "cause")
    assert (found["severity"], found["playbook"]) == ("P1", "monero_rpc") and "grafana" not in found["reason"]
    assert "Incident Commander: no playbook ends this alone" in line(found["text"], "page")
    exit_now(look, "server")
    found = told(look, monero=monero)
    assert found["playbook"] == "outage" and "no playbook ends this alone" in line(found["text"], "page")
    look = recorded_look("healthy")
    look["endpoints"][0].update(status=503)
    assert told(look, monero=monero)["playbook"] == "outage", "nobody is sick, and customers are not served"


def test_what_the_services_show_comes_before_the_wallets(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    exit_now(look, "server")
    assert told(look, monero=recorded_look("monero_wallet_hung"))["playbook"] == "outage"


def database(state: str = "read", **answer: Any) -> dict[str, Any]:
    return {"state": state, "queries": {"signing": {"problem": None, "rows": [], **answer}}}


@pytest.mark.parametrize(
    ("signing", "words"),
    [
        (database(rows=[[7]]), "open: YES"),
        (database(), "open: no"),
        (database("suspect"), "open: unknown"),
        (database(problem="no such table"), "open: unknown"),
        (database(rows=None), "open: unknown"),
        ({}, "open: unknown"),
    ],
)
def test_an_open_round_is_said(recorded_look: Looks, signing: dict[str, Any], words: str) -> None:
    assert words in line(told(recorded_look("healthy"), signing=signing)["text"], "money")


def test_frozen_payouts_are_said_and_bind_the_proposal(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    exit_now(look, "server")
    binding = {"holds": [], "lease": None, "freezes": [FREEZE], "frozen": frozen_services([FREEZE], "market-1")}
    facts = {"host": "market-1", "site": SITE, "binding": binding}
    text = triage_report({**facts, "compose": look})["text"]
    assert "payouts FROZEN since 2026-11-24T02:14:09Z by alice because an import is needed" in line(text, "money")
    assert "it will change nothing: server is left as it is" in line(text, "next")
    free = {**facts, "binding": {"holds": [], "lease": None, "freezes": [], "frozen": {}}, "compose": look}
    assert "start server" in line(triage_report(free)["text"], "next")
    assert "payouts not frozen" in line(triage_report(free)["text"], "money")


def firing(name: str, **labels: str) -> dict[str, Any]:
    samples = [{"labels": {"alertname": name, "alertstate": "firing", "severity": "P1", **labels}, "value": 1, "time": 0.0}]
    return {"answered": True, "results": {"alerts": {"samples": samples, "series": [], "problem": None}}}


def test_that_a_frozen_server_reaches_no_wallet_is_no_alarm(recorded_look: Looks) -> None:
    look, alarm = recorded_look("healthy"), firing("WalletRPCUnreachable", wallet="buyer")
    binding = {"holds": [], "lease": None, "freezes": [FREEZE]}
    found = told(look, prometheus=alarm, binding=binding, monero=recorded_look("monero_healthy"))
    assert (found["severity"], found["playbook"]) == (None, None), found["text"]
    assert line(found["text"], "next").endswith("nothing is wrong; payouts go on with ansible-playbook playbooks/monero_rpc.yml"
                                                " --limit market-1 -e confirm=thaw:payouts")  # fmt: skip
    assert told(look, prometheus=alarm, binding=binding)["playbook"] == "monero_rpc", "where nobody asked the wallets it counts"
    assert told(look, prometheus=alarm, monero=recorded_look("monero_healthy"))["playbook"] == "monero_rpc"
    other = told(look, prometheus=firing("DatabaseUnavailable"), binding=binding, monero=recorded_look("monero_healthy"))
    assert other["playbook"] == "database"


@pytest.mark.parametrize("service", ["monero-wallet-rpc-buyer", "monerod"])
def test_what_only_comes_up_of_the_money_is_a_matter_of_its_own_playbook(recorded_look: Looks, service: str) -> None:
    look = recorded_look("healthy")
    come_up(look, service)
    assert told(look)["playbook"] == "monero_rpc"
    come_up(look, "server")
    assert told(look)["playbook"] == "outage"


def test_a_cause_of_no_service_is_not_the_daemons_that_has_no_name(recorded_look: Looks) -> None:
    look = recorded_look("docker_stopped")
    assert told(look, site={**SITE, "daemon_service": None})["playbook"] == "outage"


def come_up(look: dict[str, Any], service: str) -> None:
    """As right after the engine has started it, for the first time or once more."""
    for one in look["services"]:
        if one["name"] == service:
            started = datetime.fromtimestamp(look["clock"] - 0.02, UTC)
            one.update(health="starting", started_at=started.isoformat().replace("+00:00", "Z"))
