# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A freeze binds whoever starts something: the guard, our own modules, the plan; and every summary says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.plans import Looks, decide, doing, exit_now, service

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_guard as guard
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _outcome as outcome
from ansible_collections.monero_marketplace.incident.plugins.module_utils._health_report import report
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, clean
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import frozen_services, read_freezes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_refusals import Request
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_status import status

SAID = {"services": ["server"], "reason": "an import is needed", "by": "alice", "since": "2026-11-24T02:14:09Z"}
LIFTED = "ansible-playbook playbooks/monero_rpc.yml --limit market-1 -e confirm=thaw:payouts"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "state" / "freezes").mkdir(parents=True)
    return Places(state_dir=str(tmp_path / "state"), lease_dir=str(tmp_path / "run"))


def freeze(places: Places, text: str = json.dumps(SAID)) -> None:
    Path(places.state_dir, "freezes", "payouts.json").write_text(text)


def request(*services: str, **changes: Any) -> Request:
    known: dict[str, Any] = {
        "responder": "bob", "controller": "desk", "run_id": "run-1", "playbook": "outage", "action": "start", "host": "market-1",
        "wait_for_orphan_seconds": 0, "services": services,
    }  # fmt: skip
    return Request(**{**known, **changes})


def test_what_is_about_to_be_started_must_not_be_frozen(places: Places) -> None:
    freeze(places)
    assert guard.acquire(places, request("nginx"))["granted"]
    refused = guard.acquire(places, request("nginx", "server"))
    assert (refused["granted"], refused["refusal"]["kind"], refused["refusal"]["next"]) == (False, "freeze", LIFTED)
    assert refused["refusal"]["sentence"] == (
        "server may not be started: payouts frozen since 2026-11-24T02:14:09Z by alice because an import is needed."
    )


def test_a_freeze_that_comes_meanwhile_stops_the_next_step(places: Places) -> None:
    token = guard.acquire(places, request("server"))["token"]
    assert guard.check(places, request("server", token=token))["granted"]
    freeze(places)
    assert guard.check(places, request("server", token=token))["refusal"]["kind"] == "freeze"
    assert guard.check(places, request("nginx", token=token))["granted"]


def test_our_own_modules_ask_in_the_call_that_acts(places: Places) -> None:
    token = guard.acquire(places, request())["token"]
    freeze(places)
    with guard.acting(places.lease_dir, token, "backup_restore", services=["nginx"]):
        pass
    with (
        pytest.raises(IncidentError, match="server may not be started: payouts frozen"),
        guard.acting(places.lease_dir, token, "backup_restore", services=["server"]),
    ):
        pass
    guard.release(places, request(token=token))
    with (
        pytest.raises(IncidentError, match="may not be started"),
        guard.acting(places.lease_dir, None, "by hand", services=["server"], state_dir=places.state_dir),
    ):
        pass


@pytest.mark.parametrize(
    "text", ["{", '{"services": 7}', *(json.dumps({**SAID, "wallets": one}) for one in (7, [7], [{"role": "buyer"}]))]
)
def test_one_that_cannot_be_read_forbids_every_start(places: Places, text: str) -> None:
    freeze(places, text)
    refused = guard.acquire(places, request("nginx"))
    assert refused["refusal"]["kind"] == "freeze" and "cannot be read" in refused["refusal"]["sentence"]
    assert guard.acquire(places, request())["granted"]


def test_which_wallets_were_touched_is_told_and_an_older_file_names_none(places: Places) -> None:
    freeze(places)
    assert read_freezes(places)[0]["wallets"] == []
    freeze(places, json.dumps({**SAID, "wallets": [{"role": "buyer", "wallet": "escrow\n_1", "more": 1}]}))
    assert read_freezes(places)[0]["wallets"] == [{"role": "buyer", "wallet": clean("escrow\n_1")}]


def test_a_folder_that_is_none_forbids_every_start_too(tmp_path: Path) -> None:
    (tmp_path / "freezes").write_text("")
    (found,) = read_freezes(Places(state_dir=str(tmp_path), lease_dir=""))
    assert not found["readable"] and list(frozen_services([found])) == ["*"]


def frozen(*services: str) -> dict[str, str]:
    return dict.fromkeys(services, "payouts frozen by alice")


