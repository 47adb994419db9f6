# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The rows of a database in the order of their keys, also where pages of it cannot be read: what can be is, what cannot is named.

An index may miss what its table has, so rows are read from the table itself.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import Any, Iterator, Union
from urllib.parse import quote

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_cipher, _sqlite_query

FIRST, LAST = -(2**63), 2**63 - 1
# So many row numbers of a gap are asked one by one; of a longer one every second, third, and so on.
PROBES = 200_000
# Rows before the end of a gap that are held in memory, where only their keys are known.
BACKWARDS = 20_000

# What a row's number goes by, where no column has that name.
NUMBERS = ("rowid", "_rowid_", "oid")

# Tables in which a virtual table keeps its rows, by its module: how their names end, and their columns. Another table of such a name is
# one of the application's own.
_FTS4 = {
    "content": r"docid,c0.*", "segments": "blockid,block", "segdir": "level,idx,start_block,leaves_end_block,end_block,root",
    "docsize": "docid,size", "stat": "id,value",
}  # fmt: skip
_FTS5 = {
    "data": "id,block", "idx": "segid,term,pgno", "content": r"id(,c\d+)+(,l\d+)*", "docsize": "id,sz(,origin)?", "config": "k,v",
}  # fmt: skip
_RTREE = {"node": "nodeno,data", "parent": "nodeno,parentnode", "rowid": r"rowid,nodeno(,a\d+)*"}
SHADOWS = {"fts3": _FTS4, "fts4": _FTS4, "fts5": _FTS5, "rtree": _RTREE, "rtree_i32": _RTREE, "geopoly": _RTREE}
# They show what is elsewhere, as a view does.
WITHOUT_ROWS = ("fts3tokenize", "fts4aux", "fts5vocab", "dbstat")
_VIRTUAL = re.compile(
    r"""\s*CREATE\s+VIRTUAL\b(?:\s+TABLE\s+(?:"(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`|\[[^\]]*\]|[^\s"'`\[]+)"""
    r"""\s*USING\s+["'`\[]?(\w+))?""",
    re.IGNORECASE,
)
# A full-text index that keeps none of its texts gives empty columns for each row.
_NO_TEXTS = re.compile(r"""\bcontent\s*=\s*(?:''|"")""", re.IGNORECASE)

# Settings that are read here, or by SQLite's own modules.
_SETTINGS_OF_A_TABLE, _SETTINGS = ("table_xinfo", "index_list"), ("data_version", "page_size")
# An rtree has its statements ready before it is read. query_only lets none of them run.
_PREPARED = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)

