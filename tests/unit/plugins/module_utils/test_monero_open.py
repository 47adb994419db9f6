# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening and closing a named wallet, and why one could not be opened, told by what monero-wallet-rpc 0.18.0.0 really logged."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.rpc_server import RpcServer, serving

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _monero_files, _monero_open
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Questions
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_wallet import Wallet, store_all

NO_WALLET = {"code": -13, "message": "No wallet file"}
REFUSED = {"code": -1, "message": "Failed to open wallet"}
LOADED = "2026-11-24 18:37:09.759\tW Loaded wallet keys file, with public address: 46Zm"
THROWN = "2026-11-24 18:36:59.871\tE !r. THROW EXCEPTION: error::wallet_internal_error"


@pytest.mark.parametrize(
    ("code", "message", "lines", "state"),
    [
        (-1, "Failed to open wallet", ["E portable_storage: wrong binary format", "E !r. THROW EXCEPTION: error::invalid_password"], "wrong_password"),
        (-22, "Invalid password.", [], "wrong_password"),
        (-1, "Failed to open wallet : Invalid password.", [], "wrong_password"),
        (-1, "Failed to open wallet", ["E e || !exists. THROW EXCEPTION: error::file_not_found"], "missing"),
        (-1, 'Failed to open wallet : file not found "/wallets/x.keys"', [], "missing"),
        (-1, "Failed to open wallet", ["E Failed to lock /wallets/x.keys: Resource temporarily unavailable", THROWN], "keys_locked"),
        (-1, 'Failed to open wallet : internal error: "x.keys" is opened by another wallet program', [], "keys_locked"),
        (-1, "Failed to open wallet", [THROWN], "keys_damaged"),
        (-1, "Failed to open wallet", [LOADED, THROWN, "W Failed to open portable binary, trying unportable"], "cache_damaged"),
        (-23, "No wallet dir configured", [], "failed"),
        (-1, "Failed to open wallet", [], "failed"),
        (-1, "Failed\x1b[31m", [], "failed"),
    ],
)  # fmt: skip
def test_why_it_was_not_opened(code: int, message: str, lines: list[str], state: str) -> None:
    said, words = _monero_open.reason(code, message, lines)
    assert said == state and words and "\x1b" not in words


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("escrow_1.keys", "escrow_1", "escrow_2.keys", "escrow_2"):
        (tmp_path / name).write_text(name)
    return tmp_path


