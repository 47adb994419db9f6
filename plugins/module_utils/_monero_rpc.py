# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Monero's JSON-RPC over one connection, with its digest login.

The wallet RPC ties its nonce to the TCP connection on which it gave it. Ansible's open_url (urllib) answers a challenge on another
connection and so is refused for ever; here question, challenge and answer go over the same one.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable
from urllib.parse import urlsplit

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _safe_json
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

PATH = "/json_rpc"
REPLY_LIMIT = 1024 * 1024
_PAIR = re.compile(r'([a-zA-Z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')


class RpcError(Exception):
    """The RPC answered, with an error of its own."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code


class LoginRefused(Exception):
    """The RPC wants a login that it was not given."""


class NoAnswer(Exception):
    """Nobody answered in time, or not with what an RPC says. closed: nobody listens at all. late: nothing came in time."""

    def __init__(self, detail: str, closed: bool = False, late: bool = False) -> None:
        super().__init__(detail)
        self.closed = closed
        self.late = late


@dataclass(frozen=True)
class Login:
    """Never shown: neither in an error nor in a representation."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "Login(…)"


def login_from(text: str) -> Login | None:
    """The login in a file: a line `rpc-login=user:password` of a Monero configuration, or user:password alone."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    named = [line.partition("=")[2].strip() for line in lines if line.partition("=")[0].strip() == "rpc-login"]
    found = named or (lines if len(lines) == 1 and not re.match(r"[a-z-]+\s*=", lines[0]) else [])
    user, colon, password = found[0].partition(":") if found else ("", "", "")
    return Login(user, password) if colon and user else None


def challenges(headers: list[str]) -> list[dict[str, str]]:
    """Each Digest challenge, by its parameters."""
    found = []
    for header in headers:
        scheme, _space, rest = header.strip().partition(" ")
        if scheme.lower() == "digest":
            found.append({name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(rest)})
    return found


class Digest:
    """The login's answers to one challenge, counted as RFC 7616 wants it."""

    def __init__(self, login: Login, headers: list[str], own: str | None = None) -> None:
        known = [one for one in challenges(headers) if one.get("algorithm", "MD5").upper() in ("MD5", "MD5-SESS")]
        able = [one for one in known if "auth" in re.split(r"[\s,]+", one.get("qop", ""))]
        if not able:
            raise LoginRefused("it wants a login of another kind than digest (MD5, qop auth)")
        self._login, self._said = login, able[0]
        self._own, self._count = own or os.urandom(12).hex(), 0

    def answer(self, method: str, path: str) -> str:
        """The Authorization header for the next request."""
        self._count += 1
        said, count = self._said, f"{self._count:08x}"
        realm, nonce, algorithm = said.get("realm", ""), said.get("nonce", ""), said.get("algorithm", "MD5")
        identity = _md5(f"{self._login.user}:{realm}:{self._login.password}")
        if algorithm.upper() == "MD5-SESS":
            identity = _md5(f"{identity}:{nonce}:{self._own}")
        response = _md5(f"{identity}:{nonce}:{count}:{self._own}:auth:" + _md5(f"{method}:{path}"))
        opaque = f', opaque="{said["opaque"]}"' if "opaque" in said else ""
        return (
            f'Digest username="{self._login.user}", realm="{realm}", nonce="{nonce}", uri="{path}", algorithm={algorithm}, '
            f'qop=auth, nc={count}, cnonce="{self._own}", response="{response}"{opaque}'
        )


def _md5(text: str) -> str:
    # The protocol's choice, not ours; said so for systems on which MD5 is otherwise switched off.
    return hashlib.new("md5", text.encode(), usedforsecurity=False).hexdigest()


