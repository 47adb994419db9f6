# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon: one cause for many symptoms, no wallet touched for it, and nothing of its chain deleted."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.wallet_plans import asking, causes, decide, doing, look, silent, told, wallet


def test_a_daemon_that_is_down_is_started_and_no_wallet_touched() -> None:
    plan = decide(look("daemon_down"))
    assert causes(plan) == [("daemon-down", "monerod")] and doing(plan) == ["start:monerod"] and asking(plan) == []
    assert {one["consequence_of"] for one in plan["causes"][1:]} == {"monerod"}


def test_all_silent_is_the_daemon() -> None:
    found = look("daemon_down")
    for role in ("buyer", "vendor", "arbiter"):
        silent(found, role)
    plan = decide(found)
    assert causes(plan) == [("daemon-down", "monerod")] and doing(plan) == ["start:monerod"]


def test_a_halted_daemon_goes_on() -> None:
    plan = decide(look("daemon_hung"))
    assert causes(plan) == [("daemon-halted", "monerod")] and doing(plan) == ["resume:monerod"]
    assert plan["steps"][0]["details"] == [{"pids": [13304]}]


def hung() -> dict[str, Any]:
    found = look("daemon_hung")
    found["daemon"]["process"]["state"] = "S"
    found["clock"] += 3600
    return found


def test_a_daemon_that_hangs_otherwise_is_restarted_only_if_asked() -> None:
    plan = decide(hung())
    assert doing(plan) == [] and asking(plan) == ["restart:monerod"]
    assert doing(decide(hung(), confirm="restart:monerod")) == ["restart:monerod"]
    assert "another restart mends nothing" in told(decide(hung(), confirm="restart:monerod", tried=["restart:monerod"]))


def test_a_daemon_that_works_or_is_young_is_waited_for() -> None:
    found = hung()
    found["daemon"]["process"]["moving"] = True
    assert not decide(found)["decided"]
    assert asking(decide(found, patience_over=True)) == ["restart:monerod"]


def test_a_daemon_that_ends_right_away_is_left_to_a_person_with_its_words() -> None:
    found = look("daemon_down")
    found["daemon"]["log"] = ["Error: unknown option"]
    plan = decide(found, tried=["start:monerod"])
    assert doing(plan) == [] and plan["escalate"][0]["log"] == ["Error: unknown option"]


def damaged() -> dict[str, Any]:
    found = look("daemon_down")
    found["daemon"]["container"].update(status="restarting", exit_code=1)
    found["daemon"]["log"] = ["Failed to open lmdb environment: MDB_INVALID: File is not an LMDB file"]
    return found


# As monerod says it, by what lies in the page that is damaged.
@pytest.mark.parametrize(
    "line",
    [
        "E Exception in main! Failed to parse block from blob retrieved from the db",
        "E Error attempting to retrieve a block from the db: MDB_BAD_TXN",
        "E Attempt to get block from height 1208 failed -- block not in db",
        "E Failed to parse transaction from blob retrieved from the db",
    ],
)
def test_what_cannot_be_read_from_the_chain_is_damage(line: str) -> None:
    found = damaged()
    found["daemon"]["log"] = [line]
    assert causes(decide(found, tried=["start:monerod"])) == [("chain-damaged", "monerod")]
    # A sound one says it to whoever asks for a block that it does not have, and ends of something else.
    found["daemon"]["container"].update(status="exited", exit_code=137)
    assert doing(decide(found)) == ["start:monerod"]
    assert causes(decide(found, tried=["start:monerod"])) == [("chain-damaged", "monerod")]


