# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks that were taken back, by the words of wallets that have followed."""

from __future__ import annotations

from typing import Any

from unit.plugins.wallet_plans import asking, causes, decide, doing, look, told, wallet

from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_detached import by_daemon, last

LINE = "2026-11-24 19:05:12.345 W Detached blockchain on height 143, transfers detached 1, blocks detached 4"


def test_the_last_time_counts() -> None:
    earlier = "2026-11-24 18:05:12.345 [RPC0] WARNING wallet.wallet2 x.cpp:9 Detached blockchain on height 90, transfers detached 0, blocks detached 1"
    assert last([earlier, LINE, "something else"]) == {"at": 1795547112.0, "height": 143, "transfers": 1, "blocks": 4}
    assert last([earlier]) == {"at": 1795543512.0, "height": 90, "transfers": 0, "blocks": 1}


def test_other_words_are_none() -> None:
    for line in (
        "Detached blockchain on height 143, transfers detached 1, blocks detached 4",
        "2026-13-44 19:05:12.345 W Detached blockchain on height 143, transfers detached 1, blocks detached 4",
        "2026-11-24 19:05:12.345 W Detaching blockchain on height 143",
    ):
        assert last([line]) is None


def reorganised(blocks: int, ago: float = 60, transfers: int = 0) -> dict[str, Any]:
    found = look("healthy")
    wallet(found)["detached"] = {"at": found["clock"] - ago, "height": 143, "transfers": transfers, "blocks": blocks}
    return found


def test_a_shallow_one_is_said_and_nothing_else() -> None:
    plan = decide(reorganised(4))
    assert plan["settled"] and doing(plan) == []
    assert (
        "4 blocks from 143 on were taken back (told by buyer)" in plan["risks"][0] and "unconfirmed again" in plan["risks"][0]
    )


def test_an_everyday_or_old_one_is_not_worth_a_word() -> None:
    assert decide(reorganised(1))["risks"] == []
    assert decide(reorganised(4, ago=4000))["risks"] == []


def test_a_deep_one_is_a_persons_matter() -> None:
    plan = decide(reorganised(10))
    assert causes(plan) == [("blocks-taken-back", "monerod")] and doing(plan) == asking(plan) == []
    assert "Count the confirmations" in told(plan) and plan["serving"] and not plan["settled"]


def test_an_import_of_multisig_info_is_no_reorganisation() -> None:
    plan = decide(reorganised(12, transfers=2))
    assert plan["settled"] and plan["risks"] == []


def test_the_daemon_s_own_word_counts_whatever_was_in_it() -> None:
    line = "2026-11-24 19:05:12.345 I REORGANIZE SUCCESS! on height: 143, new blockchain size: 148"
    assert by_daemon(["x", line, "y"]) == {"at": 1795547112.0, "height": 143, "blocks": 4}
    assert by_daemon(["x", line.replace("SUCCESS", "FAILURE"), "y"]) is None
    found = look("healthy")
    found["daemon"]["reorganised"] = {"at": found["clock"] - 5, "height": 143, "blocks": 4}
    assert "4 blocks from 143 on were taken back (told by monerod)" in decide(found)["risks"][0]
