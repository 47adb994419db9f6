# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another wallet is open in the vendor's RPC: all of them answer, health says ready, and they do not share one address."""

from __future__ import annotations

from lab.faults.outside import must_show
from lab.faults.wallets import ask, must_be_open
from lab.instance import Lab
from lab.stack.project import WALLET_NAMES

SUMMARY = "no escrow of escrow_1 is paid: the vendor's wallet RPC has escrow_2 open, and health says ready"


def break_(lab: Lab) -> None:
    must_be_open(lab)
    ask(lab, "close_wallet", autosave_current=True)
    ask(lab, "open_wallet", filename=WALLET_NAMES[1], password="", autosave_current=True)
    must_show("an address that is not the buyer's", lambda: _address(lab, "vendor") != _address(lab, "buyer"))


def _address(lab: Lab, role: str) -> str:
    return str(ask(lab, "get_address", role, account_index=0)["address"])
