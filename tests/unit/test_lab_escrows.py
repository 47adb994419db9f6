# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in's escrows: what is committed before what is done, who may ask for what, and which wallets are opened when."""
# ruff: noqa: ARG002  # stand-ins take what the real ones take

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.stack.server.marketplace import escrow_worker
from lab.stack.server.marketplace import wallets as wallet_states
from lab.stack.server.marketplace.escrow_worker import EscrowWorker
from lab.stack.server.marketplace.escrows import Escrows
from lab.stack.server.marketplace.multisig import Escrow, MultisigError
from lab.stack.server.marketplace.pool import Pool
from lab.stack.server.marketplace.rpc import RpcError
from lab.stack.server.marketplace.seed import create
from lab.stack.server.marketplace.wallets import WalletWatch

ROLES = ("buyer", "vendor", "arbiter")


@pytest.fixture
def path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    file = str(tmp_path / "marketplace.db")
    assert create(file, 100) == 0
    return file


@pytest.fixture
def escrows(path: str) -> Iterator[Escrows]:
    pool = Pool(path, size=2)
    rows = Escrows(pool)
    rows.set_signing_seconds(0)
    yield rows
    pool.close()


class Wallets(Escrow):
    """Three wallets that only say what they are asked, and what the database said at that moment."""

    def __init__(self, path: str) -> None:
        super().__init__({}, None)  # type: ignore[arg-type]
        self.path = path
        self.said: list[str] = []
        self.refusing = ""

    def _say(self, what: str) -> None:
        connection = sqlite3.connect(self.path)
        state, payout = connection.execute("SELECT state, payout_txid FROM escrows ORDER BY id DESC LIMIT 1").fetchone()
        connection.close()
        self.said.append(f"{what} while {state}{' with txid' if payout else ''}")
        if what == self.refusing:
            raise MultisigError(f"no {what}")

    def open(self, name: str) -> None:
        self._say(f"open {name}")

    def refresh(self) -> None:
        return None

    def address(self) -> str:
        return "4address"

    def exchange(self) -> None:
        self._say("exchange")

    def ask(self, role: str, method: str, **params: Any) -> dict[str, Any]:
        assert method == "get_transfers"
        return {"in": [{"amount": 5, "txid": "small", "locked": False}, {"amount": 50, "txid": "fit", "locked": False}]}

    def first_signature(self, role: str, amount: int, address: str) -> str:
        self._say(f"first {role}")
        return "half"

    def second_signature(self, role: str, half: str) -> tuple[str, str]:
        self._say(f"second {role}")
        return "signed", "f" * 64

    def submit(self, role: str, signed: str) -> None:
        self._say("submit")

    def knows(self, role: str, txid: str) -> bool:
        return True

    def confirm(self, txid: str) -> int:
        self._say("confirm")
        return 1


def work(worker: EscrowWorker, escrows: Escrows) -> None:
    worker._not_before.clear()
    worker._work_through(escrows.work())


@pytest.fixture
def funded(escrows: Escrows, path: str) -> tuple[EscrowWorker, Wallets, int]:
    wallets = Wallets(path)
    worker = EscrowWorker(escrows, wallets, "escrow_1")
    number = escrows.register("escrow_2", 20)
    work(worker, escrows)
    row = escrows.read(number)
    assert row and (row["state"], row["funding_txid"], row["address"]) == ("funded", "fit", "4address")
    wallets.said.clear()
    return worker, wallets, number


Funded = tuple[EscrowWorker, Wallets, int]


def test_a_payout_is_recorded_before_each_step_and_ends_at_home(funded: Funded, escrows: Escrows) -> None:
    worker, wallets, number = funded
    assert escrows.work() == [], "nobody decided yet"
    assert escrows.ask(number, "released")
    work(worker, escrows)
    assert wallets.said == [
        "open escrow_2 while funded", "exchange while funded", "first buyer while signing", "second vendor while signing",
        "submit while signing with txid", "confirm while released with txid", "exchange while released with txid",
        "open escrow_1 while released with txid",
    ]  # fmt: skip


def test_a_round_that_broke_off_waits_until_it_is_asked_for_again(funded: Funded, escrows: Escrows) -> None:
    worker, wallets, number = funded
    wallets.refusing = "second vendor"
    assert escrows.ask(number, "released")
    work(worker, escrows)
    row = escrows.read(number)
    assert row and (row["state"], row["payout_txid"]) == ("signing", None)
    assert escrows.work() == []
    wallets.refusing = ""
    assert escrows.ask(number, "released")
    wallets.said.clear()
    work(worker, escrows)
    assert wallets.said[1] == "exchange while signing", "half a signature is void: all exchange afresh first"
    assert wallets.said[-1].endswith("released with txid")


