# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged wallets and frozen payouts: payouts stand still before, and go on only when every wallet can sign."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.wallet_plans import BUYER, FREEZE, ONE_OPEN, asking, causes, decide, doing, look, silent, told, wallet

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_restore_plan

OPENED = [f"open:{BUYER}"]
ASKED = {"role": "buyer", "wallet": "escrow_1"}
RESCAN = {"ladder": "rescan", "confirm": "", "why": "the keys are sound", "lost": []}
FROM_BACKUP = {
    "ladder": "keys_from_backup",
    "confirm": "restore:marketplace-wallet-buyer-20261124T010000Z",
    "why": "the newest good backup is 74 min old",
    "lost": ["labels"],
}


def refused(state: str, **more: Any) -> dict[str, Any]:
    return decide(look("wallet_closed"), tried=OPENED, files={"buyer": {"state": state, "evidence": ["looked"]}}, **more)


def test_files_are_looked_at_before_a_wallet_is_told_to_open() -> None:
    assert decide(look("healthy"))["ask"]["files"] == []
    assert decide(look("wallet_closed"))["ask"]["files"] == [ASKED]
    assert refused("sound")["ask"]["files"] == []
    assert refused("cache_damaged")["ask"]["restores"] == [ASKED]
    assert refused("cache_damaged", restores={"buyer": RESCAN})["ask"]["restores"] == []


def test_after_a_start_of_ours_only_where_it_did_not_open() -> None:
    assert decide(look("wallet_closed"), tried=[f"start:{BUYER}"])["ask"]["files"] == []
    assert doing(decide(look("wallet_closed"), tried=[f"start:{BUYER}"])) == OPENED
    assert decide(look("wallet_closed"), tried=[f"start:{BUYER}", *OPENED])["ask"]["files"] == [ASKED]


def test_files_of_a_wallet_at_rest_are_nobodys_business() -> None:
    found = look("wallet_closed")
    wallet(found)["open"] = "on_demand"
    assert decide(found)["ask"]["files"] == []


def test_a_wallet_that_our_restart_has_closed_is_looked_at_under_its_own_name() -> None:
    """Whatever the inventory names for that role."""
    first, found = look("healthy"), look("wallet_closed")
    wallet(first)["open_wallet"] = "escrow_7"
    wallet(found)["open"] = "on_demand"
    done: dict[str, Any] = {"before": first, "tried": [f"restart:{BUYER}", *OPENED]}
    asked = {"role": "buyer", "wallet": "escrow_7"}
    assert decide(found, **done)["ask"]["files"] == [asked]
    damaged = {"buyer": {"state": "cache_damaged"}}
    assert decide(found, **done, files=damaged)["ask"]["restores"] == [asked]
    plan = decide(found, **done, files=damaged, restores={"buyer": RESCAN}, freezes=[FREEZE])
    assert plan["steps"][0]["details"] == [asked]


@pytest.mark.parametrize(("state", "steps"), [("sound", OPENED), ("unknown", OPENED), ("wrong_password", [])])
def test_only_what_can_be_opened_is_told_to_open(state: str, steps: list[str]) -> None:
    assert doing(decide(look("wallet_closed"), files={"buyer": {"state": state}})) == steps


def test_files_are_asked_for_where_a_container_does_not_stay_up() -> None:
    found = look("wallet_killed")
    wallet(found)["container"].update(status="restarting")
    assert decide(found)["ask"]["files"] == [ASKED]
    plan = decide(found, files={"buyer": {"state": "cache_damaged"}}, restores={"buyer": RESCAN})
    assert doing(plan) == ["freeze", f"restore:{BUYER}"]


def test_a_damaged_cache_is_read_anew_without_a_question_but_payouts_frozen_first() -> None:
    plan = refused("cache_damaged", restores={"buyer": RESCAN})
    assert causes(plan) == [("wallet-damaged", BUYER)]
    assert doing(plan) == ["freeze", f"restore:{BUYER}"] and asking(plan) == []
    assert plan["steps"][1]["details"] == [{"role": "buyer", "wallet": "escrow_1"}]
    plan = refused("cache_damaged", restores={"buyer": RESCAN}, freezes=[FREEZE])
    assert doing(plan) == [f"restore:{BUYER}"]


