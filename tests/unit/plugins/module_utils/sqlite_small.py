# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small database of a few pages, and a look at it that proves that nothing was touched."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_look

SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, role TEXT CHECK (role IN ('buyer', 'vendor')));
CREATE TABLE escrows (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id), amount INTEGER NOT NULL, note TEXT);
CREATE INDEX escrows_amount ON escrows (amount);
"""
NEGATIVE = ({"name": "no_negative_escrow", "query": "SELECT id FROM escrows WHERE amount < 0"},)


def fill(path: Path, *, wal: bool = True, rows: int = 300) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA page_size=1024")
    database.executescript(SCHEMA)
    database.execute("BEGIN")
    for number in range(1, rows + 1):
        database.execute("INSERT INTO users VALUES (?, ?, ?)", (number, f"user-{number}", ("buyer", "vendor")[number % 2]))
        database.execute("INSERT INTO escrows VALUES (?, ?, ?, ?)", (number, number, number * 1000, f"note of {number}"))
    database.execute("COMMIT")
    if wal:
        database.execute("PRAGMA journal_mode=WAL")
    database.close()


def look(path: Path, **options: Any) -> dict[str, Any]:
    scratch = path.parent.parent / "scratch"
    asked = {"frozen": True, "scratch_dir": str(scratch), "lock_seconds": 0.5, "invariants": NEGATIVE, **options}
    before = digests(path.parent)
    found = _sqlite_look.look(str(path), _sqlite_look.Options(**asked))
    assert digests(path.parent) == before, "looking changed a file"
    assert not scratch.exists() or list(scratch.iterdir()) == []
    return found


def digests(folder: Path) -> dict[str, str]:
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.iterdir() if one.is_file()}


def write(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def filled(tmp_path: Path) -> Path:
    """Closed, with 300 rows on a few pages, in a folder of its own."""
    path = tmp_path / "data/shop.db"
    path.parent.mkdir()
    fill(path)
    return path
