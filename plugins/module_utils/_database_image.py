# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What an image of the database is worth, and what a manifest says of it. The image is a file of our own, examined in place."""

from __future__ import annotations

import os
import time
from contextlib import closing
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_image
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

FACTS = ("page_size", "page_count", "schema_version", "tables")


def judged(path: str, key: str, invariants: list[dict[str, str]], full: bool, sealed: bool) -> dict[str, Any]:
    """state, sentences, and the facts of a manifest; what is encrypted and has no key here is `encrypted`."""
    found: dict[str, Any] = {"state": "ok", "sentences": [], **dict.fromkeys(FACTS)}
    if sealed and not key:
        return {
            **found,
            "state": "encrypted",
            "sentences": ["It is encrypted, and its key was not given: what is in it was not looked at."],
        }
    try:
        library = _sqlite_image.library(key if sealed else "")
    except ImportError:
        return {**found, "state": "encrypted", "sentences": ["It is encrypted, and this host's Python has no sqlcipher3."]}
    try:
        with closing(library.connect(path, isolation_level=None)) as database:
            _sqlite_image.unlocked(database, key if sealed else "")
            database.execute("PRAGMA trusted_schema=OFF")
            database.execute("PRAGMA query_only=ON")
            said = [
                clean_line(str(row[0]), 200)
                for row in database.execute(f"PRAGMA {'integrity_check' if full else 'quick_check'}(20)")
            ]
            if said != ["ok"]:
                return {**found, "state": "page_damage", "sentences": said}
            strays = database.execute("PRAGMA foreign_key_check").fetchmany(20)
            if strays:
                words = [
                    f"row {row[1]} of {clean_line(str(row[0]), 80)} names a row of {clean_line(str(row[2]), 80)} that is not there"
                    for row in strays
                ]
                return {**found, "state": "foreign_key_damage", "sentences": words}
            for one in invariants:
                rows = database.execute(one["query"]).fetchmany(3)
                if rows:
                    word = f"invariant {clean_line(one['name'], 80)} does not hold"
                    found.update(state="invariant_damage", sentences=[*found["sentences"], word])
            found.update(_facts(database))
    except library.Error as problem:
        said_so = clean_line(str(problem), 200)
        wrong = "encrypted_wrong_key" if sealed else "not_a_database"
        return {**found, "state": wrong if "not a database" in said_so else "page_damage", "sentences": [said_so]}
    return found


def _facts(database: Any) -> dict[str, Any]:
    names = [
        str(row[0])
        for row in database.execute(
            "SELECT name FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
    ]
    return {
        "page_size": database.execute("PRAGMA page_size").fetchone()[0],
        "page_count": database.execute("PRAGMA page_count").fetchone()[0],
        "schema_version": database.execute("PRAGMA user_version").fetchone()[0],
        "tables": {name: _rows(database, name) for name in names},
    }


def _rows(database: Any, table: str) -> int:
    quoted = table.replace('"', '""')
    return int(database.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0])  # noqa: S608  a name can be no parameter


def last_commit(path: str) -> float:
    """When the database was last written to, by its own time and its -wal's."""
    times = [os.stat(path).st_mtime]
    if os.path.exists(path + "-wal"):
        times.append(os.stat(path + "-wal").st_mtime)
    return min(max(times), time.time())


def version() -> str:
    return str(_sqlite_image.library("").sqlite_version)
