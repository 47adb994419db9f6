# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of the look at a database: what SQLite's words mean, what a value can be, and what /proc says of locks."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _sqlite_check,
    _sqlite_header,
    _sqlite_holders,
    _sqlite_pages,
    _sqlite_record,
    _sqlite_tree,
    _sqlite_wal,
)


def test_what_sqlite_said_of_real_damage_is_ranked(recorded: Callable[[str], str]) -> None:
    lines = [line.split("\t") for line in recorded("sqlite_check.txt").splitlines() if not line.startswith("#")]
    assert len(lines) > 20
    wrong = []
    for rank, text in lines:
        asked = _sqlite_check.Asked()
        asked.hear("*** in database main ***\n" + text)
        if (asked.damage, asked.messages) != (rank, [text]):
            wrong.append((rank, asked.damage, text))
    assert wrong == []


def test_the_worst_that_was_said_counts_and_the_rest_is_bounded() -> None:
    asked = _sqlite_check.Asked()
    asked.hear("ok")
    assert asked.damage is None and asked.messages == []
    for text in (
        "NULL value in t.a",
        "Page 3 is never used",
        "Page 9: btreeInitPage() returns error code 11",
        "NULL value in t.a",
    ):
        asked.hear(text)
    assert asked.damage == "page" and asked.pages == {3, 9} and asked.named == {"t.a": 2}
    for number in range(200):
        asked.hear(f"row {number} missing from index i")
    assert len(asked.messages) == _sqlite_check.MESSAGES and asked.more


@pytest.mark.parametrize(
    ("said", "unknown"),
    [
        ('malformed database schema (orders) - near "TABLF": syntax error', {'near "TABLF": syntax error': ["orders"]}),
        ('malformed database schema (a) - unrecognized token: "1_000"', {'unrecognized token: "1_000"': ["a"]}),
        ("malformed database schema (a) - no such function: f", {"malformed database schema (a) - no such function: f": ["t"]}),
        ("unsafe use of load_extension()", {"unsafe use of load_extension()": ["t"]}),
        ("string or blob too big", {"string or blob too big": ["t"]}),
        ('malformed database schema (orders) - near "TA\x02LE": syntax error', {}),
        ("malformed database schema (orders) - invalid rootpage", {}),
        ("malformed database schema (?)", {}),
        ("database disk image is malformed", {}),
    ],
)
def test_what_stopped_sqlite_is_damage_unless_another_sqlite_may_know_it(said: str, unknown: dict[str, list[str]]) -> None:
    asked = _sqlite_check.Asked()
    assert asked.fail(sqlite3.DatabaseError(said), "t") is bool(unknown)
    assert (asked.unknown, asked.damage, len(asked.messages)) == (unknown, None if unknown else "page", 0 if unknown else 1)


