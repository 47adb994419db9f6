# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Monero's JSON-RPC with digest authentication.

The wallet ties its nonce to one connection, and urllib answers the challenge on another: so question, challenge and
answer go over one connection here.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
from typing import Any
from urllib.parse import urlsplit

PATH = "/json_rpc"


class RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code


class LoginError(Exception):
    """The RPC wants another user or password."""


class Rpc:
    def __init__(self, url: str, login: str = "") -> None:
        self._address = urlsplit(url).netloc
        self._user, _, self._password = login.partition(":")

    def call(self, method: str, timeout: float, **params: object) -> dict[str, Any]:
        question = json.dumps({"jsonrpc": "2.0", "id": "0", "method": method, "params": params})
        headers = {"Content-Type": "application/json"}
        connection = http.client.HTTPConnection(self._address, timeout=timeout)
        try:
            status, challenge, body = _ask(connection, question, headers)
            if status == 401 and self._user:
                headers["Authorization"] = self._answer(challenge)
                status, _, body = _ask(connection, question, headers)
        finally:
            connection.close()
        if status == 401:
            raise LoginError("the RPC login is refused")
        if status != 200:
            raise ConnectionError(f"the RPC answered {status}")
        reply = json.loads(body)
        if "error" in reply:
            raise RpcError(reply["error"]["code"], reply["error"]["message"])
        return dict(reply["result"])

    def _answer(self, challenge: str) -> str:
        """RFC 2617, algorithm MD5, qop auth: the first of the two that the RPC offers."""
        realm, nonce = _part(challenge, "realm"), _part(challenge, "nonce")
        count, own = "00000001", os.urandom(8).hex()
        identity = _md5(f"{self._user}:{realm}:{self._password}")
        response = _md5(f"{identity}:{nonce}:{count}:{own}:auth:" + _md5(f"POST:{PATH}"))
        return (
            f'Digest username="{self._user}", realm="{realm}", nonce="{nonce}", uri="{PATH}", algorithm=MD5,'
            f' qop=auth, nc={count}, cnonce="{own}", response="{response}"'
        )


def _ask(connection: http.client.HTTPConnection, question: str, headers: dict[str, str]) -> tuple[int, str, bytes]:
    connection.request("POST", PATH, question, headers)
    answer = connection.getresponse()
    return answer.status, answer.getheader("WWW-Authenticate") or "", answer.read()


def _part(challenge: str, name: str) -> str:
    found = re.search(rf'{name}="([^"]*)"', challenge)
    return found.group(1) if found else ""


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