class Rpc:
    """One connection to one RPC. Use as a context; each call has a deadline of its own.

    A proxy may have it below a path of its own: what the URL says goes in front of the RPC's.
    """

    def __init__(
        self, url: str, login: Login | None = None, context: ssl.SSLContext | None = None, limit: int = REPLY_LIMIT
    ) -> None:
        parts = urlsplit(url)
        self._limit = limit
        self._path = parts.path.rstrip("/") if parts.path.rstrip("/").endswith(PATH) else parts.path.rstrip("/") + PATH
        host, port = parts.hostname or "", parts.port
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            self._connection = http.client.HTTPSConnection(host, port, context=context or ssl.create_default_context())
        else:
            self._connection = http.client.HTTPConnection(host, port)
        # A second connection would not know the nonce: a lost one is an answer, and is not opened anew behind our back.
        self._connection.auto_open = 0
        self._plug: socket.socket | None = None
        self._login = login
        self._digest: Digest | None = None

    def __enter__(self) -> Rpc:
        return self

    def __exit__(self, *_what: object) -> None:
        self._connection.close()

    def call(self, method: str, params: dict[str, Any], timeout: float) -> dict[str, Any]:
        """One call. params are always sent: without them older wallets forget their defaults."""
        deadline = time.monotonic() + timeout
        question = json.dumps({"jsonrpc": "2.0", "id": "0", "method": method, "params": params})
        reused = self._connection.sock is not None
        try:
            try:
                reply = self._bounded(lambda: self._asked(question, deadline), deadline)
            except ConnectionError:
                # Some servers end a connection between two calls; the next one has a challenge of its own.
                if not reused or time.monotonic() >= deadline:
                    raise
                reply = self._bounded(lambda: self._asked(question, deadline), deadline)
        except (OSError, http.client.HTTPException, ValueError) as silence:
            raise self._silence(silence, method, timeout, deadline) from None
        error = reply.get("error")
        if isinstance(error, dict):
            code = error.get("code")
            raise RpcError(
                code if isinstance(code, int) else 0, clean_line(str(error.get("message") or "no reason given"), 200)
            )
        result = reply.get("result")
        if not isinstance(result, dict):
            raise NoAnswer(f"its answer to {method} holds no result")
        return result

    def _silence(self, silence: Exception, method: str, timeout: float, deadline: float) -> NoAnswer:
        if isinstance(silence, socket.timeout) or time.monotonic() >= deadline:
            return NoAnswer(f"no answer to {method} within {timeout:.2g} s", late=True)
        said = clean_line(str(silence) or type(silence).__name__, 200)
        if isinstance(silence, (ValueError, http.client.HTTPException)) and not isinstance(silence, ConnectionError):
            return NoAnswer(f"its answer to {method} is not what an RPC says: {said}")
        closed = isinstance(silence, (ConnectionRefusedError, socket.gaierror)) or getattr(silence, "errno", 0) in (113, 101)
        return NoAnswer(said, closed)

    def _asked(self, question: str, deadline: float) -> dict[str, Any]:
        if self._connection.sock is None:
            self._connection.timeout = _left(deadline)
            self._connection.connect()
            self._plug = self._connection.sock
            self._digest = None
        status, headers, body = self._post(question, deadline)
        if status == 401:
            if self._login is None:
                raise LoginRefused("it wants a login, and none is given")
            self._digest = Digest(self._login, headers)
            status, _headers, body = self._post(question, deadline)
        if status == 401:
            raise LoginRefused("it refuses the login given")
        if status != 200:
            raise ValueError(f"HTTP status {status}")
        reply = _safe_json.loads(body)
        if not isinstance(reply, dict):
            raise ValueError("it is no object")
        return reply

    def _post(self, question: str, deadline: float) -> tuple[int, list[str], bytes]:
        headers = {"Content-Type": "application/json"}
        if self._digest is not None:
            headers["Authorization"] = self._digest.answer("POST", self._path)
        if self._connection.sock is None:
            raise ConnectionError("it closed the connection after its challenge, so that no login can be given")
        self._connection.sock.settimeout(_left(deadline))
        self._connection.request("POST", self._path, question, headers)
        with self._connection.getresponse() as answer:
            body = answer.read(self._limit + 1)
            if len(body) > self._limit:
                raise ValueError(f"it is longer than {self._limit} bytes")
            return answer.status, answer.headers.get_all("WWW-Authenticate") or [], body

    def _bounded(self, ask: Callable[[], dict[str, Any]], deadline: float) -> dict[str, Any]:
        """A time-out of the socket begins anew with each byte; this one does not."""
        cut = threading.Timer(max(0.0, deadline - time.monotonic()), self._cut)
        cut.daemon = True
        cut.start()
        with contextlib.ExitStack() as failed:
            failed.callback(cut.cancel)
            # After a failure nobody knows what still is under way on it.
            failed.callback(self._connection.close)
            answer = ask()
            failed.pop_all()
        cut.cancel()
        return answer

    def _cut(self) -> None:
        # The connection forgets its socket when the answer says that it ends with it.
        for plug in (self._plug, self._connection.sock):
            with contextlib.suppress(OSError):  # it ended by itself in this very moment
                if plug is not None:
                    plug.shutdown(socket.SHUT_RDWR)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left
