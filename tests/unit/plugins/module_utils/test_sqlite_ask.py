# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database in use is asked through a copy: its own bytes stay as they are, and what is not sound proves nothing."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_ask, _sqlite_copy
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import try_lock
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_ask import Bounds

SIGNING = [{"name": "signing", "sql": "SELECT id FROM escrows WHERE state = 'signing'"}]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """In use by another: a -wal that holds what the file does not."""
    shop = sqlite3.connect(tmp_path / "shop.db", isolation_level=None)
    shop.execute("PRAGMA journal_mode=WAL")
    shop.execute("PRAGMA wal_autocheckpoint=0")
    shop.execute("CREATE TABLE escrows (id INTEGER PRIMARY KEY, state TEXT, note)")
    shop.execute("INSERT INTO escrows VALUES (1, 'funded', 'a'), (2, 'signing', 'b')")
    yield shop
    shop.close()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "shop.db")


def ask(path: str, sql: str = SIGNING[0]["sql"], **bounds: Any) -> dict[str, Any]:
    scratch = os.path.join(os.path.dirname(path), "scratch")
    return _sqlite_ask.ask(path, [{"name": "signing", "sql": sql}], scratch, Bounds(**bounds))


def digests(folder: Path) -> dict[str, str]:
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.iterdir() if one.is_file()}


def test_what_is_only_in_the_wal_is_read_and_nothing_is_touched(
    database: sqlite3.Connection, path: str, tmp_path: Path
) -> None:
    before = digests(tmp_path)
    found = ask(path)
    assert found["state"] == "read" and found["tries"] == 1 and found["problem"] is None
    assert found["queries"]["signing"] == {"columns": ["id"], "rows": [[2]], "more": False, "problem": None}
    assert digests(tmp_path) == before
    assert database.execute("SELECT count(*) FROM escrows").fetchone() == (2,)


def test_no_copy_is_left(database: sqlite3.Connection, path: str, tmp_path: Path) -> None:
    ask(path)
    ask(path, "SELECT nonsense")
    assert list((tmp_path / "scratch").iterdir()) == []
    assert (tmp_path / "scratch").stat().st_mode & 0o777 == 0o700


def test_what_a_killed_run_left_goes_and_what_a_living_one_has_stays(
    database: sqlite3.Connection, path: str, tmp_path: Path
) -> None:
    for name in ("dead", "alive", "young"):
        folder = tmp_path / "scratch" / f"marketplace-sqlite-{name}"
        folder.mkdir(parents=True)
        (folder / "copy.db").write_text("customers")
        (folder / ".lock").touch()
        os.utime(folder, (0, 0) if name != "young" else None)
    (tmp_path / "scratch/other").mkdir()
    handle = try_lock(str(tmp_path / "scratch/marketplace-sqlite-alive/.lock"))
    assert handle is not None
    ask(path)
    os.close(handle)
    left = sorted(one.name for one in (tmp_path / "scratch").iterdir())
    assert left == ["marketplace-sqlite-alive", "marketplace-sqlite-young", "other"]


def test_a_folder_that_is_there_keeps_its_mode(database: sqlite3.Connection, path: str, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir(mode=0o755)
    (tmp_path / "scratch").chmod(0o1777)
    ask(path)
    assert (tmp_path / "scratch").stat().st_mode & 0o7777 == 0o1777


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM escrows",
        "INSERT INTO escrows VALUES (9, 'x', 'y')",
        "ATTACH DATABASE '/tmp/other.db' AS other",
        "PRAGMA journal_mode=DELETE",
        "CREATE TABLE x (y)",
        "BEGIN",
        "VACUUM INTO '/tmp/all.db'",
        "SELECT load_extension('/tmp/x.so')",
        "SELECT 1; DELETE FROM escrows",
        "SELECT id FROM no_such_table",
        "",
    ],
)
def test_whatever_is_no_question_gets_no_answer(database: sqlite3.Connection, path: str, sql: str) -> None:
    found = ask(path, sql)
    assert found["state"] == "read"
    answer = found["queries"]["signing"]
    assert answer["problem"] and answer["rows"] == []


def test_a_question_without_end_is_ended(database: sqlite3.Connection, path: str) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    found = ask(path, endless, query_seconds=0.3)
    assert found["queries"]["signing"]["problem"] == "it took longer than 0.3 s" and found["seconds"] < 30


def test_an_answer_is_bounded(database: sqlite3.Connection, path: str) -> None:
    many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000) SELECT x, 'a\x1b[31m' || note, x'00' FROM n, escrows"
    answer = ask(path, many, rows=3)["queries"]["signing"]
    assert len(answer["rows"]) == 3 and answer["more"]
    assert answer["rows"][0] == [1, "aa", "1 bytes"]


