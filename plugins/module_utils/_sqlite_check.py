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
# What the application's own SQLite may know and this host's does not: it is newer, or the program adds functions and collations to it.
_UNKNOWN = re.compile(
    r"(?:no such (?:collation sequence|function|module|tokenizer)|unknown function|wrong number of arguments to function|unsafe use of)\b"
    r"|string or blob too big",
    re.I,
)
_UNREAD = re.compile(
    r'malformed database schema \((.*?)\) - (near ".*": syntax error|(?:unrecognized token|unknown table option): .*|unknown datatype for .*)',
    re.I | re.S,
)
# No version of SQLite knows a word with one of these.
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ufffd]")
_NUMBERED = re.compile(r"\b[Pp]age (\d+)")
_NAMED = re.compile(r"(?:index|in PRIMARY KEY order for|in) (\S+)\Z")


@dataclass
class Asked:
    """damage is page, tree or rule by the worst that was said; None where all is well.

    unknown has what this host's SQLite (version) does not know, and the tables that this kept it from checking.
    """

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
    unknown: dict[str, list[str]] = field(default_factory=dict)
    unread: bool = False
    version: str = ""
    # What foreign keys and invariants took, beside the check of the pages.
    rules_seconds: float = 0.0

    def fail(self, problem: Exception, table: str = "") -> bool:
        """Whether it stopped at something that it only does not know; else it is damage like what it says itself."""
        said = str(problem)
        unread = None if _NO_TEXT.search(said) else _UNREAD.match(said)
        if unread is None and not _UNKNOWN.search(said):
            self.hear(said)
            return False
        self.unread = self.unread or unread is not None
        table, said = unread.groups() if unread else (table, said)
        tables = self.unknown.setdefault(clean_line(said, 200), [])
        if table and table not in tables:
            tables.append(clean_line(table, 100))
        return True

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
    asked = Asked(version=str(getattr(engine, "sqlite_version", "")))
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
            _sqlite_query.shorten(database)
            database.set_authorizer(_sqlite_query.authorize)
            for one in invariants:
                asked.invariants[one["name"]] = _invariant(database, one["query"], query_seconds, engine)
            asked.rules_seconds = time.monotonic() - began
            for one in queries:
                asked.queries[one["name"]] = _sqlite_query.answer(database, one["sql"], rows, 200, query_seconds, engine)
    except engine.Error as problem:
        asked.fail(problem)
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
        asked.fail(problem)
    _sqlite_query.until(database, seconds)
    try:
        for row in database.execute(f"PRAGMA {'integrity' if full else 'quick'}_check({MESSAGES})"):
            asked.hear(str(row[0]))
    except engine.Error as problem:
        if "interrupted" in str(problem):
            asked.ended = False
        elif asked.fail(problem):
            _check_each(database, full, asked, engine)
    _sqlite_query.until(database, seconds)


def _check_each(database: Any, full: bool, asked: Asked, engine: Any) -> None:
    """One table that cannot be checked keeps SQLite from all: the others are checked by themselves, and of that one what can be."""
    if engine.sqlite_version_info < (3, 33):
        return
    for name, quoted in _tables(database, engine):
        for check in ("integrity", "quick") if full else ("quick",):
            try:
                rows = database.execute(f"PRAGMA {check}_check({quoted})").fetchall()
            except engine.Error as problem:
                if "interrupted" in str(problem):
                    asked.ended = False
                    return
                asked.fail(problem, name)
                continue
            for row in rows:
                if str(row[0]) not in asked.messages:
                    asked.hear(str(row[0]))
            break


def _tables(database: Any, engine: Any) -> list[tuple[str, str]]:
    """The names of tables, and quoted."""
    try:
        rows = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        ).fetchall()
    except engine.Error:
        return []
    return [(str(row[0]), '"' + str(row[0]).replace('"', '""') + '"') for row in rows[:TABLES]]


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
    asked.keys_checked = True
    if _keys(database, "PRAGMA foreign_key_check", asked, engine):
        return
    del asked.foreign_keys[:]
    for name, quoted in _tables(database, engine):
        _keys(database, f"PRAGMA foreign_key_check({quoted})", asked, engine, name)


def _keys(database: Any, pragma: str, asked: Asked, engine: Any, of_table: str = "") -> bool:
    """Whether nothing was in the way that only concerns some of the tables."""
    try:
        for table, row, parent, _number in database.execute(pragma):
            if len(asked.foreign_keys) == KEYS:
                asked.more = True
                break
            asked.foreign_keys.append(
                {"table": clean_line(str(table), 100), "rowid": row, "parent": clean_line(str(parent), 100)}
            )
        return True
    except engine.Error as problem:
        asked.keys_checked = False
        if "interrupted" in str(problem):
            asked.ended = False
        elif "foreign key mismatch" in str(problem):
            # How the schema was written, and no damage.
            asked.messages.append(clean_line(str(problem), 300))
        else:
            return not asked.fail(problem, of_table)
        return True


def _invariant(database: Any, sql: str, seconds: float, engine: Any) -> dict[str, Any]:
    """It is kept where no row comes back."""
    found = _sqlite_query.answer(database, sql, ROWS, 200, seconds, engine)
    return {"rows": len(found["rows"]), "sample": found["rows"][:SAMPLE], "problem": found["problem"]}


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
