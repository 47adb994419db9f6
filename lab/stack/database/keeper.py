# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The package is in the image: where the code is checked it is not there.
# mypy: disable-error-code="import-not-found"
"""The `database` service: SQLite has no server, so what is left to do is to keep its write-ahead log short."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from datetime import UTC, datetime

DATABASE = os.environ.get("DATABASE_PATH", "/data/marketplace.db")
INTERVAL_SECONDS = 60
KEY = os.environ.get("DATABASE_KEY", "")

if KEY:
    from sqlcipher3 import dbapi2 as driver
else:
    driver = sqlite3


def log(text: str) -> None:
    print(f"{datetime.now(UTC).isoformat(timespec='seconds')} database {text}", flush=True)


def connect() -> sqlite3.Connection:
    # mode=rw: a missing database must be an error, not an empty new one.
    connection: sqlite3.Connection = driver.connect(f"file:{DATABASE}?mode=rw", uri=True, timeout=5)
    if KEY:
        connection.execute("PRAGMA key = '{}'".format(KEY.replace("'", "''")))
    return connection


def look() -> int:
    """The service's health: whether the file can be opened."""
    try:
        connection = connect()
        print(connection.execute("SELECT max(version) FROM schema_migrations").fetchone()[0])
        connection.close()
    except driver.Error as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def checkpoint() -> None:
    connection = connect()
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
        except driver.Error as problem:
            log(f"checkpoint failed: {problem}")
    log("stopped")


if __name__ == "__main__":
    if sys.argv[1:] == ["look"]:
        sys.exit(look())
    main()
