# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases to back up, somebody who writes to them, and a way to open archives that is not the tested one."""

from __future__ import annotations

import gzip
import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from unit.plugins.archives import PASSPHRASE

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_shelf
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_shelf import DATABASE
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_backup import Order, backed_up
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key

KEY = Key(PASSPHRASE)
# In a process of its own, as the server is. It says how many rows it has committed, after each of them.
WRITER = """
import sqlite3, sys, time
path, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
database = sqlite3.connect(path, isolation_level=None, timeout=5)
database.execute("PRAGMA synchronous=NORMAL")
began, done, slowest = time.monotonic(), 0, 0.0
print("begun", flush=True)
while time.monotonic() - began < seconds:
    before = time.monotonic()
    database.execute("INSERT INTO orders(note) VALUES (?)", ("written " * 20,))
    slowest = max(slowest, time.monotonic() - before)
    done += 1
    time.sleep(max(0.0, began + done / rate - time.monotonic()))
print(done, slowest, flush=True)
"""


def database(path: Path, rows: int = 50, mode: str = "WAL") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as made:
        made.executescript(
            f"PRAGMA journal_mode={mode}; PRAGMA user_version=7; PRAGMA foreign_keys=ON;"
            "CREATE TABLE orders(id INTEGER PRIMARY KEY, note TEXT NOT NULL);"
            "CREATE TABLE escrows(id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders(id), state TEXT, amount INTEGER);"
        )
        made.execute("BEGIN")
        made.executemany(
            "INSERT INTO orders VALUES (?, ?)", [(number, f"order {number} " * 20) for number in range(1, rows + 1)]
        )
        made.executemany("INSERT INTO escrows VALUES (?, ?, 'funded', 10)", [(number, number) for number in range(1, 11)])
        made.execute("COMMIT")
    return path


@contextmanager
def written_to(path: Path, rate: float = 500, seconds: float = 600) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(rate), str(seconds)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "begun\n"
        try:
            yield writer
        finally:
            writer.kill()


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """In use, with work in its -wal that no checkpoint has taken."""
    with closing(sqlite3.connect(path, isolation_level=None)) as user:
        user.execute("PRAGMA wal_autocheckpoint=0")
        user.execute("INSERT INTO orders(note) VALUES ('only in the -wal')")
        yield user


def order(folder: Path, **changes: Any) -> Order:
    base = Order("market-1", str(folder / "data" / "marketplace.db"), str(folder / "backups"), KEY, floor=0, minimum_age=0.0)
    return replace(base, **changes)


def made(wanted: Order) -> dict[str, Any]:
    found = backed_up(wanted)
    assert found["problem"] == ""
    return found


def plain(path: str, passphrase: str = PASSPHRASE) -> bytes:
    """By the gpg command, not by what is tested."""
    reading, writing = os.pipe()
    os.write(writing, passphrase.encode() + b"\n")
    os.close(writing)
    argv = ["gpg", "--batch", "--homedir", "/nonexistent", "--no-keyring", "--pinentry-mode", "loopback"]
    ran = subprocess.run(
        [*argv, "--passphrase-fd", str(reading), "--decrypt", path], pass_fds=[reading], capture_output=True, check=True
    )
    os.close(reading)
    return ran.stdout


def restored(path: str, into: Path) -> sqlite3.Connection:
    into.write_bytes(gzip.decompress(plain(path)))
    return sqlite3.connect(into, isolation_level=None)


def rows(database: sqlite3.Connection, table: str = "orders") -> int:
    return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608


def aged(folder: Path, days: float, source: str = "") -> Path:
    """The newest archive, made that many days earlier."""
    newest = source or _backup_shelf.archives(str(folder), DATABASE)[0].path
    created = next(one.created for one in _backup_shelf.archives(str(folder), DATABASE) if one.path == newest)
    target = folder / DATABASE.name_of("database", created - days * 86400)
    for ending in ("", ".sha256", ".manifest.json"):
        Path(f"{target}{ending}").write_bytes(Path(newest + ending).read_bytes())
    noted = Path(f"{target}.sha256")
    noted.write_text(noted.read_text().replace(os.path.basename(newest), target.name))
    return target


def hashes(folder: Path) -> dict[str, str]:
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in sorted(folder.iterdir()) if one.is_file()}


@contextmanager
def open_elsewhere(path: Path) -> Iterator[None]:
    """A process has it open, as a server has. Our own descriptors do not count."""
    with subprocess.Popen(["sleep", "60"], stdin=path.open("rb")) as holder:
        try:
            yield
        finally:
            holder.kill()
