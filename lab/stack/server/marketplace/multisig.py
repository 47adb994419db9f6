# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A 2-of-3 escrow as an application runs it, on three wallet RPCs of which each has one wallet file open at a time.

The server's own, and the lab's programs on the host use it too; so it needs nothing but the standard library.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from .rpc import LoginError, Rpc, RpcError

Answer = TypeVar("Answer")

ROLES = ("buyer", "vendor", "arbiter")
SILENT = (OSError, ValueError, http.client.HTTPException)
FAILED = (RpcError, LoginError, *SILENT)
# Opening, refreshing and signing may each look through the whole chain, and the RPC answers nobody else meanwhile.
SECONDS = 120.0
NO_WALLET_FILE = -13
EXCHANGES = 3
# An output that was just paid, the change too, can be spent after ten blocks.
CONFIRMATIONS = 12
# Somebody outside the marketplace: the keys of this address were thrown away.
CUSTOMER = "43EGq7b2vjSBshaife7zuyHGbnJsJU3JhMS6HkJjXWdxNqW4kdjYLUqLk7pqb18hzHU7RdPaWYmE2bBWGN2ZXWegL8JyXjs"


class MultisigError(Exception):
    """The wallets answer, and still do not agree."""


class Escrow:
    """The three wallets of one escrow and the daemon they follow."""

    def __init__(self, wallets: Mapping[str, Rpc], daemon: Rpc) -> None:
        self._wallets = wallets
        self._daemon = daemon

    def ask(self, role: str, method: str, **params: Any) -> dict[str, Any]:
        return self._wallets[role].call(method, SECONDS, **params)

    def each(self, step: Callable[[str], Answer]) -> dict[str, Answer]:
        """One step for every wallet, all at once; their answers by role."""
        with ThreadPoolExecutor(len(self._wallets)) as pool:
            return dict(zip(self._wallets, pool.map(step, self._wallets), strict=True))

    def wait(self, seconds: float = 60) -> None:
        """Until every wallet's RPC answers."""
        deadline = time.monotonic() + seconds

        def wait_for(role: str) -> None:
            while True:
                try:
                    self.ask(role, "get_version")
                    return
                except SILENT:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.3)

        self.each(wait_for)

    def close_one(self, role: str) -> None:
        """Stored and closed; nothing open is what was wanted too."""
        try:
            self.ask(role, "close_wallet", autosave_current=True)
        except RpcError as problem:
            if problem.code != NO_WALLET_FILE:
                raise

    def open_one(self, role: str, name: str) -> None:
        """Closed first: a wallet RPC that opens its own open file meets its own lock."""
        self.close_one(role)
        self.ask(role, "open_wallet", filename=name, password="", autosave_current=True)

    def open(self, name: str) -> None:
        self.each(lambda role: self.open_one(role, name))

    def address(self) -> str:
        """The one address that all three share."""
        addresses = set(self.each(lambda role: str(self.ask(role, "get_address", account_index=0)["address"])).values())
        if len(addresses) != 1:
            raise MultisigError(f"the wallets have {len(addresses)} addresses instead of one")
        return addresses.pop()

    def make(self, name: str) -> str:
        """Create three wallets of that name and join them; the address that they share."""
        self.each(self.close_one)
        self.each(lambda role: self.ask(role, "create_wallet", filename=name, password="", language="English"))
        asked = {"enable_multisig_experimental": True}
        said = self.each(lambda role: str(self.ask(role, "prepare_multisig", **asked)["multisig_info"]))
        made = self.each(lambda role: self._join(role, "make_multisig", said, threshold=2))
        # Two further rounds; only the last one's address is the escrow's.
        for _ in range(2):
            made = self.each(lambda role, said=made: self._join(role, "exchange_multisig_keys", said))  # type: ignore[misc]
        self.each(lambda role: self.ask(role, "store"))
        return self.address()

    def _join(self, role: str, method: str, said: Mapping[str, str], **params: Any) -> str:
        return str(self.ask(role, method, multisig_info=_of_others(said, role), password="", **params)["multisig_info"])

    def refresh(self) -> None:
        self.each(lambda role: self.ask(role, "refresh"))

    def balances(self) -> dict[str, dict[str, Any]]:
        return self.each(lambda role: self.ask(role, "get_balance", account_index=0))

    def exchange(self) -> None:
        """Each imports what the other two export, until none asks for more; at least once, for nonces are used up."""
        for _ in range(EXCHANGES):
            self.refresh()
            infos = self.each(lambda role: str(self.ask(role, "export_multisig_info")["info"]))
            self.each(lambda role, infos=infos: self.ask(role, "import_multisig_info", info=_of_others(infos, role)))  # type: ignore[misc]
            if not any(balance["multisig_import_needed"] for balance in self.balances().values()):
                self.each(lambda role: self.ask(role, "store"))
                return
        raise MultisigError(f"the wallets still ask for an exchange after {EXCHANGES} of them")

    def first_signature(self, role: str, amount: int, address: str) -> str:
        """A transaction that one wallet made and signed: worth nothing without a second one."""
        made = self.ask(
            role, "transfer", destinations=[{"amount": amount, "address": address}], account_index=0, priority=0,
            ring_size=16, unlock_time=0,
        )  # fmt: skip
        return str(made["multisig_txset"])

    def second_signature(self, role: str, half: str) -> tuple[str, str]:
        """The transaction that the network takes, and its id."""
        signed = self.ask(role, "sign_multisig", tx_data_hex=half)
        return str(signed["tx_data_hex"]), str(signed["tx_hash_list"][0])

    def submit(self, role: str, signed: str) -> None:
        self.ask(role, "submit_multisig", tx_data_hex=signed)

    def knows(self, role: str, txid: str) -> bool:
        """Whether that wallet sees the transaction, in a block or on its way into one."""
        try:
            self.ask(role, "get_transfer_by_txid", txid=txid)
        except RpcError:
            return False
        return True

    def confirm(self, txid: str) -> int:
        """The height of the block that holds the transaction. On a private chain whoever waits for blocks has to make them."""
        made = self.mine(CONFIRMATIONS)
        for block in made["blocks"]:
            found = self._daemon.call("get_block", SECONDS, hash=block)
            if txid in found.get("tx_hashes", ()):
                return int(found["block_header"]["height"])
        raise MultisigError(f"the transaction {txid} is in none of {CONFIRMATIONS} new blocks")

    def mine(self, blocks: int, address: str = CUSTOMER) -> dict[str, Any]:
        return self._daemon.call("generateblocks", SECONDS, amount_of_blocks=blocks, wallet_address=address)


def _of_others(values: Mapping[str, str], own: str) -> Sequence[str]:
    return [value for role, value in values.items() if role != own]
