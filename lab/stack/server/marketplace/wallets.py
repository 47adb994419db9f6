# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three wallets' RPC and the daemon's, asked every few seconds; the server works on without them."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from typing import Any

from .log import log

ASK_EVERY_SECONDS = 2.0
ANSWER_SECONDS = 3.0
# Opening reads the wallet's files and looks at the chain: seconds, and the RPC answers nobody else meanwhile.
OPEN_SECONDS = 60.0
NO_WALLET_FILE = -13

READY, NO_WALLET, REFUSED, SILENT = "ready", "no_wallet_open", "auth_required", "not_responding"


class RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code


class Rpc:
    """JSON-RPC over HTTP, with digest authentication where a login is given."""

    def __init__(self, url: str, login: str = "") -> None:
        self._url = f"{url}/json_rpc"
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if login:
            user, _, password = login.partition(":")
            passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
            passwords.add_password(None, url, user, password)
            handlers.append(urllib.request.HTTPDigestAuthHandler(passwords))
        self._opener = urllib.request.build_opener(*handlers)

    def call(self, method: str, timeout: float, **params: object) -> dict[str, Any]:
        question = {"jsonrpc": "2.0", "id": "0", "method": method, "params": params}
        request = urllib.request.Request(self._url, json.dumps(question).encode(), {"Content-Type": "application/json"})
        with self._opener.open(request, timeout=timeout) as answer:
            reply = json.load(answer)
        if "error" in reply:
            raise RpcError(reply["error"]["code"], reply["error"]["message"])
        return dict(reply["result"])


class WalletWatch(threading.Thread):
    """Knows the state of one wallet, and opens its escrow wallet where none is open."""

    def __init__(self, role: str, url: str, login: str, wallet_name: str) -> None:
        super().__init__(name=f"wallet-{role}", daemon=True)
        self.role = role
        self.state = SILENT
        self._rpc = Rpc(url, login)
        self._wallet_name = wallet_name
        self._stopping = threading.Event()

    @property
    def answers(self) -> bool:
        return self.state in (READY, NO_WALLET)

    def run(self) -> None:
        while not self._stopping.is_set():
            before, self.state = self.state, self._ask()
            if self.state != before:
                log("info", "wallet state", wallet=self.role, state=self.state, before=before)
            if self.state == NO_WALLET:
                self._open()
            self._stopping.wait(ASK_EVERY_SECONDS)

    def stop(self) -> None:
        self._stopping.set()

    def _ask(self) -> str:
        try:
            self._rpc.call("get_height", ANSWER_SECONDS)
        except RpcError as problem:
            return NO_WALLET if problem.code == NO_WALLET_FILE else READY
        except urllib.error.HTTPError as problem:
            return REFUSED if problem.code == 401 else SILENT
        except (OSError, ValueError):
            return SILENT
        return READY

    def _open(self) -> None:
        try:
            self._rpc.call("open_wallet", OPEN_SECONDS, filename=self._wallet_name, password="")
            self.state = READY
            log("info", "wallet opened", wallet=self.role, name=self._wallet_name)
        except (RpcError, OSError, ValueError) as problem:
            log("warning", "wallet not opened", wallet=self.role, name=self._wallet_name, reason=str(problem))


class DaemonWatch(threading.Thread):
    """Knows whether the daemon answers, its height and the time of its last block."""

    def __init__(self, url: str) -> None:
        super().__init__(name="daemon", daemon=True)
        self.up = False
        self.synchronized = False
        self.height = 0
        self.last_block = 0
        self._rpc = Rpc(url)
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                info = self._rpc.call("get_info", ANSWER_SECONDS)
                header = self._rpc.call("get_last_block_header", ANSWER_SECONDS)["block_header"]
                self.synchronized, self.height = bool(info["synchronized"]), int(info["height"])
                self.last_block = int(header["timestamp"])
                self.up = True
            except (RpcError, OSError, ValueError, KeyError):
                self.up = False
            self._stopping.wait(ASK_EVERY_SECONDS)

    def stop(self) -> None:
        self._stopping.set()
