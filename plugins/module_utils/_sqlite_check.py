# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What SQLite itself says of a copy: its checks, foreign keys, the site's invariants, and how many rows each table has."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Iterator
from urllib.parse import quote

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_cipher, _sqlite_query
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

MESSAGES, KEYS, TABLES, SAMPLE, ROWS = 100, 1000, 500, 5, 1000
# An index is held against its table row by row; with SQLite's own 2 MiB that takes up to twice as long. Mapping the file would be
# faster still, but a sector that cannot be read would end this process without a word.
CACHE_KIB = 32_000
# A page that is not what it is to be, whatever belongs to it.
_PAGE = re.compile(
    r"btreeInitPage|unable to get|Extends off end|out of range|Multiple uses for byte|Fragmentation of|overflow list length|failed to get page"
    r"|free-page count|too big on page|size is \d+ but should be|malformed|ptrmap|disk I/O|unsupported file format|not a database|not an error",
    re.I,
)
# A rule of the schema, which may also be younger than the row.
_RULE = re.compile(r"(NULL value in|CHECK constraint failed in|non-unique entry in index) ?(\S*)")
_NUMBERED = re.compile(r"\b[Pp]age (\d+)")
_NAMED = re.compile(r"(?:index|in PRIMARY KEY order for|in) (\S+)\Z")


@dataclass
class Asked:
    """damage is page, tree or rule by the worst that was said; None where all is well."""

    ended: bool = True
    damage: str | None = None
    messages: list[str] = field(default_factory=list)
    pages: set[int] = field(default_factory=set)
    named: dict[str, int] = field(default_factory=dict)
    more: bool = False
    foreign_keys: list[dict[str, Any]] = field(default_factory=list)
    keys_checked: bool = False
    invariants: dict[str, dict[str, Any]] = field(default_factory=dict)
    tables: dict[str, int | None] = field(default_factory=dict)
    schema_sha256: str | None = None
    user_version: int | None = None
    queries: dict[str, Any] = field(default_factory=dict)
    not_opened: bool = False
    # What foreign keys and invariants took, beside the check of the pages.
    rules_seconds: float = 0.0

    def hear(self, text: str) -> None:
        for line in text.splitlines():
            said = clean_line(line, 300).strip()
            if not said or said == "ok" or said.startswith("***"):
                continue
            rank = "page" if _PAGE.search(said) else "rule" if _RULE.match(said) else "tree"
            if self.damage is None or ("rule", "tree", "page").index(rank) > ("rule", "tree", "page").index(self.damage):
                self.damage = rank
            if len(self.messages) < MESSAGES:
                self.messages.append(said)
            else:
                self.more = True
            self.pages.update(int(one) for one in _NUMBERED.findall(said))
            named = _NAMED.search(said)
            if named:
                self.named[named[1]] = self.named.get(named[1], 0) + 1


@contextmanager
def connected(path: str, key: str | None, engine: Any) -> Iterator[Any]:
    """One that may write, and is kept from it: SQLite leaves CHECK out of a schema that it can only read.

    The last one that closes would write the -wal into the database, unless it can only read: so one of those stays until the end.
    """
    with ExitStack() as opened:
        if _size(path + "-wal"):
            guard = opened.enter_context(closing(_open(path, "ro", key, engine)))
            guard.execute("PRAGMA query_only=ON")
            with suppress(engine.Error):
                guard.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield opened.enter_context(closing(_open(path, "rw", key, engine)))


def play_back(path: str) -> None:
    """A journal that a writer left: SQLite puts the pages of before back, and then the file is one that can be walked."""
    with suppress(sqlite3.Error):
        if _size(path + "-journal"):
            with closing(_open(path, "rw", None, sqlite3)) as database:
                database.execute("SELECT count(*) FROM sqlite_master").fetchone()


def _open(path: str, mode: str, key: str | None, engine: Any) -> Any:
    database = engine.connect(f"file:{quote(path)}?mode={mode}", uri=True, timeout=1.0, isolation_level=None)
    if key is not None:
        _sqlite_cipher.unlock(database, key)
    return database


