# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person sees while wallets and daemon come back."""

from __future__ import annotations

from unit.plugins.wallet_plans import look, wallet

from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_info import waiting


def test_nothing_is_waited_for_where_all_is_well() -> None:
    assert waiting(look("healthy")) == ""


def test_a_daemon_and_a_wallet_that_read_the_chain_say_how_far_they_are() -> None:
    found = look("healthy")
    found["daemon"].update(state="synchronizing", height=3_210_400, target_height=3_306_512)
    wallet(found).update(state="syncing_busy", height=1_200)
    assert waiting(found) == (
        "daemon: synchronizing (3,210,400 of 3,306,512 blocks); buyer: syncing_busy (1,200 of 3,210,400 blocks)"
    )


def test_a_height_that_is_not_told_is_not_made_up() -> None:
    found = look("wallet_killed")
    assert waiting(found) == "buyer: container_down"
    wallet(found).update(state="syncing_busy", height=None)
    assert waiting(found) == "buyer: syncing_busy"