def test_what_the_network_may_have_is_not_paid_twice(funded: Funded, escrows: Escrows) -> None:
    worker, wallets, number = funded
    wallets.refusing = "submit"
    assert escrows.ask(number, "refunded")
    work(worker, escrows)
    wallets.said.clear()
    assert escrows.ask(number, "refunded")
    work(worker, escrows)
    assert not [line for line in wallets.said if line.startswith(("first", "second", "submit"))]
    row = escrows.read(number)
    assert row and row["state"] == "refunded"


def test_an_escrow_ends_one_way_and_once(funded: Funded, escrows: Escrows) -> None:
    worker, _wallets, number = funded
    assert escrows.ask(number, "released")
    assert not escrows.ask(number, "refunded")
    work(worker, escrows)
    assert not escrows.ask(number, "released")
    assert not escrows.ask(20, "released"), "an escrow of the past lies in no wallet"


def test_escrows_of_one_wallet_open_it_once(funded: Funded, escrows: Escrows) -> None:
    worker, wallets, number = funded
    escrows.register("escrow_2", 20)
    assert escrows.ask(number, "released")
    work(worker, escrows)
    assert [line.split(" while")[0] for line in wallets.said if line.startswith("open")] == ["open escrow_2", "open escrow_1"]


def test_a_deposit_pays_for_one_escrow(funded: Funded, escrows: Escrows) -> None:
    worker, _wallets, _number = funded
    second = escrows.register("escrow_2", 20)
    work(worker, escrows)
    row = escrows.read(second)
    assert row and (row["state"], row["asked"]) == ("created", 1)


def test_the_bug_repay_pays_what_an_older_database_calls_funded(funded: Funded, escrows: Escrows) -> None:
    _worker, wallets, number = funded
    EscrowWorker(escrows, wallets, "escrow_1")._begin_with_bugs()
    assert escrows.work() == []
    worker = EscrowWorker(escrows, wallets, "escrow_1", frozenset({"repay"}))
    worker._begin_with_bugs()
    work(worker, escrows)
    row = escrows.read(number)
    assert row and row["state"] == "released" and "submit while signing with txid" in wallets.said


def test_the_bug_recreate_removes_the_wallets_of_what_is_not_set_up(
    escrows: Escrows, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(escrow_worker, "WALLETS", tmp_path)
    for role in ROLES:
        for name in ("escrow_1", "escrow_2"):
            (tmp_path / role).mkdir(exist_ok=True)
            (tmp_path / role / name).touch()
            (tmp_path / role / f"{name}.keys").touch()
    escrows.register("escrow_2", 20)
    EscrowWorker(escrows, Wallets(path), "escrow_1", frozenset({"recreate"}))._begin_with_bugs()
    assert sorted(file.name for file in tmp_path.rglob("escrow*")) == 3 * ["escrow_1"] + 3 * ["escrow_1.keys"]


class Answers:
    """A wallet RPC that answers from a list of states, and counts what it is told to open."""

    def __init__(self, opens: bool = True) -> None:
        self.open = False
        self.opens = opens
        self.opened = 0

    def call(self, method: str, timeout: float, **params: object) -> Mapping[str, Any]:
        if method == "open_wallet":
            self.opened += 1
            if not self.opens:
                raise RpcError(-1, "failed")
            self.open = True
        elif not self.open:
            raise RpcError(wallet_states.NO_WALLET_FILE, "No wallet file")
        return {}


def watch(rpc: Answers) -> Callable[[], str]:
    made = WalletWatch("buyer", "http://nowhere:1", "", "escrow_1")
    made._rpc = rpc  # type: ignore[assignment]

    def look() -> str:
        made.look()
        return made.state

    return look


def test_a_wallet_is_opened_at_the_start_and_what_was_closed_later_stays_closed() -> None:
    rpc = Answers()
    look = watch(rpc)
    assert look() == "ready"
    rpc.open = False
    assert [look(), look()] == ["no_wallet_open", "no_wallet_open"]
    assert rpc.opened == 1


def test_opening_at_the_start_is_tried_until_it_succeeds() -> None:
    rpc = Answers(opens=False)
    look = watch(rpc)
    assert [look(), look()] == ["no_wallet_open", "no_wallet_open"]
    rpc.opens = True
    assert look() == "ready"
    assert rpc.opened == 3