def test_a_wallet_without_a_cache_is_opened_once_payouts_are_frozen() -> None:
    files = {"state": "cache_missing", "evidence": ["it has no cache"]}
    ladder = _wallet_restore_plan.plan(files, "buyer", "escrow_1")
    plan = decide(look("wallet_closed"), files={"buyer": files}, restores={"buyer": ladder})
    assert doing(plan) == ["freeze", f"restore:{BUYER}"] and asking(plan) == [] and told(plan) == ""
    assert "no cache is left" in plan["steps"][1]["reason"]


@pytest.mark.parametrize("state", ["keys_damaged", "keys_missing", "missing"])
def test_keys_come_from_a_backup_only_if_asked(state: str) -> None:
    plan = refused(state, restores={"buyer": FROM_BACKUP})
    assert doing(plan) == [] and asking(plan) == [FROM_BACKUP["confirm"]]
    assert "74 min old (lost: labels)" in plan["confirm"][0]["why"]
    plan = refused(state, restores={"buyer": FROM_BACKUP}, confirm=FROM_BACKUP["confirm"])
    assert doing(plan) == ["freeze", f"restore:{BUYER}"]


def test_a_stale_confirmation_restores_nothing() -> None:
    plan = refused("keys_missing", restores={"buyer": FROM_BACKUP}, confirm="restore:marketplace-wallet-buyer-20261123T010000Z")
    assert doing(plan) == []


@pytest.mark.parametrize(
    "plan", [{}, {"ladder": "refused", "why": "no good backup"}, {"ladder": "keys_from_backup", "confirm": ""}]
)
def test_what_cannot_be_restored_is_left_to_a_person(plan: dict[str, Any]) -> None:
    decided = refused("keys_missing", restores={"buyer": plan})
    assert doing(decided) == asking(decided) == [] and "cannot be restored by itself" in told(decided)


def test_a_second_restore_is_left_to_a_person() -> None:
    found = look("wallet_closed")
    plan = decide(
        found, tried=[*OPENED, f"restore:{BUYER}"], files={"buyer": {"state": "cache_damaged"}}, restores={"buyer": RESCAN}
    )
    assert doing(plan) == [] and "was restored in this run" in told(plan)


@pytest.mark.parametrize(
    ("state", "words"), [("wrong_password", "password"), ("sound", "opens in a throw-away"), ("unknown", "is unknown")]
)
def test_what_does_not_open_for_another_reason_is_not_restored(state: str, words: str) -> None:
    plan = refused(state, restores={"buyer": RESCAN})
    assert doing(plan) == [] and words in told(plan)


def test_payouts_go_on_when_every_wallet_is_ready_and_needs_no_exchange() -> None:
    plan = decide(look("healthy"), freezes=[FREEZE])
    assert doing(plan) == ["thaw:payouts"] and asking(plan) == [] and not plan["settled"]
    assert plan["steps"][0]["details"][0]["name"] == "payouts"


def test_payouts_stay_frozen_over_an_open_signing_round() -> None:
    """A wallet that came back with an older cache needs no exchange either, and has its old nonces."""
    plan = decide(look("healthy"), freezes=[FREEZE], signing=ONE_OPEN, tried=[f"restart:{BUYER}"])
    assert doing(plan) == [] and asking(plan) == ["thaw:payouts"] and "open for 7" in plan["confirm"][0]["why"]
    assert decide(look("healthy"), freezes=[FREEZE], signing={})["ask"]["signing"]
    assert doing(decide(look("healthy"), freezes=[FREEZE], signing_query="")) == []


