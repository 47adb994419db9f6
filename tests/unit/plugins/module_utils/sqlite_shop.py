# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small database of the lab's own schema: long values on overflow pages, free pages, and a -wal with rows that are nowhere else."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from pathlib import Path

SCHEMA = Path(__file__).parents[4] / "lab/stack/server/marketplace/schema.sql"
PAGE_SIZE = 1024
BEGAN = 1_700_000_000
USERS, ORDERS, ESCROWS = 150, 400, 250
# In the -wal alone.
NEW_ORDERS = 200
INVARIANTS = (
    {
        "name": "order_total_is_that_of_its_items",
        "query": "SELECT o.id FROM orders o JOIN order_items i ON i.order_id = o.id GROUP BY o.id HAVING sum(i.price_piconero) <> o.total_piconero",
    },
    {
        "name": "escrow_is_funded_by_its_deposit",
        "query": "SELECT e.id FROM escrows e JOIN deposits d ON d.escrow_id = e.id WHERE d.txid <> e.funding_txid OR d.amount_piconero <> e.amount_piconero",
    },
    {
        "name": "payout_is_that_of_its_escrow",
        "query": "SELECT p.id FROM payouts p JOIN escrows e ON e.id = p.escrow_id WHERE p.txid <> e.payout_txid OR p.amount_piconero <> e.amount_piconero",
    },
    {
        "name": "event_has_a_state_of_an_escrow",
        "query": "SELECT id FROM escrow_events WHERE state NOT IN ('created', 'funded', 'signing', 'released', 'refunded')",
    },
)


def word(seed: object, length: int = 64) -> str:
    text = ""
    while len(text) < length:
        text += hashlib.sha256(f"{seed}/{len(text)}".encode()).hexdigest()
    return text[:length]


def insert_order(shop: sqlite3.Connection, order: int) -> None:
    total = 10_000_000_000 + order * 1_000_003
    reference = f"R{order:06d}-" + word(("reference", order), 2600 if order % 40 == 0 else 12)
    shop.execute(
        "INSERT INTO orders VALUES (?, ?, ?, ?, 'paid', 1, ?, ?, ?)",
        (order, reference, 1 + order % USERS, 1 + (order + 1) % USERS, total, BEGAN + order, BEGAN + order),
    )
    title = word(("title", order), 2500 if order % 60 == 0 else 20)
    shop.execute("INSERT INTO order_items VALUES (?, 1, ?, ?)", (order, title, total - 1_000_000_000))
    shop.execute("INSERT INTO order_items VALUES (?, 2, 'postage and packing', 1000000000)", (order,))


def insert_escrow(shop: sqlite3.Connection, escrow: int) -> None:
    state = ("created", "funded", "signing", "released", "refunded")[escrow % 5]
    funding = None if state == "created" else word(("funding", escrow))
    payout = word(("payout", escrow)) if state in ("released", "refunded") else None
    amount = 20_000_000_000 + escrow * 999_983
    shop.execute(
        "INSERT INTO escrows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (
            escrow,
            escrow,
            state,
            amount,
            word(("address", escrow), 95),
            f"escrow-{escrow}",
            funding,
            payout,
            BEGAN + escrow,
            None,
        ),
    )
    shop.execute("INSERT INTO escrow_events VALUES (?, ?, ?, ?)", (escrow, escrow, state, BEGAN + escrow))
    if funding:
        shop.execute("INSERT INTO deposits VALUES (?, ?, ?)", (funding, escrow, amount))
    if payout:
        shop.execute("INSERT INTO payouts VALUES (?, ?, ?, ?)", (escrow, escrow, payout, amount))


def cold(folder: Path) -> Path:
    """Closed, with no -wal."""
    folder.mkdir()
    path = folder / "shop.db"
    shop = sqlite3.connect(path, isolation_level=None)
    shop.execute(f"PRAGMA page_size={PAGE_SIZE}")
    shop.execute("PRAGMA secure_delete=ON")
    shop.executescript(SCHEMA.read_text(encoding="utf-8"))
    shop.execute("BEGIN")
    shop.execute("INSERT INTO schema_migrations VALUES (3, 'escrows', ?)", (BEGAN,))
    for number in range(1, USERS + 1):
        shop.execute(
            "INSERT INTO users VALUES (?, ?, ?, ?)", (number, f"user-{number:04d}", ("buyer", "vendor")[number % 2], BEGAN)
        )
    for number in range(60):
        shop.execute("INSERT INTO settings VALUES (?, ?)", (f"setting-{number:03d}", word(("setting", number), 80)))
    for number in range(1, ORDERS + 1):
        insert_order(shop, number)
    for number in range(1, ESCROWS + 1):
        insert_escrow(shop, number)
    # Kept free by a table that is dropped.
    shop.execute("CREATE TABLE old (text)")
    shop.executemany("INSERT INTO old VALUES (?)", [(word(("old", number), 900),) for number in range(40)])
    shop.execute("DROP TABLE old")
    shop.execute("COMMIT")
    shop.execute("PRAGMA journal_mode=WAL")
    shop.close()
    return path


def hot(folder: Path, source: Path, *, restarted: bool = False) -> Path:
    """As a frozen writer leaves it: rows in the -wal alone. Restarted: all but a few are in the database, and older frames follow."""
    work = folder.with_name(f"{folder.name}-work")
    work.mkdir()
    shutil.copy(source, work / "shop.db")
    shop = sqlite3.connect(work / "shop.db", isolation_level=None)
    shop.execute("PRAGMA wal_autocheckpoint=0")
    for first in range(ORDERS + 1, ORDERS + NEW_ORDERS + 1, 5):
        shop.execute("BEGIN")
        for number in range(first, first + 5):
            insert_order(shop, number)
        shop.execute("COMMIT")
    if restarted:
        shop.execute("PRAGMA wal_checkpoint(PASSIVE)")
        for number in range(ESCROWS + 1, ESCROWS + 6):
            insert_escrow(shop, number)
    folder.mkdir()
    for suffix in ("", "-wal", "-shm"):
        shutil.copy(work / f"shop.db{suffix}", folder / f"shop.db{suffix}")
    shop.close()
    return folder / "shop.db"
