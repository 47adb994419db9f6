# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody closed the vendor's wallet and left its RPC running: it answers, and has nothing to sign with."""

from __future__ import annotations

from lab.faults.outside import must_show
from lab.faults.wallets import ask, must_be_open, server_says
from lab.instance import Lab

SUMMARY = "no escrow is paid: the vendor's wallet RPC answers, and has no wallet open (-13)"


def break_(lab: Lab) -> None:
    must_be_open(lab)
    ask(lab, "close_wallet", autosave_current=True)
    must_show("a wallet RPC without a wallet", lambda: server_says(lab, "no_wallet_open"))
