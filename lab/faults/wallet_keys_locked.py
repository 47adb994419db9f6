# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second wallet RPC, started by somebody to look something up, has the vendor's wallet open and holds the lock on its keys."""

from __future__ import annotations

from lab.faults import wallets
from lab.faults.outside import must_show
from lab.instance import Lab
from lab.stack.project import WALLET_NAME

SUMMARY = "no escrow is paid: the vendor's wallet cannot be opened, a second live process holds the lock on its keys"


def break_(lab: Lab) -> None:
    wallets.must_be_open(lab)
    wallets.ask(lab, "close_wallet", autosave_current=True)
    wallets.run_stranger(
        lab, "monero-wallet-rpc", f"--wallet-file=/wallets/{WALLET_NAME}", "--password", "", "--daemon-address=monerod:18081",
        "--trusted-daemon", "--rpc-bind-port=18083", "--disable-rpc-login", "--non-interactive", "--log-file=/tmp/check.log",
    )  # fmt: skip
    must_show("a second process that holds the keys", lambda: _held(lab), 90)
    must_show("a wallet that cannot be opened", lambda: wallets.open_fails(lab), 20)
    must_show("a wallet RPC without a wallet", lambda: wallets.server_says(lab, "no_wallet_open"))


heal_ = wallets.remove_stranger


def _held(lab: Lab) -> bool:
    """By what its process has open: it answers nobody outside its own container."""
    script = "for p in $(docker top $0 -eo pid | tail -n +2); do ls -l /proc/$p/fd; done | grep -q '[.]keys$'"
    return lab.run(["sh", "-c", script, wallets.STRANGER]).returncode == 0
