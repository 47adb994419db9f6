# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Read-only questions to a copy of a database: what may be asked, and what an answer may cost."""

from __future__ import annotations

import math
import sqlite3
import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

# What a SELECT needs; nothing that writes, attaches, loads or sets.
ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, 33)  # 33: a recursive one
FORBIDDEN_FUNCTIONS = ("load_extension", "writefile", "readfile", "edit", "fts3_tokenizer")
LENGTH_LIMIT = 4 * 1024 * 1024
STEPS = 5000


def limit(database: Any) -> None:
    # Its own schema must not run anything but what SQLite knows to be harmless.
    database.execute("PRAGMA trusted_schema=OFF")
    database.execute("PRAGMA query_only=ON")


def shorten(database: Any) -> None:
    """What an answer may be at most. Not for the checks, which read each text whatever its length."""
    set_limit = getattr(database, "setlimit", None)  # from Python 3.11 on
    if set_limit is not None:
        set_limit(0, LENGTH_LIMIT)


def until(database: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    database.set_progress_handler(lambda: int(time.monotonic() > deadline), STEPS)


def authorize(action: int, _first: Any, second: Any, *_more: Any) -> int:
    if action not in ALLOWED:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and str(second).lower() in FORBIDDEN_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def answer(database: Any, sql: str, rows: int, cell: int, seconds: float, engine: Any = sqlite3) -> dict[str, Any]:
    """At most so many rows, with texts of at most so many characters; why there is none where there is none."""
    found: dict[str, Any] = {"columns": [], "rows": [], "more": False, "problem": None}
    until(database, seconds)
    try:
        cursor = database.execute(sql)
        if cursor.description is None:
            found["problem"] = "it asks for nothing: a SELECT is needed"
            return found
        found["columns"] = [clean_line(str(one[0]), 100) for one in cursor.description]
        fetched = cursor.fetchmany(rows + 1)
    except (engine.Error, engine.Warning, ValueError, OverflowError) as problem:
        said = clean_line(str(problem), 200)
        found["problem"] = f"it took longer than {seconds:g} s" if said == "interrupted" else said
        return found
    found["more"] = len(fetched) > rows
    found["rows"] = [[shown(value, cell) for value in row] for row in fetched[:rows]]
    return found


def shown(value: Any, longest: int) -> Any:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return clean_line(str(value), longest)