@pytest.mark.parametrize(
    ("payload", "wrong"),
    [
        (bytes([3, 1, 15, 7]) + b"a", None),
        (bytes([3, 2, 15, 1, 7]) + b"a", None),
        (bytes([3, 2, 15, 0, 7]) + b"a", "more bytes than it needs"),
        (bytes([2, 15]) + b"\xff", "bytes that no text has"),
        (bytes([3, 15, 2]) + b"\xff\0\x07", "more bytes than it needs"),
        (bytes([2, 15]) + b"ab", "not as long as its values"),
        (bytes([2, 10]), "has type 10"),
        (bytes([9, 1]), "no header"),
        (bytes([3, 0x81, 0x01]) + bytes(32) + b"a" * 26, "stretch of zeros"),
        (bytes([2, 7]) + b"\x7f\xf8" + bytes(6), "is no number"),
    ],
)
def test_a_value_that_sqlite_cannot_have_written(payload: bytes, wrong: str | None) -> None:
    found = _sqlite_record.problem_of(payload, 1)
    assert found is None if wrong is None else found is not None and wrong in found[1]
    assert found is None or found[2] == (wrong in ("bytes that no text has", "stretch of zeros"))


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
@pytest.mark.parametrize("vacuum", ["NONE", "FULL", "INCREMENTAL"])
def test_whatever_sqlite_writes_is_walked_without_a_word(tmp_path: Path, encoding: str, vacuum: str) -> None:
    path = tmp_path / "shop.db"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA encoding='{encoding}'")
    database.execute("PRAGMA page_size=512")
    database.execute(f"PRAGMA auto_vacuum={vacuum}")
    database.execute("CREATE TABLE t (a, b TEXT, c REAL, d BLOB)")
    database.execute("CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID")
    database.execute("CREATE INDEX t_b ON t (b COLLATE NOCASE, a DESC)")
    database.execute("CREATE VIEW v AS SELECT a FROM t")
    database.execute("CREATE TRIGGER g AFTER DELETE ON t BEGIN DELETE FROM w WHERE k = old.b; END")
    database.execute("CREATE VIRTUAL TABLE f USING fts5 (words)")
    numbers = [0, 1, -1, 127, 128, -128, -129, 32767, 32768, 1 << 23, -(1 << 23), 1 << 31, 1 << 47, -(1 << 63), (1 << 63) - 1]
    database.execute("BEGIN")
    for turn in range(400):
        text = "ä€𝄞 text " * (turn % 90)
        row = (numbers[turn % len(numbers)], text, float(turn), os.urandom(turn))
        database.execute("INSERT INTO t VALUES (?, ?, ?, ?)", row)
        database.execute("INSERT INTO w VALUES (?, ?)", (f"{turn}-{text}", turn / 7))
        database.execute("INSERT INTO f VALUES (?)", (text,))
    database.execute("INSERT INTO t VALUES (NULL, '', 1e300 * 1e300, zeroblob(3000))")
    database.execute("COMMIT")
    database.execute("ALTER TABLE t ADD COLUMN e DEFAULT 5")
    database.execute("DELETE FROM t WHERE rowid % 3 = 0")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()
    header = _sqlite_header.look_at(str(path))
    with _sqlite_pages.Pages(str(path), header.page_size, header.reserved, header.page_count) as pages:
        walked = _sqlite_tree.walk(pages, True, 60)
    assert walked.problems == [] and walked.ended and len(walked.owners) == header.page_count


def test_a_walk_that_takes_too_long_ends(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE t (a)")
    database.close()
    with _sqlite_pages.Pages(str(path), 4096, 0, 2) as pages:
        assert not _sqlite_tree.walk(pages, True, -1).ended


def test_locks_are_read_by_their_bytes(tmp_path: Path) -> None:
    """Recorded of a writer that checkpoints, beside one of another file."""
    (tmp_path / "locks").write_text(
        "1: POSIX  ADVISORY  WRITE 4121 fe:00:77 120 120\n"
        "1: -> POSIX  ADVISORY  WRITE 4122 fe:00:77 120 120\n"
        "2: POSIX  ADVISORY  WRITE 4121 fe:00:77 121 121\n"
        "3: POSIX  ADVISORY  READ 4121 fe:00:77 124 124\n"
        "4: POSIX  ADVISORY  READ 4121 fe:00:77 128 128\n"
        "5: POSIX  ADVISORY  READ 4121 fe:00:76 1073741826 1073742335\n"
        "6: POSIX  ADVISORY  WRITE 4121 fe:00:99 1073741825 1073741825\n"
        "7: FLOCK  ADVISORY  WRITE 4121 fe:00:76 0 EOF\n"
    )
    # Inodes are decimal there, devices are not.
    inodes = {(1, 77): "shm", (1, 76): "db"}
    found = sorted(
        {name for lock in _sqlite_holders._locks(str(tmp_path)) for name in _sqlite_holders._names(lock, 4121, inodes)}
    )
    assert found == ["checkpoint", "read", "shared", "write"]


def test_an_index_that_is_not_whole_is_none(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (a)")
    index = _sqlite_wal.read_index(f"{path}-shm")
    assert index is not None and index.frames == 2 and index.in_database == 0
    data = bytearray(Path(f"{path}-shm").read_bytes())
    for at in (0, 17, 60):
        broken = bytearray(data)
        broken[at] ^= 1
        (tmp_path / "broken").write_bytes(broken)
        assert _sqlite_wal.read_index(str(tmp_path / "broken")) is None
    (tmp_path / "broken").write_bytes(data[:100])
    assert _sqlite_wal.read_index(str(tmp_path / "broken")) is None
    database.close()