# The row's number, or its key, and its columns.
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """key are the columns that tell its rows apart; without any it is the row's own number, by the name it goes by.

    place is what a query asks that number by. One that is not readable is there, and nothing more is known of it.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    numbered: bool
    number: str = "rowid"
    place: str = "rowid"
    readable: bool = True

    def asked(self, columns: tuple[str, ...]) -> list[str]:
        """Columns as a query names them. SQLite takes a quoted name that it has not for a text."""
        return [quoted(one) if one in self.columns else "NULL" for one in columns]


@dataclass(frozen=True)
class Gap:
    """What cannot be read lies behind one key and before another. None: up to the end. size is the most rows it can be, where that is known."""

    after: Any
    before: Any
    size: int | None


Item = Union[Row, Gap]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def order(key: tuple[Any, ...]) -> tuple[tuple[int, Any], ...]:
    """Keys as SQLite compares them: nothing, numbers, texts by their bytes, bytes."""
    return tuple(
        (0, 0)
        if value is None
        else (1, value)
        if isinstance(value, (int, float))
        else (2, value.encode("utf-8", "surrogateescape"))
        if isinstance(value, str)
        else (3, value)
        for value in key
    )


def engine_for(key: str | None) -> Any:
    """What opens a database; without SQLCipher an encrypted one is none that can be read."""
    return (_sqlite_cipher.module() if key else None) or sqlite3


class Side:
    """One database, a copy that is ours. Its engine's errors are met row by row."""

    def __init__(self, path: str, key: str | None) -> None:
        self.engine = engine_for(key)
        self._database = self.engine.connect(f"file:{quote(path)}?mode=rw", uri=True, timeout=1.0, isolation_level=None)
        if key is not None:
            _sqlite_cipher.unlock(self._database, key)
        self._database.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        for setting in ("trusted_schema=OFF", "query_only=ON", "cell_size_check=ON"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.set_authorizer(_authorize)

    def close(self) -> None:
        self._database.close()

    def ask(self, sql: str, given: tuple[Any, ...] = ()) -> Any:
        return self._database.execute(sql, given)

    def tables(self) -> dict[str, Table]:
        """Those that hold rows of their own; an error of the engine's where nobody can tell."""
        listed = self.ask("SELECT name, sql FROM sqlite_master WHERE type='table'").fetchall()
        found: dict[str, Table] = {}
        kept_by: dict[str, str] = {}
        for name, sql in listed:
            virtual = _VIRTUAL.match(str(sql))
            module = str(virtual[1]).lower() if virtual else None
            if name.startswith("sqlite_") or module in WITHOUT_ROWS:
                continue
            known = virtual is None or (module in SHADOWS and not _NO_TEXTS.search(str(sql)))
            found[name] = self._table(name) if known else _unreadable(name)
            if module is not None and found[name].readable:
                kept_by.update({f"{name}_{end}".lower(): columns for end, columns in SHADOWS[module].items()})
        for name in [one for one in found if one.lower() in kept_by]:
            if re.fullmatch(kept_by[name.lower()], ",".join(found[name].columns), re.IGNORECASE | re.DOTALL):
                del found[name]
        return dict(sorted(found.items()))

    def _table(self, name: str) -> Table:
        try:
            rows = self.ask(f"PRAGMA table_xinfo({quoted(name)})").fetchall()
            keys = sorted((row for row in rows if row[5]), key=lambda row: row[5])
            indexed = any(row[3] == "pk" for row in self.ask(f"PRAGMA index_list({quoted(name)})"))
            taken = {str(row[1]).lower() for row in rows}
            free = next((one for one in NUMBERS if one not in taken), None)
            if free is None and keys and not indexed:
                free = quoted(keys[0][1])
            numbered = free is not None and self._has_numbers(name, free)
        except self.engine.DatabaseError:
            return _unreadable(name)
        key = tuple(row[1] for row in keys)
        columns = tuple(row[1] for row in rows if not row[6])
        # Where a key may be empty, it does not tell every row.
        if not numbered and not (key and all(row[3] for row in keys)):
            return _unreadable(name)
        if indexed or not numbered:
            return Table(name, columns, key, numbered, place=free or "rowid")
        # A key without an index of its own is the row's number by another name.
        return Table(name, columns, (), True, key[0] if key else str(free), str(free))

    def _has_numbers(self, name: str, number: str) -> bool:
        try:
            self.ask(f"SELECT {number} FROM {quoted(name)} LIMIT 0")  # noqa: S608  quoted
        except self.engine.OperationalError:
            return False
        return True


def _unreadable(name: str) -> Table:
    return Table(name, (), (), False, readable=False)


def _authorize(action: int, first: Any, second: Any, base: Any, view: Any) -> int:
    """A database that is not trusted may have a module read a view of its own: no view and no trigger of it runs."""
    if view is not None:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_PRAGMA:
        reads = first in _SETTINGS_OF_A_TABLE or (first in _SETTINGS and second is None)
        return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _PREPARED else _sqlite_query.authorize(action, first, second, base, view)


class ByNumber:
    """A table whose rows have numbers: where it breaks off, the next number that can be read is looked for."""

    def __init__(self, side: Side, table: Table, columns: tuple[str, ...], bounds: tuple[int, int]) -> None:
        """bounds are numbers that may be there, as another database knows them."""
        listed, place = ", ".join([table.place, *table.asked(columns)]), table.place
        self._side, self._lowest, self._highest = side, min(bounds[0], 1), bounds[1]
        self._sql = f"SELECT {listed} FROM {quoted(table.name)} WHERE {place} >= ? ORDER BY {place}"  # noqa: S608  quoted
        self._end = f"SELECT max({place}) FROM {quoted(table.name)}"  # noqa: S608
        self._broken = False

    def items(self) -> Iterator[Item]:
        start = FIRST
        while True:
            at = None
            for row in self._stream(start):
                at = row[0]
                yield row
            if not self._broken:
                return
            low = at + 1 if at is not None else max(start, self._lowest)
            on, high = self._next(low)
            if on != low:
                yield Gap(low - 1, on, max(0, high - low))
            # Python reads a row ahead, and so loses the last one that can be read.
            found = None if on is None else self._one(on)
            if not found:
                return
            yield found
            start = found[0] + 1

    def _stream(self, start: int) -> Iterator[Row]:
        """Until the end, or until nothing more can be read or believed."""
        self._broken, at = True, start - 1
        try:
            for row in self._side.ask(self._sql, (start,)):
                if row[0] <= at:
                    return
                at = row[0]
                yield row
            self._broken = False
        except self._side.engine.DatabaseError:
            return

    def _next(self, low: int) -> tuple[int | None, int]:
        """The first number from which on something can be read, and the first that cannot be missing. No number: nothing more can."""
        try:
            high = self._side.ask(self._end).fetchone()[0]
        except self._side.engine.DatabaseError:
            high = self._highest
        high = self._highest if high is None else max(high, low)
        step = max(1, (high - low) // PROBES)
        before, at = low - 1, low
        while at <= high + step:
            if self._one(at) is not None:
                while at - before > 1:
                    middle = (before + at) // 2
                    if self._one(middle) is not None:
                        at = middle
                    else:
                        before = middle
                return at, at
            before, at = at, at + step
        return None, high + 1

    def _one(self, number: int) -> Row | None:
        """The row of that number or the next; empty behind the last one, None where it cannot be read."""
        try:
            found = self._side.ask(f"{self._sql} LIMIT 1", (number,)).fetchone()
        except self._side.engine.DatabaseError:
            return None
        return found if found is not None else ()


class ByKey:
    """A table without numbers: where it breaks off, keys that another database knows lead on."""

    def __init__(self, side: Side, table: Table, columns: tuple[str, ...], other: Side) -> None:
        keys = [quoted(one) for one in table.key]
        self._side, self._other, self._size = side, other, len(keys)
        listed, place = ", ".join([*keys, *table.asked(columns)]), ", ".join(f"{one} COLLATE BINARY" for one in keys)
        down = ", ".join(f"{one} COLLATE BINARY DESC" for one in keys)
        here, marks = f"({', '.join(f'{one} COLLATE BINARY' for one in keys)})", f"({', '.join('?' for _one in keys)})"
        table_name = quoted(table.name)
        self._all = f"SELECT {listed} FROM {table_name} ORDER BY {place}"  # noqa: S608  quoted
        self._from = f"SELECT {listed} FROM {table_name} WHERE {here} >= {marks} ORDER BY {place}"  # noqa: S608
        self._after = f"SELECT {listed} FROM {table_name} WHERE {here} > {marks} ORDER BY {place}"  # noqa: S608
        self._back = f"SELECT {listed} FROM {table_name} WHERE {here} < {marks} ORDER BY {down}"  # noqa: S608
        self._back_all = f"SELECT {listed} FROM {table_name} ORDER BY {down}"  # noqa: S608
        self._known = f"SELECT {', '.join(keys)} FROM {table_name} WHERE {here} > {marks} ORDER BY {place}"  # noqa: S608
        self._known_all = f"SELECT {', '.join(keys)} FROM {table_name} ORDER BY {place}"  # noqa: S608
        self._broken = False

    def items(self) -> Iterator[Item]:
        """Each row is its key, then its columns."""
        sql, at = self._all, None
        while True:
            for row in self._stream(sql, at or ()):
                at = row[: self._size]
                yield row
            # Python reads a row ahead, and so loses the last one that can be read.
            while self._broken and (found := self._one(self._all if at is None else self._after, at or ())) is not None:
                if not found:
                    return
                at = found[: self._size]
                yield found
            if not self._broken:
                return
            on = self._next(at)
            # Rows of this side alone may lie between the damage and the first key that is known.
            behind = list(self._backwards(on, at))
            yield Gap(at, behind[-1][: self._size] if behind else on, None)
            yield from reversed(behind)
            found = None if on is None else self._one(self._from, on)
            if not found:
                return
            yield found
            sql, at = self._after, found[: self._size]

    def _one(self, sql: str, given: tuple[Any, ...]) -> Row | None:
        """The first row; empty where there is none, None where it cannot be read."""
        try:
            found = self._side.ask(f"{sql} LIMIT 1", given).fetchone()
        except self._side.engine.DatabaseError:
            return None
        return found if found is not None else ()

    def _stream(self, sql: str, given: tuple[Any, ...]) -> Iterator[Row]:
        self._broken, at = True, None
        try:
            for row in self._side.ask(sql, given):
                key = order(row[: self._size])
                if at is not None and key <= at:
                    return
                at = key
                yield row
            self._broken = False
        except self._side.engine.DatabaseError:
            return

    def _next(self, at: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        known = self._other.ask(self._known_all) if at is None else self._other.ask(self._known, at)
        for key in known:
            if self._one(self._from, key) is not None:
                return tuple(key)
        return None

    def _backwards(self, on: tuple[Any, ...] | None, at: tuple[Any, ...] | None) -> Iterator[Row]:
        last = None if at is None else order(at)
        count, sql, given = 0, self._back_all if on is None else self._back, on or ()
        while count < BACKWARDS:
            # One by one: a cursor would lose the last that can be read.
            row = self._one(sql, given)
            if not row or (last is not None and order(row[: self._size]) <= last):
                return
            yield row
            count, sql, given = count + 1, self._back, row[: self._size]
