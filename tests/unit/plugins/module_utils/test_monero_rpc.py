# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wallet RPC's login and answers, against a server that ties its nonce to the connection as the real one does."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _monero_rpc, _monero_wallet
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_rpc import (
    Digest,
    Login,
    LoginRefused,
    NoAnswer,
    Rpc,
    RpcError,
    login_from,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_wallet import Wallet, store, store_all, words

# As monero-wallet-rpc 0.18 said them.
CHALLENGES = [
    'Digest qop="auth",algorithm=MD5,realm="monero-rpc",nonce="{nonce}",stale=false',
    'Digest qop="auth",algorithm=MD5-sess,realm="monero-rpc",nonce="{nonce}",stale=false',
]
HEIGHT = {"id": "0", "jsonrpc": "2.0", "result": {"height": 101}}
STORED: dict[str, Any] = {"id": "0", "jsonrpc": "2.0", "result": {}}
NO_WALLET = {"error": {"code": -13, "message": "No wallet file"}, "id": "0", "jsonrpc": "2.0"}
FAILED = {"error": {"code": -1, "message": "Failed to save file\x1b[31m"}, "id": "0", "jsonrpc": "2.0"}
LOGIN = Login("marketplace", "pa:ss")


class WalletServer(ThreadingHTTPServer):
    """Answers of a wallet RPC by method; what is callable gets the handler."""

    daemon_threads = True

    def __init__(self, *challenges: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.challenges = challenges
        self.answers: dict[str, Any] = {"get_height": HEIGHT, "store": STORED}
        self.asked: list[dict[str, Any]] = []
        self.connections = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked went away, as a module whose time is over does."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WalletServer

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1
        self.nonce, self.count = f"nonce{self.server.connections}==", 0

    def log_message(self, *_what: object) -> None:
        pass

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.challenges and not self._proven():
            self._say(401, b"<html>", *(one.format(nonce=self.nonce) for one in self.server.challenges))
            return
        self.server.asked.append(question)
        answer = self.server.answers[question["method"]]
        if callable(answer):
            answer(self)
        else:
            self._say(200, json.dumps(answer).encode())

    def _proven(self) -> bool:
        said = dict(re.findall(r'(\w+)="?([^",]*)"?', self.headers.get("Authorization", "")))
        self.count += bool(said)
        if said.get("nonce") != self.nonce or int(said["nc"], 16) != self.count:
            return False
        identity = md5(f"marketplace:monero-rpc:{LOGIN.password}")
        if said["algorithm"] == "MD5-sess":
            identity = md5(f"{identity}:{self.nonce}:{said['cnonce']}")
        return said["response"] == md5(f"{identity}:{self.nonce}:{said['nc']}:{said['cnonce']}:auth:{md5('POST:/json_rpc')}")

    def _say(self, status: int, body: bytes, *challenges: str) -> None:
        self.send_response(status)
        for one in challenges:
            self.send_header("WWW-authenticate", one)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
def wallet() -> Iterator[WalletServer]:
    yield from serving(*CHALLENGES)


@pytest.fixture
def open_wallet() -> Iterator[WalletServer]:
    yield from serving()


def serving(*challenges: str) -> Iterator[WalletServer]:
    server = WalletServer(*challenges)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_login_goes_over_the_connection_of_its_nonce(wallet: WalletServer) -> None:
    with Rpc(wallet.url, LOGIN) as rpc:
        assert rpc.call("get_height", {}, 3) == {"height": 101}
        assert rpc.call("store", {}, 3) == {}
        assert rpc.call("get_height", {}, 3) == {"height": 101}
    assert wallet.connections == 1
    assert [one["method"] for one in wallet.asked] == ["get_height", "store", "get_height"]
    assert all(one["params"] == {} for one in wallet.asked), "a wallet that gets no params forgets its defaults"


def test_a_nonce_of_another_connection_is_refused(wallet: WalletServer) -> None:
    """What urllib does, and why it is not used here."""
    with Rpc(wallet.url, LOGIN) as rpc:
        rpc.call("get_height", {}, 3)
        digest = rpc._digest
        assert digest is not None
        other = http.client.HTTPConnection("127.0.0.1", wallet.server_address[1], timeout=3)
        other.request("POST", "/json_rpc", "{}", {"Authorization": digest.answer("POST", "/json_rpc")})
        assert other.getresponse().status == 401
        other.close()


def test_md5_sess() -> None:
    for server in serving(CHALLENGES[1]):
        with Rpc(server.url, LOGIN) as rpc:
            assert rpc.call("get_height", {}, 3) == {"height": 101}
            assert rpc.call("get_height", {}, 3) == {"height": 101}


def test_the_example_of_the_standard() -> None:
    """RFC 7616, 3.9.1."""
    said = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    digest = Digest(Login("Mufasa", "Circle of Life"), [said], own="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
    answer = digest.answer("GET", "/dir/index.html")
    assert 'response="8ca523f5e9506fed4657c9700eebdbec"' in answer
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in answer


@pytest.mark.parametrize("login", [None, Login("marketplace", "wrong")])
def test_without_the_right_login(wallet: WalletServer, login: Login | None) -> None:
    with Rpc(wallet.url, login) as rpc, pytest.raises(LoginRefused):
        rpc.call("get_height", {}, 3)
    assert wallet.asked == []


def test_a_login_of_another_kind() -> None:
    for server in serving('Basic realm="x"'):
        with Rpc(server.url, LOGIN) as rpc, pytest.raises(LoginRefused, match="another kind"):
            rpc.call("get_height", {}, 3)


def test_no_login_where_none_is_asked(open_wallet: WalletServer) -> None:
    with Rpc(open_wallet.url, LOGIN) as rpc:
        assert rpc.call("get_height", {}, 3) == {"height": 101}


def test_an_error_of_the_wallet(open_wallet: WalletServer) -> None:
    open_wallet.answers["store"] = FAILED
    with Rpc(open_wallet.url) as rpc, pytest.raises(RpcError) as raised:
        rpc.call("store", {}, 3)
    assert raised.value.code == -1 and "\x1b" not in str(raised.value)


def hangs(_handler: Handler) -> None:
    time.sleep(60)


def drips(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 Ok\r\nContent-Length: 100000\r\n\r\n")
    for _number in range(3000):
        try:
            handler.wfile.write(b" ")
        except OSError:
            return
        time.sleep(0.02)


def swamps(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 Ok\r\n\r\n")
    for _number in range(40):
        try:
            handler.wfile.write(b" " * 65536)
        except OSError:
            return


@pytest.mark.parametrize("behaviour", [hangs, drips])
def test_who_hangs_or_drips_is_silent_in_time(open_wallet: WalletServer, behaviour: Any) -> None:
    open_wallet.answers["store"] = behaviour
    began = time.monotonic()
    with Rpc(open_wallet.url) as rpc, pytest.raises(NoAnswer, match=r"no answer to store within 0\.3 s"):
        rpc.call("store", {}, 0.3)
    assert time.monotonic() - began < 15


def test_a_flood_is_not_read(open_wallet: WalletServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_monero_rpc, "REPLY_LIMIT", 100_000)
    open_wallet.answers["store"] = swamps
    with Rpc(open_wallet.url) as rpc, pytest.raises(NoAnswer, match="longer than"):
        rpc.call("store", {}, 3)


@pytest.mark.parametrize("answer", [[], "x", {"id": "0"}, {"result": []}])
def test_what_is_no_answer_of_an_rpc(open_wallet: WalletServer, answer: Any) -> None:
    open_wallet.answers["store"] = answer
    with Rpc(open_wallet.url) as rpc, pytest.raises(NoAnswer):
        rpc.call("store", {}, 3)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = store(Wallet("buyer", f"http://127.0.0.1:{port}"), 1, 1)
    assert found["state"] == "port_closed"


def test_the_login_never_shows() -> None:
    assert "pa:ss" not in repr(LOGIN) and "pa:ss" not in repr(Wallet("buyer", "http://x", LOGIN))


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("rpc-login=marketplace:secret\n", Login("marketplace", "secret")),
        ("# by hand\nlog-level=0\nrpc-login = a:b:c\n", Login("a", "b:c")),
        ("user:password", Login("user", "password")),
        ("log-level=0:x\n", None),
        ("\n", None),
        ("rpc-login=marketplace\n", None),
        ("rpc-login=:x\n", None),
    ],
)
def test_the_file_of_the_login(text: str, login: Login | None) -> None:
    assert login_from(text) == login


def test_a_wallet_is_stored(wallet: WalletServer) -> None:
    found = store(Wallet("buyer", wallet.url, LOGIN), 3, 3)
    assert (found["state"], found["height_before"], found["height_after"]) == ("stored", 101, 101)


def test_only_looking_stores_nothing(wallet: WalletServer) -> None:
    found = store(Wallet("buyer", wallet.url, LOGIN), 3, 3, dry=True)
    assert found["state"] == "ready"
    assert [one["method"] for one in wallet.asked] == ["get_height"]


@pytest.mark.parametrize(
    ("method", "answer", "state"),
    [
        ("get_height", NO_WALLET, "no_wallet_open"),
        ("store", NO_WALLET, "no_wallet_open"),
        ("store", FAILED, "failed"),
        ("store", "nonsense", "not_responding"),
        ("store", hangs, "not_responding"),
    ],
)
def test_what_became_of_it(wallet: WalletServer, method: str, answer: Any, state: str) -> None:
    wallet.answers[method] = answer
    assert store(Wallet("buyer", wallet.url, LOGIN), 0.5, 0.5)["state"] == state


def test_stored_stays_stored_when_nothing_is_said_after_it(wallet: WalletServer) -> None:
    def stores(handler: Handler) -> None:
        handler.server.answers["get_height"] = hangs
        handler._say(200, json.dumps(STORED).encode())

    wallet.answers["store"] = stores
    found = store(Wallet("buyer", wallet.url, LOGIN), 0.3, 0.5)
    assert (found["state"], found["height_before"], found["height_after"]) == ("stored", 101, None)


def test_all_at_once_and_told_in_order(wallet: WalletServer) -> None:
    wallet.answers["get_height"] = wallet.answers["store"] = hangs
    told: list[str] = []
    wallets = [Wallet(name, wallet.url, LOGIN) for name in ("buyer", "vendor", "arbiter")]
    began = time.monotonic()
    found = store_all(wallets, 3, 3, False, lambda one: told.append(one["name"]))
    assert time.monotonic() - began < 15, "two questions each: one after the other they would take eighteen seconds"
    assert told == ["buyer", "vendor", "arbiter"]
    assert words(found).startswith("buyer: not_responding (no answer to store within 3 s); vendor: ")


def test_one_that_is_busy_is_asked_to_store_all_the_same(wallet: WalletServer) -> None:
    wallet.answers["get_height"] = hangs
    (found,) = store_all([Wallet("buyer", wallet.url, LOGIN)], 0.2, 5.0, False, lambda _one: None)
    assert (found["state"], found["height_before"]) == ("stored", None)


def test_a_login_file_that_is_none(tmp_path: Any) -> None:
    with pytest.raises(_monero_wallet.NoLogin, match="cannot be read"):
        _monero_wallet.read_login(str(tmp_path / "none"))
    (tmp_path / "empty").write_text("")
    with pytest.raises(_monero_wallet.NoLogin, match="holds no login"):
        _monero_wallet.read_login(str(tmp_path / "empty"))
