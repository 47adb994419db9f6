# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What a restored database has lost: every table of the damaged one against it, row by row, in both directions.

What cannot be read is unknown, and never nothing. The list is a file for people and for reconciliation; memory holds counts and a sample.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import secrets
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import IO, Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_loss_file,
    _sqlite_cipher,
    _sqlite_header,
    _sqlite_own_wal,
    _sqlite_wal,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_loss_file import OPEN, SEALED
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_rows import (
    ByKey,
    ByNumber,
    Gap,
    Item,
    Row,
    Side,
    Table,
    engine_for,
    order,
    quoted,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import draft_of, put_in_place, remove
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_pages import Pages

NEW, CHANGED, DELETED, UNKNOWN = "new", "changed", "deleted", "unknown"
SAMPLE = 200
WHOLE_BYTES = 4096
# Columns that tell what became of an escrow; nothing else of a row goes into a result.
STATES = ("state", "status")


class NotCompared(Exception):
    """The sound side cannot be read. The text goes into a sentence."""


class Loss:
    """The list as it grows: a line for each row in the file, numbers here."""

    def __init__(self, file: Any, priority: tuple[str, ...]) -> None:
        self._file, self._priority = file, priority
        self.tables: dict[str, dict[str, Any]] = {}
        self.sample: list[dict[str, Any]] = []
        self.complete = True

    def begin(self, table: str) -> None:
        self.tables[table] = {NEW: 0, CHANGED: 0, DELETED: 0, UNKNOWN: 0, "more": False, "columns": []}

    def unread(self, table: str, gap: Gap) -> None:
        """Rows that nobody can read; more where nobody can say how many they are at most."""
        self.complete = False
        self.tables[table][UNKNOWN] += gap.size or 0
        self.tables[table]["more"] = self.tables[table]["more"] or gap.size is None or gap.before is None
        between = {"after": _listed(gap.after), "before": _listed(gap.before)}
        line = {"table": table, "key": None, "between": between, "change": UNKNOWN, "before": None, "after": None}
        self._file.write(json.dumps(line, sort_keys=True) + "\n")

    def add(self, table: str, key: Any, change: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
        if change != UNKNOWN:
            self.tables[table][change] += 1
        line = {"table": table, "key": key, "change": change, "before": before, "after": after}
        self._file.write(json.dumps(line, sort_keys=True) + "\n")
        if table in self._priority and len(self.sample) < SAMPLE:
            self.sample.append(
                {
                    "table": clean_line(table, 100),
                    "key": {clean_line(name, 100): _short(value) for name, value in key.items()},
                    "change": change,
                    "before": _state(before),
                    "after": _state(after),
                }
            )


def _state(row: dict[str, Any] | None) -> str | None:
    found = next((row[name] for name in STATES if name in row), None) if row else None
    return None if found is None else str(_short(found))


def _short(value: Any) -> Any:
    return clean_line(value, 100) if isinstance(value, str) else value


def without_a_strange_wal(path: str) -> str | None:
    """Take a -wal away from our copy that is another database's: opened together they would be neither. Why, where it was done."""
    header, wal = _sqlite_header.look_at(path), _sqlite_wal.read(path + "-wal", _sqlite_wal.read_index(path + "-shm"))
    if header.kind != "database" or not header.page_size:
        return None
    found: dict[int, bool] = {}
    compared = 0
    if wal.page_size == header.page_size:
        with Pages(path, header.page_size, header.reserved, header.page_count, wal if wal.valid_commits else None) as pages:
            found, compared = _sqlite_own_wal.differing(pages, wal, _sqlite_wal.read_index(path + "-shm"))
    why = _sqlite_own_wal.foreign(header, wal, found, compared)
    if why is not None:
        remove(path + "-wal")
        remove(path + "-shm")
    return why


def compare(
    kept: str, restored: str, key: str, priority: tuple[str, ...], loss_file: str, folder: str, dry: bool, seal: Key = OPEN
) -> dict[str, Any]:
    """Both are copies that are ours. Where nothing was left to keep, kept is empty, and all of it is unknown.

    The file is written to its end before it gets its name. Beside it lies one that gpg has encrypted, for other places; rows of a database
    that is encrypted lie in that one alone.
    """
    hidden = bool(key) and seal != OPEN
    named = loss_file + SEALED if hidden else loss_file
    with ExitStack() as stack:
        if dry and hidden:
            loss = _listed_into(_database_loss_file.nowhere(), OPEN, priority, (kept, restored, key or None, folder))
            changed = not os.path.exists(named)
        else:
            draft = draft_of(named) if not dry else os.path.join(folder, "loss.jsonl")
            stack.callback(remove, draft)
            loss = _listed_into(
                _database_loss_file.new(draft), seal if hidden else OPEN, priority, (kept, restored, key or None, folder)
            )
            changed = _database_loss_file.digest(draft) != _database_loss_file.digest(named)
        if changed and not dry:
            named = _database_loss_file.unused(named)
            put_in_place(draft, named)
        sealed = named if hidden else named + SEALED if seal != OPEN else None
        if sealed is not None and not hidden and not dry and not os.path.exists(sealed):
            _database_loss_file.seal_copy(named, sealed, seal)
            changed = True
    return {
        "changed": changed,
        "loss": {
            "tables": loss.tables,
            "escrow_changes": loss.sample,
            "unknown_rows": sum(one[UNKNOWN] for one in loss.tables.values()),
            "complete": loss.complete,
            "file": None if dry else named,
            "sealed": None if dry else sealed,
        },
    }


def _listed_into(file: IO[bytes], seal: Key, priority: tuple[str, ...], sides: tuple[str, str, str | None, str]) -> Loss:
    with _database_loss_file.through(file, seal) as inlet:
        lines = io.TextIOWrapper(inlet, encoding="ascii", write_through=False)
        loss = Loss(lines, priority)
        _compare(sides[0], sides[1], sides[2], loss, priority, sides[3])
        lines.flush()
        lines.detach()
    return loss


def _compare(kept: str, restored: str, key: str | None, loss: Loss, priority: tuple[str, ...], folder: str) -> None:
    engine = engine_for(key)
    with ExitStack() as stack:
        try:
            ours = stack.enter_context(closing(Side(restored, key)))
            present, damaged = ours.tables(), None
        except engine.DatabaseError as problem:
            # Most likely it is encrypted, and its key or SQLCipher is not here.
            raise NotCompared(f"the restored database cannot be read here ({clean_line(str(problem), 120)})") from None
        try:
            if kept:
                theirs = stack.enter_context(closing(Side(kept, key)))
                damaged = theirs.tables()
        except engine.DatabaseError:
            pass  # not even its list of tables can be read
        for name in sorted({*present, *(damaged or {})}, key=lambda one: (_rank(one, priority), one)):
            loss.begin(name)
            both = [one[name] for one in (damaged or {}, present) if name in one]
            if damaged is None or not all(one.readable for one in both):
                loss.unread(name, Gap(None, None, None))
                continue
            try:
                _Pair(theirs, ours, damaged.get(name), present.get(name), loss, folder).compare()
            except engine.DatabaseError:
                # As a virtual table whose rows are in another that is gone.
                loss.unread(name, Gap(None, None, None))


def _rank(table: str, priority: tuple[str, ...]) -> int:
    return priority.index(table) if table in priority else len(priority)


class _Pair:
    """One table on both sides. Rows that are equal under the same number or key are done with at once."""

    def __init__(self, theirs: Side, ours: Side, kept: Table | None, restored: Table | None, loss: Loss, folder: str) -> None:
        self._theirs, self._ours, self._kept, self._restored = theirs, ours, kept, restored
        self._loss, self._folder = loss, folder
        both = [one for one in (kept, restored) if one is not None]
        self._name = both[0].name
        # A column that one side has not is empty there: what the other has in it makes the row another one.
        self._columns = tuple(dict.fromkeys(one for table in reversed(both) for one in table.columns))
        if kept is not None and restored is not None:
            loss.tables[self._name]["columns"] = [one for one in kept.columns if one not in restored.columns]
        self._table = both[0]
        self._numbered = all(one.numbered for one in both)

    def compare(self) -> None:
        if self._kept is not None and self._restored is not None and self._kept.numbered != self._restored.numbered:
            # How the table is made has changed since: rows are told apart by their key alone.
            keyed, other = (self._restored, self._kept) if self._kept.numbered else (self._kept, self._restored)
            if not set(keyed.key) <= set(other.columns):
                self._loss.unread(self._name, Gap(None, None, None))
                return
            self._table, self._kept, self._numbered = keyed, replace(self._kept, key=keyed.key), False
        if self._numbered and self._table.key:
            self._by_key_of_numbered()
            return
        for change, before, after in self._merged():
            self._tell(change, before, after)

    def _merged(self) -> Iterator[tuple[str, Row | None, Row | None]]:
        width = 1 if self._numbered else len(self._table.key)
        place = (lambda row: row[0]) if self._numbered else (lambda row: order(row[:width]))
        ours = self._rows_of_ours()
        row = next(ours, None)
        for item in self._items_of_theirs():
            if isinstance(item, Gap):
                self._loss.unread(self._name, item)
                after, before = (self._mark(one) for one in (item.after, item.before))
                while row is not None and (before is None or place(row) < before):
                    if after is not None and place(row) <= after:
                        yield DELETED, None, row
                    else:
                        if item.size is None:
                            self._loss.tables[self._name][UNKNOWN] += 1
                        yield UNKNOWN, None, row
                    row = next(ours, None)
                continue
            at = place(item)
            while row is not None and place(row) < at:
                yield DELETED, None, row
                row = next(ours, None)
            if row is not None and place(row) == at:
                if row[width:] != item[width:]:
                    yield CHANGED, item, row
                row = next(ours, None)
            else:
                yield NEW, item, None
        while row is not None:
            yield DELETED, None, row
            row = next(ours, None)

    def _mark(self, key: Any) -> Any:
        return key if key is None or self._numbered else order(key)

    def _items_of_theirs(self) -> Iterator[Item]:
        if self._kept is None:
            return iter(())
        if self._numbered:
            return ByNumber(self._theirs, self._kept, self._columns, self._bounds()).items()
        return ByKey(self._theirs, self._kept, self._columns, self._ours).items()

    def _rows_of_ours(self) -> Iterator[Row]:
        if self._restored is None:
            return iter(())
        number = self._restored.place
        keys = [number] if self._numbered else [f"{quoted(one)}" for one in self._table.key]
        place = [number] if self._numbered else [f"{one} COLLATE BINARY" for one in keys]
        listed = ", ".join([*keys, *self._restored.asked(self._columns)])
        sql = f"SELECT {listed} FROM {quoted(self._name)} ORDER BY {', '.join(place)}"  # noqa: S608  quoted
        return iter(self._ours.ask(sql))

    def _bounds(self) -> tuple[int, int]:
        """Row numbers that are known from the sound database, and the highest that the damaged one says to have given."""
        low, high = 1, 0
        if self._restored is not None:
            number = self._restored.place
            found = self._ours.ask(f"SELECT min({number}), max({number}) FROM {quoted(self._name)}").fetchone()  # noqa: S608
            low, high = (found[0], found[1]) if found[0] is not None else (low, high)
        try:
            given = self._theirs.ask("SELECT max(seq) FROM sqlite_sequence WHERE name=?", (self._name,)).fetchone()
        except self._theirs.engine.DatabaseError:
            given = None
        return low, max(high, given[0] if given and isinstance(given[0], int) else high)

    def _named(self, row: Row) -> dict[str, Any]:
        width = 1 if self._numbered else len(self._table.key)
        return {name: _plain(value) for name, value in zip(self._columns, row[width:])}

    def _key(self, row: Row) -> dict[str, Any]:
        if self._numbered:
            return {self._table.number: row[0]}
        return {name: _plain(value) for name, value in zip(self._table.key, row)}

    def _tell(self, change: str, before: Row | None, after: Row | None) -> None:
        one = before or after or ()
        self._loss.add(
            self._name, self._key(one), change, self._named(before) if before else None, self._named(after) if after else None
        )

    def _by_key_of_numbered(self) -> None:
        """Rows have numbers and a key of their own: the number finds what is equal, the key tells what the rest is."""
        path = os.path.join(self._folder, "rest.db")
        remove(path)
        with closing(self._theirs.engine.connect(path, isolation_level=None)) as rest:
            if self._theirs.engine is not sqlite3:
                _sqlite_cipher.unlock(rest, f"x'{secrets.token_hex(32)}'")
            rest.executescript(
                "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8192;"
                "CREATE TABLE theirs(key TEXT, number INTEGER, row TEXT); CREATE TABLE ours(key TEXT, number INTEGER, row TEXT, unread INTEGER);"
            )
            rest.execute("BEGIN")
            for change, before, after in self._merged():
                if before is not None:
                    rest.execute("INSERT INTO theirs VALUES(?, ?, ?)", self._parted(before))
                if after is not None:
                    rest.execute("INSERT INTO ours VALUES(?, ?, ?, ?)", (*self._parted(after), change == UNKNOWN))
            for sql in ("CREATE INDEX theirs_key ON theirs(key)", "CREATE INDEX ours_key ON ours(key)", "COMMIT"):
                rest.execute(sql)
            self._tell_rest(rest)
        remove(path)

    def _parted(self, row: Row) -> tuple[str, int, str]:
        named = self._named(row)
        return json.dumps({name: named.get(name) for name in self._table.key}, sort_keys=True), row[0], json.dumps(named)

    def _tell_rest(self, rest: Any) -> None:
        pairs = "FROM theirs JOIN ours USING(key)"
        moved = rest.execute(f"SELECT count(*) {pairs} WHERE theirs.number <> ours.number").fetchone()[0]
        for key, before, after in rest.execute(
            f"SELECT key, theirs.row, ours.row {pairs} WHERE theirs.row <> ours.row ORDER BY key"
        ):
            self._loss.add(self._name, json.loads(key), CHANGED, json.loads(before), json.loads(after))
        for key, before in rest.execute("SELECT key, row FROM theirs WHERE key NOT IN (SELECT key FROM ours) ORDER BY key"):
            self._loss.add(self._name, json.loads(key), NEW, json.loads(before), None)
        # Where rows have other numbers than they had, nobody can say by its number what a row in a gap was.
        unsure = moved > 0 and (self._loss.tables[self._name][UNKNOWN] > 0 or self._loss.tables[self._name]["more"])
        for key, after, unread in rest.execute(
            "SELECT key, row, unread FROM ours WHERE key NOT IN (SELECT key FROM theirs) ORDER BY key"
        ):
            self._loss.add(self._name, json.loads(key), UNKNOWN if unread or unsure else DELETED, None, json.loads(after))


def _listed(key: Any) -> Any:
    return [_plain(one) for one in key] if isinstance(key, tuple) else key


def _plain(value: Any) -> Any:
    """As JSON can say it; long bytes by their checksum."""
    if isinstance(value, bytes):
        if len(value) <= WHOLE_BYTES:
            return {"hex": value.hex()}
        return {"sha256": hashlib.sha256(value).hexdigest(), "bytes": len(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
