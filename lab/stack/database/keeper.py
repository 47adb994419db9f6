# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `database` service: SQLite has no server, so what is left to do is to keep its write-ahead log short."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from datetime import UTC, datetime

DATABASE = os.environ.get("DATABASE_PATH", "/data/marketplace.db")
INTERVAL_SECONDS = 60


def log(text: str) -> None:
    print(f"{datetime.now(UTC).isoformat(timespec='seconds')} database {text}", flush=True)


def checkpoint() -> None:
    # mode=rw: a missing database must be an error, not an empty new one.
    connection = sqlite3.connect(f"file:{DATABASE}?mode=rw", uri=True, timeout=5)
    try:
        busy, pages, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        log(f"checkpoint busy={busy} wal_pages={pages} moved={moved}")
    finally:
        connection.close()


def main() -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log(f"keeping {DATABASE}, a checkpoint every {INTERVAL_SECONDS} s")
    while not stop.wait(INTERVAL_SECONDS):
        try:
            checkpoint()
        except sqlite3.Error as problem:
            log(f"checkpoint failed: {problem}")
    log("stopped")


if __name__ == "__main__":
    main()