def test_a_missing_one_is_not_made(tmp_path: Path) -> None:
    found = ask(str(tmp_path / "shop.db"))
    assert found["state"] == "missing" and "marketplace_database_path" in found["problem"]
    assert not (tmp_path / "shop.db").exists()


def test_an_empty_one_a_folder_and_a_link_are_none(tmp_path: Path) -> None:
    (tmp_path / "shop.db").touch()
    assert ask(str(tmp_path / "shop.db"))["state"] == "empty"
    (tmp_path / "folder").mkdir()
    assert ask(str(tmp_path / "folder"))["state"] == "unreadable"
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert ask(str(tmp_path / "link"))["state"] == "unreadable"


def test_an_encrypted_one_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_bytes(os.urandom(8192))
    found = ask(str(tmp_path / "shop.db"))
    assert found["state"] == "unreadable" and found["tries"] == 1 and "encrypted" in found["problem"]


def test_a_damaged_one_is_suspect_after_three_tries(database: sqlite3.Connection, path: str) -> None:
    database.executemany("INSERT INTO escrows (state, note) VALUES ('x', ?)", [("n" * 200,)] * 500)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(path, "r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096)
    found = ask(path)
    assert found["state"] == "suspect" and found["tries"] == 3 and found["queries"] == {}
    assert "damaged" in found["problem"]


def test_one_that_changes_under_the_copy_is_copied_again(
    database: sqlite3.Connection, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, count = _sqlite_copy._identity, 0

    def identity(of: str) -> tuple[int, ...]:
        nonlocal count
        count += 1
        if count == 2:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("UPDATE escrows SET state = 'released' WHERE id = 2")
        return real(of)

    monkeypatch.setattr(_sqlite_copy, "_identity", identity)
    found = ask(path)
    assert found["state"] == "read" and found["tries"] == 2 and found["queries"]["signing"]["rows"] == []


def test_one_that_never_stands_still_is_suspect(
    database: sqlite3.Connection, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = iter(range(100))
    monkeypatch.setattr(_sqlite_copy, "_identity", lambda _path: (next(count),))
    found = ask(path)
    assert found["state"] == "suspect" and found["tries"] == 3 and "each time" in found["problem"]


def test_one_that_a_clock_stepped_back_has_left_in_the_future_is_copied_while_it_stays_as_it_is(
    database: sqlite3.Connection, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(path, (time.time() + 600,) * 2)
    assert _sqlite_copy.copy(path, str(tmp_path), 10.0)[1] is True
    # Written to where the clock is ahead, as on another host's disk.
    monkeypatch.setattr(time, "sleep", lambda _seconds: os.utime(path, (time.time() + 700,) * 2))
    assert _sqlite_copy.copy(path, str(tmp_path), 10.0)[1] is False


def test_under_a_busy_writer_the_answer_is_one_that_was_true(path: str, tmp_path: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        shop = sqlite3.connect(path, isolation_level=None, timeout=10)
        shop.execute("PRAGMA journal_mode=WAL")
        shop.execute("CREATE TABLE pairs (a, b)")
        shop.execute("INSERT INTO pairs VALUES (0, 0)")
        ready.set()
        number = 0
        while not stop.is_set():
            number += 1
            shop.execute("BEGIN IMMEDIATE")
            shop.execute("UPDATE pairs SET a = ?", (number,))
            shop.execute("UPDATE pairs SET b = ?", (number,))
            shop.execute("COMMIT")
        shop.close()

    ready = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert ready.wait(60)
        for _turn in range(10):
            found = ask(path, "SELECT a = b FROM pairs")
            assert found["state"] == "suspect" or found["queries"]["signing"]["rows"] == [[1]]
    finally:
        stop.set()
        writer.join()


def test_without_room_nothing_is_copied(database: sqlite3.Connection, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sqlite_copy, "FLOOR", 2**60)
    found = ask(path)
    assert found["state"] == "unreadable" and "make room" in found["problem"]


def test_a_scratch_folder_that_cannot_be_made_is_said(database: sqlite3.Connection, path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = _sqlite_ask.ask(path, SIGNING, str(tmp_path / "file/below"), Bounds())
    assert found["state"] == "unreadable" and "file" in found["problem"]


def test_folders_that_are_made_for_a_copy_are_nobody_elses(database: sqlite3.Connection, path: str, tmp_path: Path) -> None:
    assert _sqlite_ask.ask(path, SIGNING, str(tmp_path / "state/scratch"), Bounds())["state"] == "read"
    assert [(tmp_path / one).stat().st_mode & 0o777 for one in ("state", "state/scratch")] == [0o700, 0o700]
