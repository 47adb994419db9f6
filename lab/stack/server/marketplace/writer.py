# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trade of the day at a set rate: orders are placed, moved on and withdrawn, each change in the ledger."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from . import dialect
from .ledger import Ledger
from .log import log
from .pool import connect

# Of twenty changes; deletes stay below inserts, so that there is always something to delete.
INSERTS, UPDATES = 9, 6
CHANCE = random.Random()  # noqa: S311  # trade, no key
NEXT_STATUS = {"open": "paid", "paid": "shipped", "shipped": "completed", "completed": "completed"}


class Writer(threading.Thread):
    """Has a connection of its own: background work must not starve when requests use up the pool."""

    def __init__(self, database_path: str, ledger_dir: str, rate: int) -> None:
        super().__init__(name="writer")
        self._connection = connect(database_path)
        self._ledger = Ledger(ledger_dir)
        self._rate = rate
        self._stopping = threading.Event()
        self._run = f"{time.time_ns():x}"
        self._number = 0

    def run(self) -> None:
        while self._rate and not self._stopping.wait(1 / self._rate):
            try:
                self._change()
            except dialect.Error as problem:
                log("error", "write failed", reason=str(problem))
            except OSError as problem:
                # Without the ledger nothing may be promised: the change was rolled back or is in doubt.
                log("error", "ledger failed", reason=str(problem))
        self._connection.close()
        self._ledger.close()

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def _change(self) -> None:
        kind = CHANCE.randrange(20)
        make = self._place if kind < INSERTS else self._move_on if kind < INSERTS + UPDATES else self._withdraw
        entry = None
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            change = make()
            if change:
                entry = self._ledger.intend([change])
            self._connection.execute("COMMIT")
        except (dialect.Error, OSError):
            # After a failed commit SQLite may have ended the transaction itself: then the entry stays in doubt.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
                if entry:
                    self._ledger.rolled_back(entry)
            raise
        if entry:
            self._ledger.committed(entry)

    def _place(self) -> dict[str, Any] | None:
        self._number += 1
        reference = f"W-{self._run}-{self._number}"
        prices = [CHANCE.randrange(10**9, 10**12) for _ in range(CHANCE.randrange(1, 4))]
        order = self._connection.execute(
            "INSERT INTO orders (reference, buyer_id, vendor_id, status, revision, total_piconero, created_at, updated_at)"
            " VALUES (?, (SELECT min(id) FROM users), (SELECT max(id) FROM users), 'open', 1, ?, ?, ?)",
            (reference, sum(prices), int(time.time()), int(time.time())),
        ).lastrowid
        self._connection.executemany(
            "INSERT INTO order_items (order_id, line, title, price_piconero) VALUES (?, ?, ?, ?)",
            [(order, line, f"item {line}", price) for line, price in enumerate(prices, 1)],
        )
        row = {"status": "open", "revision": 1, "total_piconero": sum(prices), "items": len(prices)}
        return {"operation": "insert", "table": "orders", "key": reference, "row": row}

    def _move_on(self) -> dict[str, Any] | None:
        """Moves on any order, of the seed or of the writer: a row that is lost must be missed wherever it lies."""
        found = self._connection.execute(
            "SELECT id, reference, status, revision, total_piconero,"
            " (SELECT count(*) FROM order_items WHERE order_id = orders.id) FROM orders"
            " WHERE id >= abs(random()) % (SELECT max(id) FROM orders) + 1 ORDER BY id LIMIT 1"
        ).fetchone()
        if found is None:
            return None
        order, reference, status, revision, total, items = found
        status = NEXT_STATUS.get(status, status)
        self._connection.execute(
            "UPDATE orders SET status = ?, revision = ?, updated_at = ? WHERE id = ?",
            (status, revision + 1, int(time.time()), order),
        )
        row = {"status": status, "revision": revision + 1, "total_piconero": total, "items": items}
        return {"operation": "update", "table": "orders", "key": reference, "row": row}

    def _withdraw(self) -> dict[str, Any] | None:
        """Withdraws the oldest order of the writer's own; what others placed stays."""
        found = self._connection.execute(
            "SELECT id, reference FROM orders WHERE reference >= 'W-' AND reference < 'W.' ORDER BY id LIMIT 1"
        ).fetchone()
        if found is None:
            return None
        self._connection.execute("DELETE FROM orders WHERE id = ?", (found[0],))
        return {"operation": "delete", "table": "orders", "key": found[1], "row": None}
