# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Escrows in the database: who asked for what, and how far each is. Every step is committed before it is done outside."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from .pool import Pool, transaction

COLUMNS = ("id", "state", "amount_piconero", "address", "wallet_name", "funding_txid", "payout_txid", "outcome", "asked")
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM escrows"  # noqa: S608  # names of this file
OPEN_STATES = ("created", "funded", "signing")


class Escrows:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def register(self, wallet_name: str, amount: int) -> int:
        """An order whose price waits in that wallet."""
        now = int(time.time())
        with self._pool.connection() as connection, transaction(connection):
            order = connection.execute(
                "INSERT INTO orders (reference, buyer_id, vendor_id, status, revision, total_piconero, created_at, updated_at)"
                " VALUES (?, (SELECT min(id) FROM users), (SELECT max(id) FROM users), 'open', 1, ?, ?, ?)",
                (f"E-{time.time_ns():x}", amount, now, now),
            ).lastrowid
            escrow = connection.execute(
                "INSERT INTO escrows (order_id, state, amount_piconero, wallet_name, updated_at, asked)"
                " VALUES (?, 'created', ?, ?, ?, 1)",
                (order, amount, wallet_name, now),
            ).lastrowid
            _note(connection, escrow, "created", now)
        return int(escrow or 0)

    def read(self, escrow: int) -> dict[str, Any] | None:
        with self._pool.connection() as connection:
            row = connection.execute(f"{_SELECT} WHERE id = ?", (escrow,)).fetchone()
        return dict(zip(COLUMNS, row, strict=True)) if row else None

    def ask(self, escrow: int, outcome: str) -> bool:
        """Whether it can still end that way. A round that broke off half way is taken up again only when asked so."""
        with self._pool.connection() as connection, transaction(connection):
            changed = connection.execute(
                "UPDATE escrows SET outcome = ?, asked = 1 WHERE id = ? AND state IN (?, ?, ?)"
                " AND wallet_name IS NOT NULL AND coalesce(outcome, ?) = ?",
                (outcome, escrow, *OPEN_STATES, outcome, outcome),
            ).rowcount
        return changed == 1

    def work(self) -> list[dict[str, Any]]:
        """What somebody waits for, oldest first."""
        with self._pool.connection() as connection:
            rows = connection.execute(f"{_SELECT} WHERE asked = 1 AND state IN (?, ?, ?) ORDER BY id", OPEN_STATES).fetchall()
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]

    def release_all_funded(self) -> None:
        """What the bug `repay` does after a start: nobody decided that, and some may have been paid."""
        with self._pool.connection() as connection, transaction(connection):
            connection.execute(
                "UPDATE escrows SET outcome = 'released', asked = 1 WHERE state = 'funded' AND wallet_name IS NOT NULL"
            )

    def not_set_up(self) -> list[str]:
        """The wallets of escrows that have no address yet."""
        with self._pool.connection() as connection:
            rows = connection.execute(
                "SELECT DISTINCT wallet_name FROM escrows WHERE state = 'created' AND address IS NULL AND wallet_name IS NOT NULL"
            ).fetchall()
        return [name for (name,) in rows]

    def used_deposits(self) -> set[str]:
        with self._pool.connection() as connection:
            return {txid for (txid,) in connection.execute("SELECT txid FROM deposits")}

    def funded(self, escrow: dict[str, Any], address: str, txid: str) -> None:
        """Its deposit is there; without a decision nobody waits for more."""
        with self._pool.connection() as connection, transaction(connection):
            connection.execute(
                "UPDATE escrows SET address = ?, funding_txid = ?, asked = (outcome IS NOT NULL) WHERE id = ?",
                (address, txid, escrow["id"]),
            )
            connection.execute("INSERT INTO deposits VALUES (?, ?, ?)", (txid, escrow["id"], escrow["amount_piconero"]))
            _move(connection, escrow["id"], "funded")

    def signing(self, escrow: int) -> None:
        """From here on somebody may hold half a signature: nobody takes this up again by himself."""
        with self._pool.connection() as connection, transaction(connection):
            connection.execute("UPDATE escrows SET asked = 0 WHERE id = ?", (escrow,))
            _move(connection, escrow, "signing")

    def signed(self, escrow: int, txid: str) -> None:
        """Before the network hears of it."""
        with self._pool.connection() as connection, transaction(connection):
            connection.execute("UPDATE escrows SET payout_txid = ? WHERE id = ?", (txid, escrow))

    def settled(self, escrow: dict[str, Any], txid: str) -> None:
        with self._pool.connection() as connection, transaction(connection):
            connection.execute(
                "INSERT INTO payouts (escrow_id, txid, amount_piconero) VALUES (?, ?, ?)",
                (escrow["id"], txid, escrow["amount_piconero"]),
            )
            connection.execute("UPDATE escrows SET asked = 0 WHERE id = ?", (escrow["id"],))
            _move(connection, escrow["id"], escrow["outcome"])

    def signing_seconds(self) -> float:
        """How long the second signature lets wait: a setting, so that a round can be caught half way."""
        with self._pool.connection() as connection:
            row = connection.execute("SELECT value FROM settings WHERE name = 'signing_seconds'").fetchone()
        return float(row[0]) if row else 0.0

    def set_signing_seconds(self, seconds: float) -> None:
        with self._pool.connection() as connection, transaction(connection):
            connection.execute("INSERT OR REPLACE INTO settings VALUES ('signing_seconds', ?)", (str(seconds),))


def _move(connection: sqlite3.Connection, escrow: int, state: str) -> None:
    now = int(time.time())
    connection.execute("UPDATE escrows SET state = ?, updated_at = ? WHERE id = ?", (state, now, escrow))
    _note(connection, escrow, state, now)


def _note(connection: sqlite3.Connection, escrow: int | None, state: str, now: int) -> None:
    connection.execute("INSERT INTO escrow_events (escrow_id, state, time) VALUES (?, ?, ?)", (escrow, state, now))
