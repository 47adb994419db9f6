# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three wallets' RPC and the daemon's, asked every few seconds; the server works on without them."""

from __future__ import annotations

import http.client
import threading

from .log import log
from .rpc import LoginError, Rpc, RpcError

ASK_EVERY_SECONDS = 2.0
ANSWER_SECONDS = 3.0
# Opening reads the wallet's files and looks at the chain: seconds, and the RPC answers nobody else meanwhile.
OPEN_SECONDS = 60.0
NO_WALLET_FILE = -13
UNANSWERED = (OSError, ValueError, http.client.HTTPException)

READY, NO_WALLET, REFUSED, SILENT = "ready", "no_wallet_open", "auth_required", "not_responding"


class WalletWatch(threading.Thread):
    """Knows the state of one wallet, and once after the server's start sees to it that one is open.

    Later only a payout opens wallets: what somebody closed or changed meanwhile stays as it is.
    """

    def __init__(self, role: str, url: str, login: str, wallet_name: str) -> None:
        super().__init__(name=f"wallet-{role}", daemon=True)
        self.role = role
        self.state = SILENT
        self._rpc = Rpc(url, login)
        self._wallet_name = wallet_name
        self._saw_one_open = False
        self._stopping = threading.Event()

    @property
    def answers(self) -> bool:
        return self.state in (READY, NO_WALLET)

    def run(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(ASK_EVERY_SECONDS)

    def look(self) -> None:
        before, self.state = self.state, self._ask()
        if self.state != before:
            log("info", "wallet state", wallet=self.role, state=self.state, before=before)
        if self.state == NO_WALLET and not self._saw_one_open:
            self._open()
        self._saw_one_open = self._saw_one_open or self.state == READY

    def stop(self) -> None:
        self._stopping.set()

    def _ask(self) -> str:
        try:
            self._rpc.call("get_height", ANSWER_SECONDS)
        except RpcError as problem:
            return NO_WALLET if problem.code == NO_WALLET_FILE else READY
        except LoginError:
            return REFUSED
        except UNANSWERED:
            return SILENT
        return READY

    def _open(self) -> None:
        try:
            self._rpc.call("open_wallet", OPEN_SECONDS, filename=self._wallet_name, password="")
            self.state = READY
            log("info", "wallet opened", wallet=self.role, name=self._wallet_name)
        except (RpcError, LoginError, *UNANSWERED) as problem:
            log("warning", "wallet not opened", wallet=self.role, name=self._wallet_name, reason=str(problem))


class DaemonWatch(threading.Thread):
    """Knows whether the daemon answers, its height and the time of its last block."""

    def __init__(self, url: str) -> None:
        super().__init__(name="daemon", daemon=True)
        self.up = False
        self.synchronized = False
        self.height = 0
        self.last_block = 0
        self.network = ""
        self._rpc = Rpc(url)
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                info = self._rpc.call("get_info", ANSWER_SECONDS)
                header = self._rpc.call("get_last_block_header", ANSWER_SECONDS)["block_header"]
                self.synchronized, self.height = bool(info["synchronized"]), int(info["height"])
                self.last_block, self.network = int(header["timestamp"]), str(info["nettype"])
                self.up = True
            except (RpcError, KeyError, *UNANSWERED):
                self.up = False
            self._stopping.wait(ASK_EVERY_SECONDS)

    def stop(self) -> None:
        self._stopping.set()
