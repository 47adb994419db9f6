# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create the database as it lies after years of trade: every escrow of the past is settled."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

SCHEMA = Path(__file__).with_name("schema.sql")
SCHEMA_VERSION = 3
MIGRATIONS = ((1, "orders"), (2, "escrows"), (3, "payouts"))
YEAR = 365 * 86400


def create(path: str, orders: int) -> int:
    """Writes beside and renames, so that a killed seeding leaves no half database."""
    if Path(path).exists():
        print(f"{path} exists, nothing to do")
        return 0
    scratch = Path(f"{path}.new")
    scratch.unlink(missing_ok=True)
    connection = sqlite3.connect(scratch, isolation_level=None)
    # The scratch file is thrown away on any failure: no journal, no waiting for the disk until the end.
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.executescript(SCHEMA.read_text(encoding="utf-8"))
    connection.execute("BEGIN")
    _fill(connection, orders, int(time.time()))
    connection.execute("COMMIT")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    with scratch.open("rb") as file:
        os.fsync(file.fileno())
    scratch.rename(path)
    print(f"{path}: {orders} orders, {Path(path).stat().st_size} bytes")
    return 0


def _fill(connection: sqlite3.Connection, orders: int, now: int) -> None:
    buyers, vendors = orders // 10 + 1, orders // 100 + 1
    connection.executemany("INSERT INTO schema_migrations VALUES (?, ?, ?)", [(*row, now) for row in MIGRATIONS])
    connection.execute("INSERT INTO settings VALUES ('health_probe', '0'), ('signing_seconds', '1')")
    connection.executemany("INSERT INTO users VALUES (?, ?, ?, ?)", _users(buyers, vendors, now))
    chance = random.Random(orders)  # noqa: S311  # the same shop each time, no key
    for number in range(1, orders + 1):
        created = now - 2 * YEAR + number * 2 * YEAR // (orders + 1)
        prices = [chance.randrange(10**9, 10**12) for _ in range(chance.randrange(1, 4))]
        status = chance.choices(("completed", "shipped", "cancelled"), (90, 5, 5))[0]
        buyer, vendor = chance.randint(1, buyers), chance.randint(buyers + 1, buyers + vendors)
        connection.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?)",
            (number, f"S-{number}", buyer, vendor, status, sum(prices), created, created),
        )
        connection.executemany(
            "INSERT INTO order_items VALUES (?, ?, ?, ?)",
            [(number, line, f"item {line}", price) for line, price in enumerate(prices, 1)],
        )
        if number % 20 == 0:
            _settled_escrow(connection, number, sum(prices), created, chance)


def _users(buyers: int, vendors: int, now: int) -> Iterator[tuple[int, str, str, int]]:
    for number in range(1, buyers + vendors + 1):
        role = "buyer" if number <= buyers else "vendor"
        yield number, f"{role}-{number}", role, now - 2 * YEAR


def _settled_escrow(connection: sqlite3.Connection, order: int, amount: int, created: int, chance: random.Random) -> None:
    funding, payout = f"{chance.getrandbits(256):064x}", f"{chance.getrandbits(256):064x}"
    state = chance.choices(("released", "refunded"), (95, 5))[0]
    connection.execute(
        "INSERT INTO escrows VALUES (?, ?, ?, ?, NULL, NULL, ?, ?, ?, ?, 0)",
        (order, order, state, amount, funding, payout, created + 3600, state),
    )
    connection.executemany(
        "INSERT INTO escrow_events (escrow_id, state, time) VALUES (?, ?, ?)",
        [(order, "created", created), (order, "funded", created + 900), (order, state, created + 3600)],
    )
    connection.execute("INSERT INTO deposits VALUES (?, ?, ?)", (funding, order, amount))
    connection.execute("INSERT INTO payouts (escrow_id, txid, amount_piconero) VALUES (?, ?, ?)", (order, payout, amount))
