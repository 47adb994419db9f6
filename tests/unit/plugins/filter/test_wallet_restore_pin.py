# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pin of a wallet is the inventory's, else the desk's; a contradiction is nobody's to decide."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.filter.backup_pins import backup_pins
from ansible_collections.monero_marketplace.incident.plugins.filter.wallet_restore_pin import FilterModule

MADE = [{"state": "made", "role": "buyer", "created": "now", "wallets": [{"name": "escrow_1", "keys_sha256": "a" * 64}]}]
DESK = backup_pins("", MADE, "market-1")["text"]


def pin(text: str, wallet: str = "escrow_1", signer: str = "") -> dict[str, Any]:
    asked = FilterModule().filters()["wallet_restore_pin"]
    return dict(asked(text, host="market-1", role="buyer", wallet=wallet, signer=signer))


@pytest.mark.parametrize(
    ("text", "signer", "found"),
    [("", "", ""), ("", "b" * 64, "b" * 64), (DESK, "", "a" * 64), (DESK, "A" * 64, "A" * 64)],
)
def test_the_inventorys_else_the_desks(text: str, signer: str, found: str) -> None:
    assert pin(text, signer=signer) == {"pin": found, "problem": ""}


def test_another_wallets_pin_is_none() -> None:
    assert pin(DESK, wallet="escrow_2") == {"pin": "", "problem": ""}


def test_a_contradiction_is_no_pin() -> None:
    found = pin(DESK, signer="b" * 64)
    assert found["pin"] == "" and "bbbbbbbb" in found["problem"] and "aaaaaaaa" in found["problem"]


@pytest.mark.parametrize("text", ["{", "[]", "null", json.dumps({"wallets": {"buyer": 1}})])
def test_what_cannot_be_understood_is_no_pin(text: str) -> None:
    found = pin(text, signer="b" * 64)
    assert found["pin"] == "" and "pins/wallets/market-1.json" in found["problem"]