def ask(
    path: str,
    full: bool,
    *,
    invariants: list[dict[str, str]],
    queries: list[dict[str, str]],
    rows: int,
    check_seconds: float,
    query_seconds: float,
    key: str | None = None,
    engine: Any = sqlite3,
) -> Asked:
    """Each question on its own: one that damage keeps from an answer leaves the others theirs."""
    asked = Asked()
    before = {suffix for suffix in ("-wal", "-shm") if os.path.lexists(path + suffix)}
    try:
        with connected(path, key, engine) as database:
            _sqlite_query.limit(database)
            with suppress(engine.Error):  # it reads the schema, which may be what is damaged
                database.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
            _check(database, full, asked, check_seconds, engine)
            _facts(database, asked, check_seconds, engine)
            began = time.monotonic()
            _foreign_keys(database, asked, check_seconds, engine)
            database.set_authorizer(_sqlite_query.authorize)
            for one in invariants:
                asked.invariants[one["name"]] = _invariant(database, one["query"], query_seconds, engine)
            asked.rules_seconds = time.monotonic() - began
            for one in queries:
                asked.queries[one["name"]] = _sqlite_query.answer(database, one["sql"], rows, 200, query_seconds, engine)
    except engine.Error as problem:
        asked.hear(clean_line(str(problem), 300))
        asked.not_opened = True
    finally:
        for suffix in {"-wal", "-shm"} - before:
            if suffix == "-shm" or not _size(path + suffix):
                with suppress(FileNotFoundError):
                    os.unlink(path + suffix)
    return asked


def _check(database: Any, full: bool, asked: Asked, seconds: float, engine: Any) -> None:
    try:
        # The schema is read first, so that what cannot be read at all says so.
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except engine.Error as problem:
        asked.hear(str(problem))
    _sqlite_query.until(database, seconds)
    try:
        for row in database.execute(f"PRAGMA {'integrity' if full else 'quick'}_check({MESSAGES})"):
            asked.hear(str(row[0]))
    except engine.Error as problem:
        if "interrupted" in str(problem):
            asked.ended = False
        else:
            asked.hear(str(problem))
    _sqlite_query.until(database, seconds)


def _facts(database: Any, asked: Asked, seconds: float, engine: Any) -> None:
    try:
        asked.user_version = database.execute("PRAGMA user_version").fetchone()[0]
        schema = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    except engine.Error:
        return
    asked.schema_sha256 = hashlib.sha256(repr(schema).encode()).hexdigest()
    names = [name for kind, name, _table, _sql in schema if kind == "table" and not str(name).startswith("sqlite_")]
    for name in names[:TABLES]:
        quoted = str(name).replace('"', '""')
        _sqlite_query.until(database, seconds)
        try:
            asked.tables[str(name)] = database.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()[0]  # noqa: S608  quoted
        except engine.Error:
            asked.tables[str(name)] = None


def _foreign_keys(database: Any, asked: Asked, seconds: float, engine: Any) -> None:
    _sqlite_query.until(database, seconds)
    try:
        for table, row, parent, _number in database.execute("PRAGMA foreign_key_check"):
            if len(asked.foreign_keys) == KEYS:
                asked.more = True
                break
            asked.foreign_keys.append(
                {"table": clean_line(str(table), 100), "rowid": row, "parent": clean_line(str(parent), 100)}
            )
        asked.keys_checked = True
    except engine.Error as problem:
        if "interrupted" in str(problem):
            asked.ended = False
        elif "foreign key mismatch" in str(problem):
            # How the schema was written, and no damage.
            asked.messages.append(clean_line(str(problem), 300))
        else:
            asked.hear(str(problem))


def _invariant(database: Any, sql: str, seconds: float, engine: Any) -> dict[str, Any]:
    """It is kept where no row comes back."""
    found = _sqlite_query.answer(database, sql, ROWS, 200, seconds, engine)
    return {"rows": len(found["rows"]), "sample": found["rows"][:SAMPLE], "problem": found["problem"]}


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
