# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Ask SQL of a copy of a database that is sound, within bounds of time, rows and bytes, and with no way to write."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _sqlite_cipher,
    _sqlite_copy,
    _sqlite_query,
    _sqlite_taken,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_copy import NoCopy


@dataclass(frozen=True)
class Bounds:
    """What one look may cost."""

    tries: int = 3
    copy_seconds: float = 60.0
    check_seconds: float = 30.0
    query_seconds: float = 10.0
    rows: int = 100
    cell: int = 200
    # Of SQLCipher; with it the database is opened by that.
    key: str = field(default="", repr=False)


def ask(path: str, queries: list[dict[str, str]], scratch_dir: str, bounds: Bounds) -> dict[str, Any]:
    """What is known of the database, with an answer to each query where a copy of it is sound."""
    began = time.monotonic()
    found: dict[str, Any] = {"path": path, "state": "suspect", "problem": None, "tries": 0, "bytes": None, "queries": {}}
    try:
        found["bytes"] = _sqlite_copy.check(path)
        with _sqlite_copy.scratch(scratch_dir) as folder:
            while found["tries"] < bounds.tries and found["state"] == "suspect":
                found["tries"] += 1
                found.update(_try(path, queries, folder, bounds))
    except NoCopy as problem:
        found.update(state=problem.state, problem=str(problem))
    except IncidentError as problem:
        found.update(state="unreadable", problem=str(problem))
    except OSError as problem:
        found.update(state="unreadable", problem=sentence_for(problem))
    found["seconds"] = round(time.monotonic() - began, 2)
    return found


def _try(path: str, queries: list[dict[str, str]], folder: str, bounds: Bounds) -> dict[str, Any]:
    copied, still = _sqlite_copy.copy(path, folder, bounds.copy_seconds)
    if not still:
        return {"state": "suspect", "problem": f"{path} was written to while it was copied, each time: no copy of it is whole."}
    # A site may have a key and, for now, a plain database.
    key = bounds.key if _sqlite_taken.encrypted(copied) else ""
    engine: Any = _sqlite_cipher.module() if key else sqlite3
    if engine is None:
        return {"state": "unreadable", "problem": f"{path} is encrypted, and the host has no sqlcipher3 to ask it."}
    try:
        with closing(engine.connect(f"file:{quote(copied)}?mode=rw", uri=True, timeout=1.0, isolation_level=None)) as database:
            if key:
                _sqlite_cipher.unlock(database, key)
            _sqlite_query.limit(database)
            verdict = _checked(database, bounds.check_seconds)
            if verdict != "ok":
                why = f"A copy of {path} does not pass quick_check ({verdict}): it is torn, or the database is damaged."
                return {"state": "suspect", "problem": why}
            _sqlite_query.shorten(database)
            database.set_authorizer(_sqlite_query.authorize)
            return {
                "state": "read",
                "problem": None,
                "queries": {
                    one["name"]: _sqlite_query.answer(
                        database, one["sql"], bounds.rows, bounds.cell, bounds.query_seconds, engine
                    )
                    for one in queries
                },
            }
    except engine.DatabaseError as problem:
        said = clean_line(str(problem), 200)
        if "not a database" in said:
            why = (
                f"{path} is encrypted with another key than the one given, or no database: it cannot be asked."
                if key
                else f"{path} is no plain SQLite database (it may be encrypted): it cannot be asked here."
            )
            return {"state": "unreadable", "problem": why}
        return {
            "state": "suspect",
            "problem": f"A copy of {path} cannot be read ({said}): it is torn, or the database is damaged.",
        }


def _checked(database: Any, seconds: float) -> str:
    _sqlite_query.until(database, seconds)
    # The header is read first, so that what is no database at all says so.
    database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    rows = database.execute("PRAGMA quick_check(1)").fetchall()
    return clean_line(str(rows[0][0]) if rows else "no answer", 200)
