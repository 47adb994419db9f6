# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings escrows to their end on the real wallets: created, funded, signing, released or refunded."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from . import dialect
from .escrows import Escrows
from .log import log
from .multisig import CUSTOMER, FAILED, ROLES, Escrow, MultisigError
from .pool import NoConnectionError

WALLETS = Path("/data/wallets")
LOOK_EVERY_SECONDS = 1.0
# After a failure: the wallets are not opened and closed all the time, and the log stays readable.
RETRY_SECONDS = 20.0
SIGNERS = {"released": ("buyer", "vendor"), "refunded": ("arbiter", "buyer")}
PROBLEMS = (MultisigError, NoConnectionError, dialect.Error, *FAILED)


class LeavingError(Exception):
    """The server stops: what is half done stays in the database as what it is."""


class EscrowWorker(threading.Thread):
    """Opens the wallet an escrow lies in when there is something to do for it, and its home wallet again when all is done."""

    def __init__(self, escrows: Escrows, wallets: Escrow, home: str, bugs: frozenset[str] = frozenset()) -> None:
        super().__init__(name="escrows", daemon=True)
        self._escrows, self._wallets, self._home = escrows, wallets, home
        self._bugs = bugs
        self._not_before: dict[int, float] = {}
        # The wallets that are open instead of those of home; empty when nobody knows which.
        self._away: str | None = None
        self._stopping = threading.Event()

    def run(self) -> None:
        try:
            self._begin_with_bugs()
        except (NoConnectionError, dialect.Error) as problem:
            log("error", "escrows not looked at", reason=str(problem))
        while not self._stopping.wait(LOOK_EVERY_SECONDS):
            try:
                work = self._escrows.work()
            except (NoConnectionError, dialect.Error):
                continue  # the database's own watch says so
            self._work_through(work)

    def _begin_with_bugs(self) -> None:
        """Two defects of real applications; harmless until the database is older than the chain."""
        if "repay" in self._bugs:
            self._escrows.release_all_funded()
        if "recreate" in self._bugs:
            for name in self._escrows.not_set_up():
                for role in ROLES:
                    for file in (WALLETS / role / name, WALLETS / role / f"{name}.keys"):
                        file.unlink(missing_ok=True)
                log("info", "wallets removed before they are made", name=name)

    def stop(self) -> None:
        self._stopping.set()

    def _work_through(self, work: list[dict[str, Any]]) -> None:
        for escrow in work:
            if self._not_before.get(escrow["id"], 0.0) <= time.monotonic():
                self._work_on(escrow)
        if self._away is not None:
            self._go_home()

    def _work_on(self, escrow: dict[str, Any]) -> None:
        step = self._fund if escrow["state"] == "created" else self._pay
        try:
            if self._away != escrow["wallet_name"]:
                self._away = ""
                self._wallets.open(escrow["wallet_name"])
                self._away = escrow["wallet_name"]
            step(escrow)
        except LeavingError:
            self._away = None
        except PROBLEMS as problem:
            self._away = ""
            self._not_before[escrow["id"]] = time.monotonic() + RETRY_SECONDS
            log("error", "escrow waits", escrow=escrow["id"], state=escrow["state"], reason=str(problem))

    def _go_home(self) -> None:
        self._away = None
        try:
            self._wallets.open(self._home)
        except PROBLEMS as problem:
            log("error", "home wallets not opened", name=self._home, reason=str(problem))

    def _fund(self, escrow: dict[str, Any]) -> None:
        self._wallets.refresh()
        received = self._wallets.ask("buyer", "get_transfers", **{"in": True}).get("in", [])
        used = self._escrows.used_deposits()
        for transfer in received:
            if transfer["amount"] >= escrow["amount_piconero"] and transfer["txid"] not in used and not transfer["locked"]:
                self._escrows.funded(escrow, self._wallets.address(), transfer["txid"])
                log("info", "escrow funded", escrow=escrow["id"])
                return
        raise MultisigError(f"no deposit of {escrow['amount_piconero']} piconero yet")

    def _pay(self, escrow: dict[str, Any]) -> None:
        first, second = SIGNERS[escrow["outcome"]]
        self._wallets.exchange()
        if escrow["payout_txid"] and self._wallets.knows(first, escrow["payout_txid"]):
            self._escrows.settled(escrow, escrow["payout_txid"])
            return
        self._escrows.signing(escrow["id"])
        half = self._wallets.first_signature(first, escrow["amount_piconero"], CUSTOMER)
        log("info", "escrow half signed", escrow=escrow["id"], by=first)
        self._wait_for_second()
        signed, txid = self._wallets.second_signature(second, half)
        self._escrows.signed(escrow["id"], txid)
        self._wallets.submit(second, signed)
        self._escrows.settled(escrow, txid)
        log("info", "escrow settled", escrow=escrow["id"], outcome=escrow["outcome"], txid=txid)
        self._wallets.confirm(txid)
        self._wallets.exchange()

    def _wait_for_second(self) -> None:
        started = time.monotonic()
        while time.monotonic() - started < self._escrows.signing_seconds():
            if self._stopping.wait(0.2):
                raise LeavingError
