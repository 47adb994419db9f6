# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done about a wallet RPC: the smallest thing that helps, and nothing that could harm a signing round."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.wallet_plans import (
    BUYER,
    NONE_OPEN,
    ONE_OPEN,
    VENDOR,
    asking,
    causes,
    decide,
    doing,
    look,
    silent,
    told,
    wallet,
)

EMPTY: dict[str, Any] = {}


def test_where_all_is_well_nothing_is_done_or_asked() -> None:
    plan = decide(look("healthy"), signing=EMPTY)
    assert plan["settled"] and plan["serving"] and plan["decided"]
    assert doing(plan) == asking(plan) == causes(plan) == []
    assert not any(plan["ask"].values())


def test_one_that_was_killed_is_started_and_nothing_else() -> None:
    plan = decide(look("wallet_killed"))
    assert causes(plan) == [("wallet-down", BUYER)] and doing(plan) == [f"start:{BUYER}"]
    assert plan["steps"][0]["containers"] == [wallet(look("wallet_killed"))["container"]["id"]]
    assert "escrow_1 is opened" in plan["steps"][0]["reason"]
    assert plan["risks"] == []


@pytest.mark.parametrize("signing", [ONE_OPEN, {"state": "missing", "problem": "it is not there"}])
def test_one_that_was_killed_is_started_over_an_open_round_with_payouts_frozen(signing: dict[str, Any]) -> None:
    """It forgets that it has signed, and would sign again with the same nonces."""
    plan = decide(look("wallet_killed"), signing=signing)
    assert doing(plan) == ["freeze", f"start:{BUYER}"] and asking(plan) == []
    assert plan["steps"][0]["details"] == [{"wallets": [{"role": "buyer", "wallet": "escrow_1"}]}]
    assert len(plan["risks"]) == 1 and "do not retry a transfer" in plan["risks"][0]
    refused = decide(look("wallet_killed"), signing=signing, tried=["freeze"])
    assert doing(refused) == [] and "Payouts could not be frozen" in told(refused)


def test_one_that_ended_by_itself_has_stored_what_it_signed() -> None:
    found = look("wallet_killed")
    wallet(found)["container"]["exit_code"] = 0
    assert doing(decide(found, signing=ONE_OPEN)) == [f"start:{BUYER}"]


def test_both_files_of_a_store_that_did_not_end_are_kept_before_a_start() -> None:
    found = look("wallet_killed")
    wallet(found)["files"]["leftovers"] = ["escrow_1.new"]
    plan = decide(found, full=[])
    assert doing(plan) == [f"start:{BUYER}"] and "kept first" in plan["steps"][0]["reason"]
    assert "/data/wallets/buyer/escrow_1.new" in plan["causes"][0]["evidence"][0]


def test_one_that_does_not_stay_up_is_not_started_twice() -> None:
    plan = decide(look("wallet_killed"), tried=[f"start:{BUYER}"], files={"buyer": {"state": "sound"}})
    assert causes(plan) == [("wallet-falls", BUYER)] and doing(plan) == []
    assert "its last lines say why" in told(plan)


def test_a_frozen_service_is_not_started() -> None:
    freeze = {"name": "evidence", "reason": "taken", "by": "bob", "since": "now", "services": [BUYER], "readable": True}
    plan = decide(look("wallet_killed"), freezes=[freeze])
    assert doing(plan) == [] and "frozen since now by bob" in told(plan)


def test_a_halted_one_goes_on_without_a_question() -> None:
    plan = decide(look("wallet_hung"), signing=ONE_OPEN)
    assert causes(plan) == [("wallet-halted", BUYER)] and doing(plan) == [f"resume:{BUYER}"] and asking(plan) == []
    assert plan["steps"][0]["details"] == [{"pids": [2187]}]
    again = decide(look("wallet_hung"), tried=[f"resume:{BUYER}"])
    assert doing(again) == [] and "keeps stopping it" in told(again)


def test_a_silent_one_is_restarted_only_where_no_round_is_open_for_sure() -> None:
    plan = decide(silent(look("healthy")))
    assert doing(plan) == [f"restart:{BUYER}"] and asking(plan) == []
    assert "no signing round is open" in plan["steps"][0]["reason"]