class OneWallet:
    """A wallet RPC that opens by taking the lock, as the real one does."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.open, self.held = directory, "", None
        self.log = directory.parent / "json.log"
        self.log.write_text('{"log":"before\\n"}\n')
        self.refuse: tuple[dict[str, Any], list[str]] | None = None
        self.heights: dict[str, int] = {}
        self.on_disk: dict[str, int] = {}

    def answers(self) -> dict[str, Any]:
        return {
            "get_height": self.height, "open_wallet": self.opened, "close_wallet": self.closed, "refresh": self.refreshed,
            "store": self.stored,
        }  # fmt: skip

    def height(self, _params: Any) -> dict[str, Any]:
        return {"height": self.heights.get(self.open, 146)} if self.open else NO_WALLET

    def refreshed(self, _params: Any) -> dict[str, Any]:
        self.heights[self.open] = 200
        return {"blocks_fetched": 54}

    def stored(self, _params: Any) -> dict[str, Any]:
        self.on_disk[self.open] = self.heights.get(self.open, 146)
        return {}

    def opened(self, params: Any) -> dict[str, Any]:
        lines = self.refuse[1] if self.refuse else [LOADED]
        with self.log.open("a") as file:
            file.writelines(json.dumps({"log": line + "\n"}) + "\n" for line in lines)
        if self.refuse:
            return self.refuse[0]
        self.closed(None)
        self.open = params["filename"]
        self.held = (self.directory / f"{self.open}.keys").open("r+")
        fcntl.flock(self.held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return {}

    def closed(self, _params: Any) -> dict[str, Any]:
        if not self.open:
            return NO_WALLET
        if self.held:
            self.held.close()
        self.open = ""
        return {}


@pytest.fixture
def real(directory: Path) -> Iterator[tuple[OneWallet, RpcServer, Callable[..., Wallet]]]:
    program = OneWallet(directory)
    with serving(program.answers()) as server:

        def wallet(file: str = "escrow_1", **more: Any) -> Wallet:
            return Wallet("buyer", server.url, file=file, directory=str(directory), log_path=str(program.log), **more)

        yield program, server, wallet
    program.closed(None)


def test_opened_once(real: Any) -> None:
    program, server, wallet = real
    found = _monero_open.open_one(wallet(file_password="hidden"), 3, 3, False)
    assert (found["state"], found["height"], found["log"], program.open) == (
        "opened",
        146,
        [LOADED.replace("\t", " ")],
        "escrow_1",
    )
    assert server.asked[1]["params"] == {"filename": "escrow_1", "password": "hidden", "autosave_current": True}
    assert "hidden" not in json.dumps(found) and "hidden" not in repr(wallet(file_password="hidden"))
    again = _monero_open.open_one(wallet(), 3, 3, False)
    assert (again["state"], again["height"]) == ("open_already", 146)
    assert server.methods.count("open_wallet") == 1


def test_the_one_that_was_open_is_named(real: Any) -> None:
    _program, _server, wallet = real
    _monero_open.open_one(wallet("escrow_2"), 3, 3, False)
    assert "escrow_2 was stored and closed" in _monero_open.open_one(wallet(), 3, 3, False)["detail"]


def test_check_mode_opens_and_closes_nothing(real: Any) -> None:
    program, server, wallet = real
    assert _monero_open.open_one(wallet(), 3, 3, True)["state"] == "ready" and not program.open
    _monero_open.open_one(wallet(), 3, 3, False)
    assert _monero_open.close_one(wallet(), 3, 3, True)["state"] == "ready" and program.open == "escrow_1"
    assert "close_wallet" not in server.methods


def test_closed_once_and_only_the_named_one(real: Any) -> None:
    program, _server, wallet = real
    assert _monero_open.close_one(wallet(), 3, 3, False)["state"] == "closed_already"
    _monero_open.open_one(wallet(), 3, 3, False)
    other = _monero_open.close_one(wallet("escrow_2"), 3, 3, False)
    assert (other["state"], other["detail"], program.open) == ("closed_already", "escrow_1 is open, not escrow_2", "escrow_1")
    assert _monero_open.close_one(wallet(""), 3, 3, False)["state"] == "closed" and not program.open


def test_nothing_is_closed_by_name_where_nobody_sees_what_is_open(real: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program, _server, wallet = real
    _monero_open.open_one(wallet("escrow_2"), 3, 3, False)
    monkeypatch.setattr(_monero_files, "read_locks", list)
    found = _monero_open.close_one(wallet(), 3, 3, False)
    assert (found["state"], program.open) == ("failed", "escrow_2") and "cannot be seen" in found["detail"]


def test_what_cannot_be_opened_throws_nothing_out(real: Any, directory: Path) -> None:
    program, server, wallet = real
    _monero_open.open_one(wallet(), 3, 3, False)
    assert _monero_open.open_one(wallet("gone"), 3, 3, False)["state"] == "missing"
    hold = f"import fcntl; f = open({str(directory / 'escrow_2.keys')!r}, 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"\n"
        found = _monero_open.open_one(wallet("escrow_2", container_id="a" * 64), 3, 3, False)
        assert found["state"] == "keys_locked" and str(holder.pid) in found["detail"]
        holder.communicate(b"\n")
    assert server.methods.count("open_wallet") == 1 and program.open == "escrow_1"


def test_a_refusal_is_told_with_what_was_logged_since(real: Any) -> None:
    program, _server, wallet = real
    program.refuse = (REFUSED, [LOADED, THROWN])
    found = _monero_open.open_one(wallet(), 3, 3, False)
    assert (found["state"], found["code"]) == ("cache_damaged", -1)
    assert len(found["log"]) == 2 and "before" not in " ".join(found["log"])


def test_one_that_is_opening_still_is_not_called_dead(real: Any) -> None:
    program, server, wallet = real
    opened = program.opened

    def slow(params: Any) -> dict[str, Any]:
        opened(params)
        time.sleep(1)
        return {}

    server.answers["open_wallet"] = slow
    found = _monero_open.open_one(wallet(), 3, 0.3, False)
    assert found["state"] == "opening" and "do not restart it" in found["detail"]


def reading(*names: str, seconds: float = 20.0, **more: Any) -> _monero_open.Refresh:
    return _monero_open.Refresh(names, time.monotonic() + seconds, 3.0, 3.0, **more)


@pytest.mark.parametrize("before", ["", "escrow_2"])
def test_wallets_that_are_behind_read_the_chain_and_what_was_open_is_open_again(real: Any, before: str) -> None:
    program, _server, wallet = real
    if before:
        program.opened({"filename": before})
    found = _monero_open.refresh_some(wallet(""), 3, reading("escrow_1", "escrow_2"), False)
    assert (found["state"], program.open) == ("refreshed", before)
    assert program.on_disk == {"escrow_1": 200, "escrow_2": 200}
    assert {name: one["height"] for name, one in found["names"].items()} == {"escrow_1": 200, "escrow_2": 200}


def test_the_wallet_that_is_always_to_be_open_is_so_after_a_run_that_was_killed(real: Any) -> None:
    program, _server, wallet = real
    program.opened({"filename": "escrow_2"})
    _monero_open.refresh_some(wallet("escrow_1"), 3, reading("escrow_2"), False)
    assert program.open == "escrow_1"


def test_what_cannot_be_refreshed_is_told_and_ends_no_others_turn(real: Any) -> None:
    program, server, wallet = real
    program.heights["escrow_1"] = 5
    wish = reading("escrow_1", "gone", "escrow_2", chain_height=200, most_blocks=100)
    found = _monero_open.refresh_some(wallet(""), 3, wish, False)
    assert {name: one["state"] for name, one in found["names"].items()} == {
        "escrow_1": "too_far_behind", "gone": "missing", "escrow_2": "refreshed",
    }  # fmt: skip
    assert (found["state"], program.open, server.methods.count("refresh")) == ("partly", "", 1)


def test_without_time_left_nothing_is_opened(real: Any) -> None:
    program, server, wallet = real
    program.opened({"filename": "escrow_2"})
    found = _monero_open.refresh_some(wallet(""), 3, reading("escrow_1", seconds=0), False)
    assert (found["names"]["escrow_1"]["state"], program.open) == ("not_reached", "escrow_2")
    assert "open_wallet" not in server.methods


def test_a_wallet_that_nobody_can_name_is_not_thrown_out(real: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program, server, wallet = real
    program.opened({"filename": "escrow_2"})
    monkeypatch.setattr(_monero_files, "look", lambda *_words, **_named: {"open_wallet": None})
    assert _monero_open.refresh_some(wallet(""), 3, reading("escrow_1"), False)["state"] == "failed"
    assert "open_wallet" not in server.methods


def test_check_mode_has_nobody_read_the_chain(real: Any) -> None:
    program, server, wallet = real
    assert _monero_open.refresh_some(wallet(""), 3, reading("escrow_1"), True)["state"] == "ready"
    assert "open_wallet" not in server.methods and not program.open


def test_nobody_there(directory: Path) -> None:
    gone = Wallet("buyer", "http://127.0.0.1:1", file="escrow_1", directory=str(directory))
    assert _monero_open.open_one(gone, 1, 1, False)["state"] == "port_closed"
    assert _monero_open.close_one(gone, 1, 1, False)["state"] == "port_closed"


def test_each_has_its_own_patience_and_all_run_at_once() -> None:
    said: list[str] = []
    together = threading.Barrier(3)

    def slow(wallet: Wallet, _timeout: float, _patience: float, _dry: bool) -> dict[str, Any]:
        together.wait(20)
        time.sleep(0.3)
        return {"name": wallet.name}

    found = _monero_open.each(
        slow, [Wallet(name, "") for name in ("a", "b", "c")], 1, 1, False, lambda one: said.append(one["name"])
    )
    assert said == ["a", "b", "c"] and all(one["seconds"] >= 0.3 for one in found)


def test_one_that_never_comes_back_is_told_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a name that no resolver finds an end of."""

    def never(_self: Any, name: str, _timeout: float) -> dict[str, Any]:
        if name == "1":
            raise KeyError(name)
        return {"name": name, "state": "stored"}

    monkeypatch.setattr(Questions, "answer", never)
    wallets = [Wallet(name, "") for name in ("a", "b", "c")]
    for found in (
        _monero_open.each(_monero_open.open_one, wallets, 1, 1, True, lambda _one: None),
        store_all(wallets, 1, 1, True, lambda _one: None),
    ):
        assert [one["state"] for one in found] == ["stored", "not_responding", "stored"]
