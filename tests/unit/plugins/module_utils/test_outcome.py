# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way a run can end."""

from __future__ import annotations

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _outcome as outcome
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import thaw_words

SETTLED = {"settled": True}
PROVEN = {"verdict": "proven", "sentences": ["GET 200 x5"]}
CRASHING = {"settled": False, "escalate": [{"sentence": "server dies at every start"}]}
FROZEN = {
    "name": "payouts",
    "since": "2026-11-24T02:14:09Z",
    "by": "alice",
    "reason": "an import is needed",
    "services": ["server"],
}
PAUSED = {"settled": False, "confirm": [{"what": "unpause:server", "given": False, "why": "somebody paused it"}]}


def run(**facts: object) -> dict[str, object]:
    return {"host": "market-1", "playbook": "outage", **facts}


ENDINGS = [
    ("nothing broken", run(findings=SETTLED, proof=PROVEN), "healthy", False),
    ("nothing broken, check mode", run(findings=SETTLED, proof=PROVEN, check=True), "healthy", False),
    ("repaired and proven", run(findings=SETTLED, proof=PROVEN, acted=True), "restored", True),
    ("repaired, proof failed", run(findings=SETTLED, proof={"verdict": "failed"}, acted=True), "escalated", True),
    ("repaired, ratio unproven", run(findings=SETTLED, proof={"verdict": "unproven"}, acted=True), "restored", True),
    ("broken, check mode", run(findings={"settled": False, "plan": ["start server"]}, check=True), "planned", False),
    ("cannot be repaired", run(findings=CRASHING), "escalated", True),
    ("cannot be repaired, check mode", run(findings=CRASHING, check=True), "planned", False),
    ("paused by a person", run(findings=PAUSED), "needs_confirmation", True),
    ("still not settled", run(findings={"settled": False}, acted=True), "escalated", True),
    ("hold", run(findings={"settled": False}, refusal={"kind": "hold", "sentence": "held"}), "held", False),
    ("lease", run(findings={"settled": False}, refusal={"kind": "lease", "sentence": "theirs"}), "held", False),
    ("tried too often", run(findings={"settled": False}, refusal={"kind": "attempts", "sentence": "3"}), "escalated", True),
    ("unreachable", run(failure={"sentence": "no route"}), "failed", False),
    ("a step broke", run(findings={"settled": False}, failure={"sentence": "boom"}, acted=True), "escalated", True),
    ("verify, proven", run(playbook="verify", proof=PROVEN), "done", False),
    ("verify, failed", run(playbook="verify", proof={"verdict": "failed"}), "escalated", False),
    ("nothing was found at all", run(), "escalated", False),
    ("a hold placed", run(playbook="hold", findings={"verb": True, "settled": True}), "done", False),
    ("a hold to be placed, check mode", run(findings={"verb": True, "settled": False}, check=True), "planned", False),
    ("a hold without a reason", run(playbook="hold", failure={"sentence": "a reason, please"}), "failed", False),
    ("overtaken while asleep", run(findings=SETTLED, acted=True, refusal={"kind": "token", "sentence": "bob"}), "held", True),
]


@pytest.mark.parametrize("facts, ended, news", [case[1:] for case in ENDINGS], ids=[case[0] for case in ENDINGS])
def test_ending(facts: dict[str, object], ended: str, news: bool) -> None:
    result = outcome.judge(facts)
    assert (result["outcome"], result["news"]) == (ended, news)
    assert result["zero"] is (ended in ("healthy", "restored", "done", "planned"))


@pytest.mark.parametrize("verdict, serving", [("proven", True), ("unproven", True), ("failed", False), (None, False)])
def test_left_to_a_person_while_customers_are_served(verdict: str | None, serving: bool) -> None:
    findings = {**CRASHING, "serving": True}
    assert outcome.judge(run(findings=findings, proof={"verdict": verdict}, acted=True))["serving"] is serving
    assert outcome.judge(run(findings=CRASHING, proof=PROVEN, acted=True))["serving"] is False


def test_what_was_repaired_and_is_not_served_is_a_matter_of_outage() -> None:
    judged = outcome.judge(run(playbook="data_corruption", findings=SETTLED, proof={"verdict": "failed"}, acted=True))
    assert judged["outcome"] == "escalated" and judged["next"] == ["ansible-playbook playbooks/outage.yml --limit market-1"]
    assert outcome.judge(run(findings=SETTLED, proof={"verdict": "failed"}, acted=True))["next"] == []


