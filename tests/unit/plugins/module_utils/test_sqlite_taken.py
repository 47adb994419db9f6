# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image of a database in use: whole, in bounded time, and without a byte of the original changed."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from unit.plugins.databases import (
    KEY,
    database,
    hashes,
    made,
    open_elsewhere,
    opened,
    order,
    plain,
    restored,
    rows,
    written_to,
)

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_backup,
    _gpg,
    _sqlite_copy,
    _sqlite_image,
    _sqlite_taken,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_backup import backed_up


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase is made slow to guess on purpose; here that would only cost time."""
    monkeypatch.setattr(_gpg, "_LOCKED", [*_gpg._LOCKED[:-1], "65536"])


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return database(tmp_path / "data" / "marketplace.db")


def test_nobody_has_it_open_so_not_even_a_reader_of_ours_does(
    tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed server has left a -wal: opening the database would take it in, on the original."""
    with opened(live):
        copied = {name: (live.parent / name).read_bytes() for name in ("marketplace.db", "marketplace.db-wal")}
    for name, content in copied.items():
        (live.parent / name).write_bytes(content)
    before = hashes(live.parent)
    found = made(order(tmp_path))
    assert hashes(live.parent) == before and found["manifest"]["image"]["made"] == "copied"
    with closing(restored(found["path"], tmp_path / "out.db")) as image:
        assert rows(image) == 51


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_what_a_reader_leaves_beside_it_belongs_to_its_owner(tmp_path: Path, live: Path) -> None:
    tmp_path.chmod(0o755)
    live.parent.chmod(0o755)
    for one in (live.parent, live):
        os.chown(one, 10001, 10001)
    with closing(sqlite3.connect(live, isolation_level=None)):
        # Open, but nothing read yet: there is neither a -wal nor a -shm, and whoever reads first makes them.
        image = tmp_path / "image.db"
        done = subprocess.run(
            [sys.executable, "-I", "-c", _sqlite_taken._program()],
            input=json.dumps({"source": str(live), "target": str(image), "key": "", "busy_seconds": 1}).encode() + b"\n",
            capture_output=True,
            check=False,
        )
    assert {one.stat().st_uid for one in live.parent.iterdir()} == {10001}, done
    # Behind a folder that its owner cannot enter, SQLite itself gives what it makes to the owner.
    live.parent.chmod(0o700)
    os.chown(live.parent, 0, 0)
    with closing(sqlite3.connect(live, isolation_level=None)), open_elsewhere(live):
        assert made(order(tmp_path))["manifest"]["image"]["made"] == "online"
    assert {one.stat().st_uid for one in live.parent.iterdir()} == {10001}


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_five_hundred_writes_a_second_go_on_and_the_backup_ends(tmp_path: Path, mode: str) -> None:
    live = database(tmp_path / "data" / "marketplace.db", rows=30_000, mode=mode)
    with written_to(live, rate=500, seconds=4) as writer:
        found = made(order(tmp_path))
        assert writer.stdout is not None
        done, slowest = (float(word) for word in writer.stdout.readline().split())
    assert found["manifest"]["image"]["made"] == "online"
    # Nobody who wrote was refused or waited for more than the image: without a -wal each write waits for the disk as well.
    assert done > (200 if mode == "WAL" else 20) and slowest < found["image_seconds"] + 3
    with closing(restored(found["path"], tmp_path / "out.db")) as image:
        assert 30_000 <= rows(image) <= 30_000 + done
        assert image.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_image_that_takes_too_long_is_given_up_and_its_lock_with_it(
    tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(live), open_elsewhere(live):
        real = _sqlite_taken._program()
        monkeypatch.setattr(_sqlite_taken, "_program", lambda: real.replace("live.backup(", "time.sleep(60) or live.backup("))
        found = backed_up(order(tmp_path, image_seconds=0.7))
        assert found["state"] == "failed" and "was not made within 0.7 s" in found["problem"]
        with closing(sqlite3.connect(live)) as user:
            assert user.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    assert not (live.parent / ".marketplace_backup").exists()


def test_an_encrypted_database_in_use_without_its_key_is_refused(tmp_path: Path) -> None:
    live = tmp_path / "data" / "marketplace.db"
    live.parent.mkdir()
    live.write_bytes(os.urandom(8192))
    with open_elsewhere(live):
        found = backed_up(order(tmp_path))
    assert (
        found["state"] == "failed"
        and "is encrypted and in use" in found["problem"]
        and "marketplace_database_key" in found["problem"]
    )


def test_without_its_library_an_encrypted_database_in_use_is_refused(tmp_path: Path) -> None:
    with suppress(ImportError):
        import sqlcipher3  # noqa: F401

        pytest.skip("sqlcipher3 is there")
    live = tmp_path / "data" / "marketplace.db"
    live.parent.mkdir()
    live.write_bytes(os.urandom(8192))
    with open_elsewhere(live):
        found = backed_up(order(tmp_path, database_key="a key"))
    assert found["state"] == "failed" and "no sqlcipher3" in found["problem"] and "a key" not in found["problem"]


def test_the_program_that_makes_the_image_ends_with_whoever_asked(tmp_path: Path, live: Path) -> None:
    slow = _sqlite_taken._program().replace("live.backup(", "time.sleep(60) or live.backup(")
    child = subprocess.Popen([sys.executable, "-I", "-c", slow], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    target = tmp_path / "image.db"
    child.stdin.write(json.dumps({"source": str(live), "target": str(target), "key": "", "busy_seconds": 1}).encode() + b"\n")
    child.stdin.flush()
    time.sleep(0.3)
    child.stdin.close()
    assert child.wait(30) == 3
    assert child.stdout is not None and child.stdout.read() == b""
    child.stdout.close()


def test_a_key_is_no_sql() -> None:
    asked: list[str] = []

    class Fake:
        def execute(self, sql: str) -> None:
            asked.append(sql)

    _sqlite_image.unlocked(Fake(), "it's")
    assert asked == ["PRAGMA key = 'it''s'"]
    assert "it's" not in repr(_database_backup.Order("m", "/p", "/f", KEY, database_key="it's"))


def test_with_its_key_an_encrypted_database_in_use_is_one_encrypted_image(tmp_path: Path) -> None:
    sqlcipher = pytest.importorskip("sqlcipher3.dbapi2")
    live = tmp_path / "data" / "marketplace.db"
    live.parent.mkdir()
    key = "it's a key"
    with closing(sqlcipher.connect(str(live), isolation_level=None)) as user:
        _sqlite_image.unlocked(user, key)
        user.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE orders(id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1), (2)"
        )
        with open_elsewhere(live):
            found = made(order(tmp_path, database_key=key))
            assert "another key" in backed_up(order(tmp_path, database_key="wrong"))["problem"]
    image = found["manifest"]["image"]
    assert (image["made"], image["state"], image["tables"]) == ("online", "ok", {"orders": 2})
    raw = gzip.decompress(plain(found["path"]))
    assert not raw.startswith(b"SQLite format 3") and b"orders" not in raw


def test_who_writes_and_cannot_be_seen_is_no_obstacle(tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sqlite_taken, "in_use", lambda _path: False)
    monkeypatch.setattr(_sqlite_copy, "copy", lambda _path, folder, _timeout: (folder + "/copy.db", False))
    assert made(order(tmp_path))["manifest"]["image"]["made"] == "online"
