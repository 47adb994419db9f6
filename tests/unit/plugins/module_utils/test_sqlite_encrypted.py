# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An encrypted database: a wrong key is no damage, damage is no wrong key, and without SQLCipher nothing is guessed."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_cipher, _sqlite_look

cipher = pytest.importorskip("sqlcipher3.dbapi2")

KEY = "it's a secret"
RAW = "x'" + "1f" * 32 + "'"
INVARIANTS = ({"name": "no_nameless", "query": "SELECT id FROM users WHERE name = ''"},)


@pytest.fixture(params=[KEY, RAW], ids=["passphrase", "raw key"])
def key(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path, key: str) -> Iterator[Path]:
    """With a commit that is in the -wal alone."""
    path = tmp_path / "data/shop.db"
    path.parent.mkdir()
    database = cipher.connect(str(path), isolation_level=None)
    _sqlite_cipher.unlock(database, key)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA wal_autocheckpoint=0")
    database.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    database.execute("BEGIN")
    database.executemany("INSERT INTO users (name) VALUES (?)", [(f"user-{number}" * 20,) for number in range(300)])
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    database.execute("INSERT INTO users (name) VALUES ('new')")
    yield path
    database.close()


def look(path: Path, key: str | None) -> dict[str, Any]:
    before = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in path.parent.iterdir()}
    options = _sqlite_look.Options(frozen=True, key=key, scratch_dir=str(path.parent.parent / "scratch"), invariants=INVARIANTS)
    found = _sqlite_look.look(str(path), options)
    assert {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in path.parent.iterdir()} == before
    assert key is None or key not in str(found)
    return found


def copied(path: Path, tmp_path: Path) -> Path:
    shutil.copytree(path.parent, tmp_path / "copy")
    return tmp_path / "copy/shop.db"


def test_with_its_key_it_is_as_any_other(path: Path, key: str) -> None:
    found = look(path, key)
    assert (found["state"], found["certain"], found["encrypted"], found["sentences"]) == ("ok", True, True, [])
    assert found["tables"] == {"users": 301} and found["invariants"]["no_nameless"]["problem"] is None
    assert found["journal_mode"] == "wal" and found["page_size"] == 4096


def test_a_wrong_key_is_not_damage(path: Path) -> None:
    found = look(path, "another")
    assert found["state"] == "encrypted_wrong_key" and found["damage"]["pages"] == []


def test_without_a_key_it_is_only_encrypted(path: Path) -> None:
    found = look(path, None)
    assert found["state"] == "encrypted" and "without its key nothing more can be said" in found["problem"]


def test_without_sqlcipher_it_is_only_encrypted(path: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sqlite_cipher, "module", lambda: None)
    found = look(path, key)
    assert found["state"] == "encrypted" and "the key is its own, and 0 of its pages" in found["problem"]
    found = look(path, "another")
    assert found["state"] == "encrypted" and "the key fits no page of it" in found["problem"]


def test_a_damaged_page_is_not_a_wrong_key(path: Path, key: str, tmp_path: Path) -> None:
    copy = copied(path, tmp_path)
    for page in (2, 3):
        with copy.open("r+b") as file:
            file.seek((page - 1) * 4096 + 1000)
            file.write(b"\0\0\0\0")
    found = look(copy, key)
    # Page 2 is also in the -wal, whole, or page 3 is: what a reader gets counts.
    assert found["state"] == "page_damage" and found["certain"] and set(found["damage"]["pages"]) <= {2, 3}


def test_a_wal_of_an_encrypted_database_is_walked(path: Path, key: str, tmp_path: Path) -> None:
    copy = copied(path, tmp_path)
    with copy.with_name("shop.db-wal").open("r+b") as file:
        # Behind the first frame lie those of before the checkpoint.
        file.seek(32 + 24 + 100)
        file.write(b"damage")
    found = look(copy, key)
    assert found["state"] == "wal_damage" and found["certain"] and found["wal"]["ends"] == "checksum"


def test_a_key_for_a_plain_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "data/shop.db"
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
    database.close()
    found = look(path, KEY)
    assert found["state"] == "ok" and found["sentences"] == ["A key was given, and the database is not encrypted."]
