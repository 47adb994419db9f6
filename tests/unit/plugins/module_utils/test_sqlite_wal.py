# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may lie behind the last commit of a -wal: what was rolled back, what is damaged, and what a power cut leaves."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from unit.plugins.module_utils.sqlite_small import filled, look, write

FRAME = 24 + 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path)


@pytest.fixture
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    """Its cache is small: what it writes goes to the -wal before it is committed."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA wal_autocheckpoint=0")
    database.execute("PRAGMA cache_size=10")
    yield database
    database.close()


def commits(writer: sqlite3.Connection, first: int, count: int) -> None:
    for number in range(first, first + count):
        writer.execute("INSERT INTO users VALUES (?, ?, 'buyer')", (number, f"user-{number}"))


def rolled_back(writer: sqlite3.Connection) -> None:
    writer.execute("BEGIN")
    for number in range(1000, 1500):
        writer.execute("INSERT INTO escrows VALUES (?, 1, 5, ?)", (number, "x" * 1000))
    writer.execute("ROLLBACK")


def failed(writer: sqlite3.Connection) -> None:
    """At its last row."""
    with pytest.raises(sqlite3.IntegrityError):
        writer.execute(
            "INSERT INTO escrows SELECT CASE id WHEN 300 THEN 1 ELSE id + 1000 END, 1, 5, printf('%01000d', id) FROM users ORDER BY id"
        )


def without_index(path: Path, folder: Path) -> Path:
    copy = folder / "copy/shop.db"
    copy.parent.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    return copy


@pytest.mark.parametrize("given_up", [rolled_back, failed])
def test_what_was_rolled_back_is_no_damage(
    path: Path, writer: sqlite3.Connection, given_up: Callable[[sqlite3.Connection], None], tmp_path: Path
) -> None:
    """Its frames stay behind the next commit."""
    commits(writer, 301, 1)
    given_up(writer)
    commits(writer, 302, 1)
    found = look(path)
    assert (found["state"], found["certain"], found["sentences"]) == ("ok", True, [])
    assert found["wal"]["frames"] > found["wal"]["valid_frames"] + 100 and found["tables"]["users"] == 302
    found = look(path, frozen=False)
    assert (found["state"], found["sentences"]) == ("ok", [])
    found = look(without_index(path, tmp_path))
    assert (found["state"], found["certain"]) == ("wal_damage", False) and "given up" in found["problem"]


@pytest.mark.parametrize("what", ["a byte", "page number", "salts", "checksum", "zeros"])
def test_a_frame_that_is_damaged_in_the_middle_is_certain_without_an_index(
    path: Path, writer: sqlite3.Connection, what: str, tmp_path: Path
) -> None:
    commits(writer, 301, 20)
    copy = without_index(path, tmp_path)
    at = 32 + 10 * FRAME
    places = {
        "a byte": (at + 524, b"\xff"),
        "page number": (at + 2, b"\x07"),
        "salts": (at + 9, b"\xff"),
        "checksum": (at + 17, b"\xff"),
        "zeros": (at, bytes(FRAME)),
    }
    write(copy.with_name("shop.db-wal"), *places[what])
    found = look(copy)
    assert (found["state"], found["certain"], found["wal"]["valid_frames"]) == ("wal_damage", True, 10)
    assert "frame 11 is damaged" in found["problem"]


def test_a_last_commit_of_which_only_the_salts_are_wrong_is_lost(
    path: Path, writer: sqlite3.Connection, tmp_path: Path
) -> None:
    commits(writer, 301, 20)
    copy = without_index(path, tmp_path)
    wal = copy.with_name("shop.db-wal")
    write(wal, wal.stat().st_size - FRAME + 9, b"\xff")
    found = look(copy)
    assert (found["state"], found["certain"]) == ("wal_damage", True) and "its commit is lost" in found["problem"]


def test_a_stretch_that_is_others_is_not_told_from_a_commit_that_was_given_up_without_an_index(
    path: Path, writer: sqlite3.Connection, tmp_path: Path
) -> None:
    commits(writer, 301, 20)
    write(path.with_name("shop.db-wal"), 32 + 10 * FRAME + 524, bytes(range(100)))
    assert look(path)["certain"]
    found = look(without_index(path, tmp_path))
    assert (found["state"], found["certain"]) == ("wal_damage", False) and "frame 11" in found["problem"]


def test_a_damaged_commit_before_what_was_rolled_back_is_found(path: Path, writer: sqlite3.Connection) -> None:
    commits(writer, 301, 1)
    rolled_back(writer)
    commits(writer, 302, 5)
    write(path.with_name("shop.db-wal"), 32 + FRAME + 500, b"\xff\xff\xff")
    found = look(path)
    assert (found["state"], found["certain"]) == ("wal_damage", True) and "the -shm knows of" in found["problem"]


def test_a_frame_of_what_was_rolled_back_may_be_anything(path: Path, writer: sqlite3.Connection, tmp_path: Path) -> None:
    commits(writer, 301, 1)
    rolled_back(writer)
    commits(writer, 302, 1)
    valid = look(path)["wal"]["valid_frames"]
    write(path.with_name("shop.db-wal"), 32 + valid * FRAME + 500, b"\xff")
    assert look(path)["state"] == "ok"
    assert not look(without_index(path, tmp_path))["certain"]


@pytest.mark.parametrize("extra", [5 * FRAME, 2 * FRAME + 100])
def test_zeros_behind_the_last_commit_are_told_and_no_damage(
    path: Path, writer: sqlite3.Connection, extra: int, tmp_path: Path
) -> None:
    """As a power cut leaves them. Nothing says that there was more, and no second look could."""
    commits(writer, 301, 20)
    copy = without_index(path, tmp_path)
    wal = copy.with_name("shop.db-wal")
    write(wal, wal.stat().st_size, bytes(extra))
    found = look(copy)
    assert (found["state"], found["certain"], found["wal"]["ends"]) == ("ok", True, "zeros")
    assert len(found["sentences"]) == 1 and "takes 20 commits" in found["sentences"][0]
    assert found["problem"] is None and found["tables"]["users"] == 320


def test_zeros_where_commits_were_are_damage_by_the_index_and_by_what_follows(
    path: Path, writer: sqlite3.Connection, tmp_path: Path
) -> None:
    commits(writer, 301, 20)
    wal = path.with_name("shop.db-wal")
    write(wal, 32 + 10 * FRAME, bytes(wal.stat().st_size - 32 - 10 * FRAME))
    found = look(path)
    assert (found["state"], found["certain"]) == ("wal_damage", True) and "the -shm knows of" in found["problem"]
    assert look(without_index(path, tmp_path))["state"] == "ok"
    write(wal, wal.stat().st_size - 1, b"x")
    shutil.copy(wal, tmp_path / "copy")
    found = look(tmp_path / "copy/shop.db")
    assert (found["state"], found["certain"]) == ("wal_damage", False)


def test_a_wal_of_zeros_alone_is_not_certain_damage(path: Path, writer: sqlite3.Connection, tmp_path: Path) -> None:
    commits(writer, 301, 20)
    wal = path.with_name("shop.db-wal")
    write(wal, 0, bytes(wal.stat().st_size))
    assert look(path)["certain"]
    found = look(without_index(path, tmp_path))
    assert (found["state"], found["certain"]) == ("wal_damage", False) and "zeros" in found["problem"]