@pytest.mark.parametrize(
    ("signing", "query", "words"),
    [
        (ONE_OPEN, "SELECT 1", "open for 7"),
        ({}, "", "marketplace_open_signing_query is empty"),
        ({"state": "suspect", "problem": "torn"}, "SELECT 1", "torn"),
        ({"state": "read", "queries": {}}, "SELECT 1", "gave no answer"),
        ({"state": "read", "queries": {"signing": {"problem": "no such table: x", "rows": []}}}, "SELECT 1", "no such table"),
        ({"state": "read", "queries": {"signing": {"problem": None, "rows": [], "more": True}}}, "SELECT 1", "an escrow"),
        (NONE_OPEN, "", "is empty"),
    ],
)
def test_what_proves_nothing_asks(signing: dict[str, Any], query: str, words: str) -> None:
    plan = decide(silent(look("healthy")), signing=signing, signing_query=query)
    assert doing(plan) == [] and asking(plan) == [f"restart:{BUYER}"]
    assert words in plan["confirm"][0]["why"]


def test_a_confirmed_restart_over_an_open_round_freezes_payouts_first() -> None:
    plan = decide(silent(look("healthy")), signing=ONE_OPEN, confirm=f"restart:{BUYER}")
    assert doing(plan) == ["freeze", f"restart:{BUYER}"]
    failed = decide(silent(look("healthy")), signing=ONE_OPEN, confirm=f"restart:{BUYER}", tried=["freeze"])
    assert doing(failed) == [] and "could not be frozen" in told(failed)


def test_a_confirmation_of_something_else_counts_for_nothing() -> None:
    plan = decide(silent(look("healthy")), signing=ONE_OPEN, confirm=f"restart:{VENDOR}")
    assert doing(plan) == []


def test_whether_a_round_is_open_is_asked_before_anything_is_decided_by_it() -> None:
    assert decide(silent(look("healthy")), signing=EMPTY)["ask"]["signing"]
    assert not decide(silent(look("healthy")), signing=ONE_OPEN)["ask"]["signing"]
    assert not decide(silent(look("healthy")), signing=EMPTY, signing_query="")["ask"]["signing"]


def test_one_that_just_started_is_waited_for() -> None:
    plan = decide(look("wallet_starting"))
    assert doing(plan) == [] and not plan["decided"] and plan["waiting"][0]["service"] == BUYER
    over = decide(look("wallet_starting"), tried=[f"start:{BUYER}"], patience_over=True)
    assert over["decided"] and "another restart mends nothing" in told(over)


def test_one_that_works_is_waited_for_before_it_is_restarted() -> None:
    found = silent(look("healthy"))
    wallet(found)["process"]["moving"] = True
    plan = decide(found, sync_budget=300)
    assert doing(plan) == [] and not plan["decided"] and plan["start_period"] == 300


@pytest.mark.parametrize("state", ["port_closed", "not_responding"])
def test_one_that_still_works_after_the_deadline_is_not_restarted_unasked(state: str) -> None:
    found = silent(look("healthy"))
    wallet(found).update(state=state)
    wallet(found)["process"]["moving"] = True
    plan = decide(found, patience_over=True)
    assert doing(plan) == [] and asking(plan) == [f"restart:{BUYER}"]
    assert "it works" in plan["confirm"][0]["why"]


def test_one_that_is_not_seen_to_be_idle_is_restarted_only_if_asked() -> None:
    found = silent(look("healthy"))
    wallet(found).update(evidence=["its answer to get_version is not what an RPC says"])
    wallet(found)["process"]["moving"] = None
    plan = decide(found)
    assert doing(plan) == [] and asking(plan) == [f"restart:{BUYER}"]
    assert doing(decide(found, confirm=f"restart:{BUYER}")) == [f"restart:{BUYER}"]
    wallet(found)["state"] = "port_closed"
    assert doing(decide(found)) == []
    wallet(found)["process"] = None
    assert doing(decide(found)) == [f"restart:{BUYER}"]


