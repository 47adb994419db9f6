# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite connections and a pool of them that really runs out."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from . import dialect

BUSY_SECONDS = 5.0


class NoConnectionError(Exception):
    """No connection became free in time."""


def connect(path: str) -> sqlite3.Connection:
    """One connection with the settings all of the server shares; transactions are begun explicitly."""
    connection = dialect.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class Pool:
    """A fixed number of connections; who takes one with `acquire` must give it back."""

    def __init__(self, path: str, size: int, wait_seconds: float = 1.0) -> None:
        self.size = size
        self.wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._waiting = 0
        self._all = [connect(path) for _ in range(size)]
        self._free: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        for connection in self._all:
            self._free.put(connection)

    @property
    def in_use(self) -> int:
        return self.size - self._free.qsize()

    @property
    def waiting(self) -> int:
        return self._waiting

    def acquire(self) -> sqlite3.Connection:
        with self._lock:
            self._waiting += 1
        try:
            return self._free.get(timeout=self.wait_seconds)
        except queue.Empty:
            raise NoConnectionError(
                f"Failed to get DB connection: {self.in_use} of {self.size} in use, none free within {self.wait_seconds:g} s"
            ) from None
        finally:
            with self._lock:
                self._waiting -= 1

    def release(self, connection: sqlite3.Connection) -> None:
        self._free.put(connection)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        connection = self.acquire()
        try:
            yield connection
        finally:
            self.release(connection)

    def close(self) -> None:
        for connection in self._all:
            connection.close()
