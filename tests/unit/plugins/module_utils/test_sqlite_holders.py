# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a database: real processes that keep it open, lock it, or still have it when it is deleted; and one that writes without end."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from unit.plugins.module_utils.sqlite_small import NEGATIVE, fill, filled, look

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_holders, _sqlite_look
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_look import DAMAGE

# Waits until its input ends, with what it was told to do done.
CHILD = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1], isolation_level=None); {}; print('ready', flush=True); sys.stdin.read()"
Holder = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path)


@pytest.fixture
def holder(path: Path) -> Iterator[Holder]:
    started: list[subprocess.Popen[str]] = []

    def start(does: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", CHILD.format(does), str(path)]
        child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(child)
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        return child

    yield start
    for child in started:
        child.communicate()


def test_deleted_but_open(path: Path, holder: Holder) -> None:
    child = holder("d.execute('PRAGMA wal_autocheckpoint=0'); d.execute('INSERT INTO users VALUES (1001, 1001, null)')")
    for suffix in ("", "-wal", "-shm"):
        path.with_name(f"shop.db{suffix}").unlink()
    found = look(path)
    assert found["state"] == "deleted_but_open" and found["certain"] and found["deleted"]["pid"] == child.pid
    assert "stopping that destroys it" in found["problem"]
    for name, suffix in (("db", ""), ("wal", "-wal")):
        shutil.copy(found["deleted"]["files"][name], path.parent / f"rescued.db{suffix}")
    assert sqlite3.connect(path.parent / "rescued.db").execute("SELECT count(*) FROM users").fetchone() == (301,)


def test_deleted_but_open_where_another_file_has_its_name(path: Path, holder: Holder) -> None:
    holder("d.execute('SELECT count(*) FROM users').fetchall()")
    shutil.copy(path, path.with_name("new"))
    path.with_name("new").rename(path)
    found = look(path)
    assert found["state"] == "deleted_but_open" and "Another file has its name now" in found["problem"]


def test_a_deleted_file_of_the_same_name_elsewhere_is_not_ours(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other/shop.db"
    other.parent.mkdir()
    shutil.copy(path, other)
    with other.open("rb"):
        other.unlink()
        assert look(path)["state"] == "ok"


def test_locked_names_who(path: Path, holder: Holder) -> None:
    child = holder("d.execute('BEGIN IMMEDIATE')")
    found = look(path, frozen=False)
    assert found["state"] == "locked" and found["lock_problem"] == found["problem"]
    assert f"pid {child.pid}" in found["problem"]
    (one,) = [one for one in found["holders"] if one["pid"] == child.pid]
    assert "write" in one["locks"] and {"db", "wal", "shm"} <= set(one["files"]) and not one["deleted"]
    assert os.getpid() in one["ancestors"] and child.pid not in one["ancestors"]
    assert one["start_ticks"] and one["since"].endswith("Z") and one["command"] and one["user"]
    # Frozen writers may hold what they want.
    assert look(path)["state"] == "ok"


@pytest.mark.parametrize("wal", [True, False])
def test_progress_moves_with_each_commit_and_with_nothing_else(path: Path, holder: Holder, wal: bool) -> None:
    path.unlink()
    fill(path, wal=wal)
    child = holder("d.execute('BEGIN IMMEDIATE')")
    before = look(path, frozen=False)["progress"]
    assert before is not None and look(path, frozen=False)["progress"] == before
    child.kill()
    child.wait()
    opened = sqlite3.connect(path)
    with closing(opened), opened:
        opened.execute("UPDATE users SET id = id")
    assert look(path, frozen=False)["progress"] != before


@pytest.mark.parametrize(("begin", "lock"), [("BEGIN IMMEDIATE", "reserved"), ("BEGIN EXCLUSIVE", "exclusive")])
def test_locked_without_a_wal(path: Path, holder: Holder, begin: str, lock: str) -> None:
    path.unlink()
    fill(path, wal=False)
    time.sleep(0.1)
    holder(f"d.execute('{begin}')")
    found = look(path, frozen=False)
    assert found["state"] == "locked" and lock in found["holders"][0]["locks"]


def test_a_reader_locks_nobody_out(path: Path, holder: Holder) -> None:
    child = holder("d.execute('BEGIN'); d.execute('SELECT count(*) FROM users').fetchall()")
    found = look(path, frozen=False)
    assert found["state"] == "ok" and found["lock_problem"] is None
    assert next(one for one in found["holders"] if one["pid"] == child.pid)["locks"] == ["read", "shared"]


def test_one_that_only_has_it_open_is_a_holder(path: Path, holder: Holder) -> None:
    child = holder("open(sys.argv[1], 'rb'); d.execute('SELECT count(*) FROM users').fetchall()")
    assert child.pid in [one["pid"] for one in _sqlite_holders.holders(str(path))]


def test_a_healthy_database_under_heavy_checkpoints_is_never_damaged(tmp_path: Path) -> None:
    """Thirty full looks while another process writes and checkpoints as fast as it can."""
    path = tmp_path / "data/shop.db"
    path.parent.mkdir()
    fill(path)
    stop = threading.Event()

    def work() -> None:
        database = sqlite3.connect(path, isolation_level=None, timeout=10)
        database.execute("PRAGMA wal_autocheckpoint=20")
        turn = 0
        while not stop.is_set():
            turn += 1
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE escrows SET amount = ?, note = ? WHERE id = ?", (turn, "n" * (turn % 700), 1 + turn % 300))
            database.execute("INSERT INTO users VALUES (?, ?, 'buyer')", (10000 + turn, f"new-{turn}"))
            database.execute("DELETE FROM users WHERE id = ?", (10000 + turn - 200,))
            database.execute("COMMIT")
            if turn % 100 == 0:
                database.execute(f"PRAGMA wal_checkpoint({('PASSIVE', 'RESTART', 'TRUNCATE')[turn // 100 % 3]})")
            # Half of the time at full speed, half of it with pauses in which a whole copy can be made.
            if turn // 500 % 2:
                time.sleep(0.02)
        database.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        options = _sqlite_look.Options(scratch_dir=str(tmp_path / "scratch"), lock_seconds=0.2, invariants=NEGATIVE)
        states = [_sqlite_look.look(str(path), options)["state"] for _turn in range(30)]
    finally:
        stop.set()
        thread.join()
    assert not set(states) & set(DAMAGE), states
    assert set(states) <= {"ok", "suspect", "locked"}
    print(states.count("ok"), "of 30 copies were whole")