def test_the_plan_leaves_a_frozen_service_as_it_is_and_says_why(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    exit_now(look, "server")
    assert doing(decide(look)) == ["start:server"]
    plan = decide(look, frozen=frozen("server"))
    assert doing(plan) == [] and not plan["settled"] and "server" in plan["hopeless"]
    assert [one["sentence"] for one in plan["escalate"]] == ["server is left as it is: payouts frozen by alice"]


def test_the_others_are_mended_as_ever(recorded_look: Looks) -> None:
    look = recorded_look("stack_down")
    plan, free = decide(look, frozen=frozen("server")), decide(look)
    touched = {name for step in plan["steps"] for name in step["services"]}
    # Of what needs the frozen one Compose would start both.
    assert touched == {name for step in free["steps"] for name in step["services"]} - {"server", "nginx"} != set()
    assert all("server" not in doing_of for doing_of in doing(decide(look, frozen=frozen("*"))))


def test_a_frozen_service_that_is_well_is_no_finding(recorded_look: Looks) -> None:
    assert decide(recorded_look("healthy"), frozen=frozen("server"))["settled"]


@pytest.mark.parametrize("fault", ["hung", "paused", "unhealthy", "crash_loop", "stack_down"])
def test_no_step_and_no_question_is_about_a_frozen_service(recorded_look: Looks, fault: str) -> None:
    plan = decide(recorded_look(fault), frozen=frozen("*"))
    assert not [step for step in plan["steps"] if step["services"]] and not plan["confirm"]


@pytest.mark.parametrize(
    "ended", [{"findings": {"settled": True}, "proof": {"verdict": "proven"}}, {"failure": {"sentence": "no"}}]
)
def test_every_summary_says_that_payouts_are_frozen(places: Places, ended: dict[str, Any]) -> None:
    freeze(places)
    found = guard.acquire(places, request())["freezes"]
    result = outcome.judge({"host": "market-1", "playbook": "verify", "freezes": found, **ended})
    assert result["risk"] == [
        f"payouts frozen since 2026-11-24T02:14:09Z by alice because an import is needed; lifted by {LIFTED}"
    ]


def test_status_says_so(places: Places) -> None:
    assert "payout not frozen" in status({}, {"freezes": []}, "market-1").replace("  ", " ")
    assert "payout unknown" in status({}, {}, "market-1").replace("  ", " ")
    freeze(places)
    told = status({}, {"freezes": read_freezes(places)}, "market-1")
    assert "FROZEN since 2026-11-24T02:14:09Z by alice: an import is needed (server may be started by no one)" in told


def without_upstream(look: dict[str, Any], ended: str) -> dict[str, Any]:
    """nginx as it is while the name of its upstream is not there: it ends, and Docker starts it again and again."""
    service(look, "nginx").update(
        state="restarting",
        health="unknown",
        exit_code=1,
        restart_count=6,
        started_at=ended.replace("Z", ".1Z"),
        finished_at=ended,
    )
    return look


def test_what_ends_for_want_of_a_frozen_service_is_no_trouble_of_its_own(recorded_look: Looks) -> None:
    look = without_upstream(recorded_look("healthy"), "2026-11-24T11:54:30Z")
    exit_now(look, "server")
    plan = decide(look, frozen=frozen("server"))
    assert [one["service"] for one in plan["escalate"]] == ["server"]
    assert [one["service"] for one in plan["causes"] if one["consequence_of"] == "server"] == ["nginx"]


def test_it_is_mended_when_what_it_needs_is_back(recorded_look: Looks) -> None:
    look = without_upstream(recorded_look("healthy"), "2026-11-24T11:54:30Z")
    exit_now(look, "server")
    first = decide(look)
    assert doing(first) == ["start:server"] and not first["escalate"]
    look = without_upstream(recorded_look("healthy"), "2026-11-24T11:54:30Z")
    service(look, "server").update(started_at="2026-11-24T11:54:35Z")
    assert doing(decide(look, tried=("start:server",))) == ["restart:nginx"]
    again = decide(look, tried=("start:server", "restart:nginx"))
    assert doing(again) == [] and [one["service"] for one in again["escalate"]] == ["nginx"]


@pytest.mark.parametrize(
    "ended", [{"escalate": [{"sentence": "no"}]}, {"confirm": [{"what": "unpause:server", "given": False, "why": "no"}]}]
)
def test_where_a_summary_has_no_line_for_risks_it_says_why(places: Places, ended: dict[str, Any]) -> None:
    freeze(places)
    found = guard.acquire(places, request())["freezes"]
    result = outcome.judge(
        {"host": "market-1", "playbook": "outage", "freezes": found, "findings": {"settled": False, **ended}}
    )
    assert result["why"][-1].startswith("payouts frozen since 2026-11-24T02:14:09Z by alice") and result["risk"] == []
    assert LIFTED not in result["next"], "the freeze is not what is the matter"


def test_where_the_freeze_is_the_matter_what_ends_it_comes_next(places: Places, recorded_look: Looks) -> None:
    freeze(places)
    freezes, look = read_freezes(places), recorded_look("healthy")
    exit_now(look, "server")
    plan = decide(look, frozen=frozen_services(freezes, "market-1"))
    findings = report(plan, plan, {"did": [], "untouched": 0}, [], [], [], [], 80, [])
    result = outcome.judge({"host": "market-1", "playbook": "outage", "freezes": freezes, "findings": findings})
    assert result["next"] == [LIFTED]
    assert len([one for one in result["why"] if "payouts frozen" in one]) == 1
