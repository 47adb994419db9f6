# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an entry of the site's wallets leaves out is filled in, and nothing that it says is changed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.monero_marketplace.incident.plugins.filter.marketplace_wallets import FilterModule, marketplace_wallets


def test_what_is_left_out_is_filled_in() -> None:
    assert marketplace_wallets([{"role": "buyer", "service": "rpc"}], "/data") == [
        {
            "role": "buyer", "service": "rpc", "url": "", "directory": "/data/wallets/buyer", "wallet": "", "open": "on_demand",
            "address": "", "signer": "", "password": "",
        }
    ]  # fmt: skip


def test_what_is_said_stays() -> None:
    said = {
        "role": "vendor", "service": "rpc", "url": "http://127.0.0.1:1", "directory": "/w", "wallet": "escrow", "open": "always",
        "address": "4", "signer": "9f", "password": "p",
    }  # fmt: skip
    assert marketplace_wallets([said], "/data") == [said]
    assert marketplace_wallets([{**said, "directory": None}], "/d")[0]["directory"] == "/d/wallets/vendor"


def test_the_others_keep_their_own_name_and_password() -> None:
    site = [
        {"role": "buyer", "service": "b", "wallet": "first", "password": "1"},
        {"role": "vendor", "service": "v", "wallet": "second", "password": "2"},
        {"role": "arbiter", "service": "a", "directory": "/third"},
    ]
    arbiter = {"role": "arbiter", "directory": "/third", "wallet": "first", "password": ""}
    assert marketplace_wallets(site, "/d", beside="buyer", wallet="first") == [
        {"role": "vendor", "directory": "/d/wallets/vendor", "wallet": "second", "password": "2"},
        arbiter,
    ]
    # A wallet that is not the one the site names belongs to another escrow, in which all have the same name.
    other = marketplace_wallets(site, "/d", beside="buyer", wallet="escrow_7")
    assert [one["wallet"] for one in other] == ["escrow_7", "escrow_7"]
    assert marketplace_wallets(site[:1] + site[2:], "/d", beside="buyer") == []


@pytest.mark.parametrize("wrong", ["x", None, [1], [{"role": "buyer"}], {"role": "buyer", "service": "rpc"}])
def test_something_else_is_refused(wrong: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="role and a service"):
        marketplace_wallets(wrong, "/data")


def test_it_is_offered_by_its_name() -> None:
    assert FilterModule().filters() == {"marketplace_wallets": marketplace_wallets}
