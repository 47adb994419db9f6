# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""An image of a database that is in use, made by a program of its own: what locks a process has on a file go when it closes any other
descriptor of that file, so nothing but SQLite touches the database here.

One step: in steps, a backup begins anew with each write of somebody else, for ever. The connection can only read, so it neither makes a
checkpoint nor rolls anything back, and it is opened as the file's owner: a -shm or -wal that belongs to root locks that owner out.

This file is run as `python -c`, and so needs nothing but the standard library (and sqlcipher3 for an encrypted database).
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sqlite3
import sys
import threading
import time
from contextlib import closing
from typing import Any
from urllib.parse import quote


def library(key: str) -> Any:
    """What speaks SQLite; with a key the one that decrypts pages."""
    if not key:
        return sqlite3
    return importlib.import_module("sqlcipher3.dbapi2")


def unlocked(database: Any, key: str) -> None:
    """A key is no SQL of ours: it is quoted as a text is. x'…' is one in hexadecimal."""
    quoted = key.replace("'", "''")
    if re.fullmatch("x'[0-9a-fA-F]{64}(?:[0-9a-fA-F]{32})?'", key):
        database.execute(f'PRAGMA key = "{key}"')
    elif key:
        database.execute(f"PRAGMA key = '{quoted}'")


def become_owner_of(path: str) -> None:
    """For files that may be made beside it. Root stays root where the folder lies behind one that only root may enter, or the owner is
    nobody here; then SQLite itself gives what it makes to the owner."""
    state = os.stat(path)
    if os.geteuid() != 0 or state.st_uid == 0:
        return
    try:
        os.setgroups([])
        os.setegid(state.st_gid)
        os.seteuid(state.st_uid)
    except OSError:
        os.setegid(0)
        return
    if not os.access(os.path.dirname(path), os.R_OK | os.X_OK, effective_ids=True):
        os.seteuid(0)
        os.setegid(0)


def imaged(source: str, target: str, key: str, busy_seconds: float) -> float:
    """The database as it is at one moment, and how long its readers' lock was held."""
    sqlite = library(key)
    with closing(sqlite.connect(target, isolation_level=None)) as image:
        unlocked(image, key)
        image.execute("PRAGMA journal_mode=OFF")
        image.execute("PRAGMA synchronous=OFF")
        become_owner_of(source)
        where = f"file:{quote(source)}?mode=ro"
        with closing(sqlite.connect(where, uri=True, timeout=busy_seconds, isolation_level=None)) as live:
            unlocked(live, key)
            live.execute("PRAGMA query_only=ON")
            # No question to the schema: the application's own SQLite may be newer, and write one that this cannot read.
            live.execute("PRAGMA user_version").fetchone()
            began = time.monotonic()
            live.backup(image, pages=-1)
            return time.monotonic() - began


def ends_with_its_parent() -> None:
    """Whoever asked is gone when its end of the pipe is: then nobody waits for an image, and no lock is to stay."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    asked = json.loads(sys.stdin.buffer.readline())
    ends_with_its_parent()
    answer: dict[str, Any] = {"problem": "", "seconds": None}
    try:
        answer["seconds"] = imaged(asked["source"], asked["target"], asked["key"], asked["busy_seconds"])
    except ImportError as missing:
        answer["problem"] = f"no {missing.name}"
    except Exception as problem:  # noqa: BLE001  two libraries, each with errors of its own; whoever asked makes the sentence
        answer["problem"] = f"{type(problem).__name__}: {problem}"
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