def test_a_second_restart_is_left_to_a_person() -> None:
    before, now = silent(look("healthy")), silent(look("healthy"))
    wallet(before)["container"]["started_at"] = "2026-11-24T10:00:00Z"
    plan = decide(now, before=before, tried=[f"restart:{BUYER}"])
    assert doing(plan) == [] and "another restart mends nothing" in told(plan)
    refused = decide(now, before=now, tried=[f"restart:{BUYER}"])
    assert doing(refused) == [] and "was to be restarted in this run and was not" in told(refused)


def busy() -> dict[str, Any]:
    found = look("healthy")
    wallet(found).update(state="syncing_busy", height=100, lag=46, release="0.18.2.2-0.18.3.1")
    return found


def test_a_busy_one_is_waited_for_within_its_budget_and_never_restarted() -> None:
    plan = decide(busy(), sync_budget=300)
    assert not plan["decided"] and plan["start_period"] == 300 and doing(plan) == asking(plan) == []
    assert plan["waiting"] == [{"service": BUYER, "for": "its blocks: 100 of 146 (46 blocks to go)"}]
    assert "v0.18.4.1" in plan["risks"][0]
    over = decide(busy(), patience_over=True, confirm=f"restart:{BUYER}")
    assert doing(over) == asking(over) == [] and "100 of 146" in told(over)


def test_progress_is_told_with_its_pace() -> None:
    before, now = busy(), busy()
    wallet(now)["height"], now["clock"] = 140, before["clock"] + 20
    assert "6 blocks to go, 2 a second, about 3 s" in decide(now, before=before)["waiting"][0]["for"]


@pytest.mark.parametrize(
    ("version", "needed"), [("1.28", True), (None, True), ("1.29", False), ("1.40", False), ("2.0", False)]
)
def test_a_new_release_needs_no_advice(version: str | None, needed: bool) -> None:
    found = busy()
    wallet(found)["rpc_version"] = version
    assert bool(decide(found)["risks"]) is needed


def test_one_that_should_be_open_is_opened() -> None:
    plan = decide(look("wallet_closed"))
    assert causes(plan) == [("none-open", BUYER)] and doing(plan) == [f"open:{BUYER}"]
    assert plan["steps"][0]["details"][0]["wallet"] == "escrow_1"


def test_one_that_the_application_opens_is_at_rest() -> None:
    for name in ("wallet_closed", "wallet_wrong"):
        found = look(name)
        wallet(found)["open"] = "on_demand"
        plan = decide(found)
        assert plan["settled"] and doing(plan) == []


def test_what_was_open_is_opened_again_after_our_own_restart() -> None:
    before, now = look("healthy"), look("wallet_closed")
    wallet(now).update(open="on_demand", wanted_wallet="")
    plan = decide(now, before=before, tried=[f"restart:{BUYER}"])
    assert doing(plan) == [f"open:{BUYER}"] and plan["steps"][0]["details"][0]["wallet"] == "escrow_1"
    assert doing(decide(now, before=before)) == []


def test_a_wrong_one_is_changed_for_the_right_one_where_no_round_is_open() -> None:
    assert doing(decide(look("wallet_wrong"))) == [f"switch:{BUYER}"]
    plan = decide(look("wallet_wrong"), signing=ONE_OPEN)
    assert doing(plan) == [] and asking(plan) == ["open:buyer"]
    assert doing(decide(look("wallet_wrong"), signing=ONE_OPEN, confirm="open:buyer")) == ["freeze", f"switch:{BUYER}"]


def test_one_that_is_wrong_again_after_it_was_changed_is_left_to_a_person() -> None:
    plan = decide(look("wallet_wrong"), tried=[f"switch:{BUYER}"])
    assert doing(plan) == asking(plan) == [] and "somebody else opens wallets there" in told(plan)