def test_a_damaged_chain_is_moved_aside_only_if_asked() -> None:
    plan = decide(damaged(), tried=["start:monerod"])
    assert causes(plan) == [("chain-damaged", "monerod")] and doing(plan) == [] and asking(plan) == ["set_chain_aside:monerod"]
    assert "not deleted" in plan["confirm"][0]["why"]
    plan = decide(damaged(), confirm="set_chain_aside:monerod")
    assert doing(plan) == ["set_chain_aside:monerod"] and plan["steps"][0]["details"] == [{"paths": ["/data/monero/lmdb"]}]
    assert "marketplace_daemon_chain_dir" in told(decide(damaged(), chain_dir="", confirm="set_chain_aside:monerod"))
    assert doing(decide(damaged(), confirm="set_chain_aside:monerod", tried=["set_chain_aside:monerod"])) == []


@pytest.mark.parametrize(
    "line",
    [
        "Failed to open lmdb environment: Permission denied",
        "Error opening database: No space left on device",
        "Failed to parse block from blob",  # as a peer may have sent it
        "Failed to open lmdb environment: Resource temporarily unavailable",
    ],
)
def test_a_right_or_a_disk_is_no_damage(line: str) -> None:
    found = damaged()
    found["daemon"]["log"] = [line]
    assert causes(decide(found)) == [("daemon-down", "monerod")]


def behind() -> dict[str, Any]:
    found = look("healthy")
    found["daemon"].update(state="synchronizing", target_height=400, synchronized=False)
    return found


def test_a_daemon_that_is_behind_is_waited_for_and_never_restarted() -> None:
    plan = decide(behind(), sync_budget=900)
    assert not plan["decided"] and plan["start_period"] == 900 and "146 of 400 (254 blocks to go)" in plan["waiting"][0]["for"]
    assert decide(behind(), check=True)["decided"]
    over = decide(behind(), patience_over=True, confirm="restart:monerod")
    assert doing(over) == asking(over) == [] and "146 of 400" in told(over)


def test_wallets_that_follow_a_daemon_that_is_behind_are_no_cause() -> None:
    found = behind()
    wallet(found).update(state="syncing_busy", height=100, lag=46)
    plan = decide(found)
    assert causes(plan) == [("daemon-behind", "monerod")] and not plan["decided"]
    silent(found)
    assert doing(decide(found)) == ["restart:monero-wallet-rpc-buyer"]


def test_a_chain_that_is_fetched_anew_is_behind_and_not_taken_back() -> None:
    found = behind()
    found["daemon"]["height"] = 1
    assert causes(decide(found)) == [("daemon-behind", "monerod")]


@pytest.mark.parametrize(("state", "cause"), [("no_peers", "daemon-without-peers"), ("stale", "daemon-stale")])
def test_a_daemon_left_alone_is_a_persons_matter(state: str, cause: str) -> None:
    found = look("healthy")
    found["daemon"].update(state=state, evidence=["0 outgoing connections"])
    plan = decide(found)
    assert causes(plan) == [(cause, "monerod")] and doing(plan) == asking(plan) == [] and plan["escalate"]


def test_blocks_that_were_taken_back_make_deposits_doubtful() -> None:
    found = look("healthy")
    found["daemon"]["height"] = 140
    plan = decide(found)
    assert causes(plan) == [("blocks-taken-back", "monerod")] and doing(plan) == [] and not plan["decided"]
    assert "6 blocks below" in plan["causes"][0]["sentence"] and "unconfirmed again" in plan["risks"][0]
    assert "different chains" in told(decide(found, patience_over=True))


def test_another_last_block_at_the_same_height_too() -> None:
    before, now = look("healthy"), look("healthy")
    now["daemon"]["last_block_hash"] = "ab" * 32
    assert causes(decide(now, before=before)) == [("blocks-taken-back", "monerod")]
    assert causes(decide(before, before=before)) == []


def test_a_dead_wallet_beside_a_dead_daemon_is_started_after_it() -> None:
    found = look("daemon_down")
    wallet(found).update(wallet(look("wallet_killed")))
    assert doing(decide(found)) == ["start:monerod", "start:monero-wallet-rpc-buyer"]


def test_without_a_daemon_of_its_own_nothing_is_claimed_about_it() -> None:
    found = look("healthy")
    found["daemon"].update(service=None, state="unknown", height=None, container=None, process=None)
    assert decide(found)["settled"]