def test_a_failed_proof_sends_nobody_to_a_playbook_that_sends_him_back() -> None:
    own = {"verdict": "failed", "next": "monero_rpc"}
    told = run(playbook="monero_rpc", findings=SETTLED, proof=own, acted=True)
    assert outcome.judge(told)["next"] == ["read docs/monero_rpc.md"]
    frozen = run(playbook="data_corruption", findings=SETTLED, proof={"verdict": "failed"}, acted=True, freezes=[FROZEN])
    assert outcome.judge(frozen)["next"] == [thaw_words("payouts", "market-1")]


def test_confirmation_command_is_exact() -> None:
    assert outcome.judge(run(findings=PAUSED))["next"] == [
        "ansible-playbook playbooks/outage.yml --limit market-1 -e confirm=unpause:server"
    ]


@pytest.mark.parametrize("last", ["escalated", "needs_confirmation"])
def test_healthy_after_bad_news_is_restored_and_recorded(last: str) -> None:
    result = outcome.judge(run(findings=SETTLED, proof=PROVEN, desk={"open_incident": {"last_outcome": last}}))
    assert (result["outcome"], result["news"]) == ("restored", True)


def test_healthy_after_a_restored_run_is_no_news() -> None:
    result = outcome.judge(run(findings=SETTLED, proof=PROVEN, desk={"open_incident": {"last_outcome": "restored"}}))
    assert (result["outcome"], result["news"]) == ("healthy", False)


def test_healthy_after_an_interrupted_run_says_so() -> None:
    desk = {"open_incident": {"interrupted": {"run_id": "a1", "since": "02:13"}}}
    result = outcome.judge(run(findings=SETTLED, proof=PROVEN, desk=desk))
    assert (result["outcome"], result["news"]) == ("restored", True)
    assert result["did"] == ["nothing now: an earlier step holds"]


def test_commands_are_printed_as_they_are_typed_here() -> None:
    told = run(findings=PAUSED, inventory=["inventories/lab"])
    assert outcome.judge(told)["next"][0].startswith(
        "ansible-playbook -i inventories/lab playbooks/outage.yml --limit market-1"
    )
    installed = run(findings=PAUSED, inventory=["hosts"], from_clone=False)
    assert outcome.judge(installed)["next"] == [
        "ansible-playbook -i hosts monero_marketplace.incident.outage --limit market-1 -e confirm=unpause:server"
    ]


def test_a_plan_that_asks_names_the_command_once() -> None:
    planned = outcome.judge(run(findings={**PAUSED, "plan": ["only with confirm=unpause:server"]}, check=True))
    assert (planned["why"], len(planned["next"])) == ([], 1)
    assert planned["next"][0].endswith("-e confirm=unpause:server")


def test_a_confirmation_that_matches_nothing_is_said() -> None:
    mistyped = outcome.judge(run(findings={**PAUSED, "stray_confirmations": ["unpause:sever"]}))
    assert "confirm=unpause:sever matches nothing in this plan" in mistyped["why"]
    stale = outcome.judge(run(findings={**SETTLED, "stray_confirmations": ["unpause:server"]}, proof=PROVEN))
    assert (stale["outcome"], len(stale["risk"])) == ("healthy", 1)


def test_a_failed_verification_names_the_playbook_that_repairs() -> None:
    failed = outcome.judge(run(playbook="verify", proof={"verdict": "failed"}))
    assert failed["next"] == ["ansible-playbook playbooks/outage.yml --limit market-1"]
    assert failed["page"] is None


def test_a_run_that_is_still_there_was_not_interrupted() -> None:
    desk = {"open_incident": {"interrupted": {"run_id": "a1", "since": "02:13"}}}
    result = outcome.judge(run(findings=SETTLED, proof=PROVEN, desk=desk, acting_run="a1"))
    assert (result["outcome"], result["news"], result["interrupted"]) == ("healthy", False, None)


def test_a_plan_says_what_would_refuse_it():
    holds = [
        {"name": "evidence", "by": "bob", "reason": "r", "playbooks": []},
        {"name": "other", "by": "x", "reason": "y", "playbooks": ["rollback"]},
    ]
    planned = {
        "host": "market-1",
        "playbook": "outage",
        "check": True,
        "findings": {"settled": False, "plan": ["start server"]},
        "holds": holds,
    }
    assert outcome.judge(planned)["risk"] == ["the hold 'evidence' by bob forbids it: r"]
    assert outcome.judge({**planned, "findings": {"settled": True}})["risk"] == []