@pytest.mark.parametrize("mode", ["always", "on_demand"])
@pytest.mark.parametrize(
    ("pin", "words"), [("differs", "keys are not the pinned ones"), ("none", "address is not the inventory's")]
)
def test_other_keys_under_the_right_name_are_not_opened_again(mode: str, pin: str, words: str) -> None:
    found = look("wallet_wrong")
    wallet(found).update(open_wallet="escrow_1", open=mode, pin=pin, evidence=["its SHA-256 differs from the pin"])
    plan = decide(found, confirm="open:buyer")
    assert causes(plan) == [("wrong-wallet", BUYER)]
    assert plan["causes"][0]["evidence"] == ["its SHA-256 differs from the pin"]
    assert doing(plan) == asking(plan) == [] and f"has escrow_1 open, but its {words}" in told(plan)


def test_a_refused_login_is_restarted_only_where_its_file_is_newer_and_only_if_asked() -> None:
    found = look("wallet_auth")
    one = wallet(found)
    one["login"] = {"given": True, "file_changed_at": found["clock"] - 5}
    plan = decide(found)
    assert doing(plan) == [] and asking(plan) == [f"restart:{one['service']}"]
    assert "reads its login only at its start" in plan["confirm"][0]["why"]
    assert "after its start" in plan["causes"][0]["evidence"][0]
    assert doing(decide(found, confirm=f"restart:{one['service']}")) == [f"restart:{one['service']}"]
    one["login"]["file_changed_at"] = 0.0
    plan = decide(found, confirm=f"restart:{one['service']}")
    assert doing(plan) == [] and "marketplace_wallet_login_file" in told(plan)
    one["login"] = {"given": False, "file_changed_at": None}
    assert "none is given" in causes_text(decide(found))


def causes_text(plan: dict[str, Any]) -> str:
    return " ".join(one["sentence"] for one in plan["causes"])


def test_a_lock_is_never_broken_and_its_holder_is_named() -> None:
    plan = decide(look("keys_locked"))
    assert causes(plan) == [("keys-locked", BUYER)] and doing(plan) == asking(plan) == []
    assert "pid 11998 (python3) on the host itself" in told(plan) and "ps -o" in told(plan)


def stale_login() -> dict[str, Any]:
    found = look("wallet_killed")
    one = wallet(found)
    one["container"].update(status="restarting", exit_code=1)
    one["files"]["login_files"] = ["/data/wallets/buyer/monero-wallet-rpc.18082.login"]
    one["log"] = ["Error: Failed to create file monero-wallet-rpc.18082.login. Check permissions or remove file"]
    return found


def test_only_a_stale_login_file_is_moved_aside() -> None:
    plan = decide(stale_login())
    assert doing(plan) == [f"set_login_aside:{BUYER}"]
    assert plan["steps"][0]["details"] == [{"paths": ["/data/wallets/buyer/monero-wallet-rpc.18082.login"]}]
    assert plan["ask"]["files"] == []
    found = stale_login()
    wallet(found)["log"] = ["something else"]
    assert decide(found)["ask"]["files"] == [{"role": "buyer", "wallet": "escrow_1"}]
    assert doing(decide(found, files={"buyer": {"state": "sound"}})) == []


def test_a_paused_or_missing_one_is_another_playbooks_matter() -> None:
    assert "playbooks/outage.yml" in told(decide(look("wallet_paused")))
    found = look("wallet_killed")
    wallet(found)["container"] = None
    plan = decide(found)
    assert doing(plan) == [] and "playbooks/outage.yml" in told(plan)


def test_on_a_full_disk_both_files_stay_and_nothing_is_restarted() -> None:
    found = silent(look("healthy"))
    wallet(found)["files"]["leftovers"] = ["escrow_1.new"]
    assert decide(found)["ask"]["disks"] and not decide(found, full=[])["ask"]["disks"]
    plan = decide(found, full=["/data"])
    assert doing(plan) == asking(plan) == [] and "playbooks/outage.yml" in told(plan) and "both" in told(plan)
    plan = decide(found, full=[])
    assert doing(plan) == [f"restart:{BUYER}"] and "nobody removes it" in plan["risks"][0]


def test_a_wallet_far_behind_is_waited_for() -> None:
    found = look("healthy")
    wallet(found).update(height=120, lag=26)
    plan = decide(found)
    assert causes(plan) == [("wallet-behind", BUYER)] and not plan["decided"] and doing(plan) == []
    assert decide(found, patience_over=True)["serving"]