def test_payouts_go_on_only_on_the_word_of_the_wallet_that_was_touched() -> None:
    found = look("healthy")
    other = {**FREEZE, "wallets": [{"role": "buyer", "wallet": "escrow_99"}]}
    assert doing(decide(found, freezes=[other])) == []
    other["wallets"] = [{"role": "buyer", "wallet": wallet(found)["open_wallet"]}]
    assert doing(decide(found, freezes=[other])) == ["thaw:payouts"]
    wallet(found)["lag"] = None
    assert doing(decide(found, freezes=[other])) == []


def test_a_word_given_before_a_wallet_is_touched_thaws_nothing() -> None:
    confirm = f"restart:{BUYER},thaw:payouts"
    assert doing(decide(silent(look("healthy")), signing=ONE_OPEN, freezes=[FREEZE], confirm=confirm)) == [f"restart:{BUYER}"]
    after = decide(look("healthy"), signing=ONE_OPEN, freezes=[FREEZE], confirm=confirm, tried=[f"restart:{BUYER}"])
    assert doing(after) == []


def test_another_freeze_is_not_the_one_that_is_needed() -> None:
    other = {**FREEZE, "name": "audit"}
    plan = decide(silent(look("healthy")), signing=ONE_OPEN, freezes=[other], confirm=f"restart:{BUYER}")
    assert doing(plan) == ["freeze", f"restart:{BUYER}"]
    assert plan["steps"][0]["details"] == [{"wallets": [{"role": "buyer", "wallet": "escrow_1"}]}]


@pytest.mark.parametrize(("whole", "steps"), [(True, []), (False, ["freeze"]), (None, ["freeze"])])
def test_a_freeze_by_halves_is_made_whole_first(whole: bool | None, steps: list[str]) -> None:
    half = {**FREEZE, "whole": whole}
    plan = refused("cache_damaged", restores={"buyer": RESCAN}, freezes=[half])
    assert doing(plan) == [*steps, f"restore:{BUYER}"]


@pytest.mark.parametrize("needed", [True, None])
def test_payouts_stay_frozen_while_a_wallet_may_not_sign(needed: bool | None) -> None:
    found = look("healthy")
    wallet(found, "vendor")["import_needed"] = needed
    plan = decide(found, freezes=[FREEZE])
    assert doing(plan) == [] and asking(plan) == ["thaw:payouts"] and not plan["settled"] and not plan["serving"]
    assert ("before vendor can sign" in told(plan)) is bool(needed)
    assert doing(decide(found, freezes=[FREEZE], confirm="thaw:payouts")) == ["thaw:payouts"]


def test_an_exchange_that_is_due_at_work_freezes_nothing() -> None:
    found = look("healthy")
    wallet(found)["import_needed"] = True
    assert decide(found)["settled"]


def test_payouts_stay_frozen_while_a_wallet_is_sick() -> None:
    assert "thaw:payouts" not in doing(decide(look("wallet_killed"), freezes=[FREEZE]))


def test_somebody_elses_freeze_is_never_lifted_by_itself() -> None:
    other = {**FREEZE, "name": "breach-0213"}
    plan = decide(look("healthy"), freezes=[other])
    assert doing(plan) == [] and asking(plan) == ["thaw:breach-0213"]
    assert doing(decide(look("healthy"), freezes=[other], confirm="thaw:breach-0213")) == ["thaw:breach-0213"]


def test_an_unreadable_freeze_is_never_lifted_by_itself() -> None:
    unreadable = {
        "name": "payouts",
        "reason": "its file cannot be read",
        "by": "unknown",
        "since": "unknown",
        "services": [],
        "readable": False,
    }
    assert doing(decide(look("healthy"), freezes=[unreadable])) == []
    assert doing(decide(look("wallet_killed"), freezes=[unreadable])) == []


def test_a_freeze_that_could_not_be_lifted_is_said() -> None:
    plan = decide(look("healthy"), freezes=[FREEZE], tried=["thaw:payouts"])
    assert doing(plan) == [] and "could not be lifted" in told(plan)
