# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of the database that are there: which one is good, which one is not what it says, and which may go."""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.archives import PASSPHRASE, encrypt
from unit.plugins.databases import KEY, aged, database, made, order

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _backup_shelf,
    _backup_work,
    _database_archive,
    _database_shelf,
    _gpg,
    _sqlite_copy,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_retention import tidied
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_shelf import DATABASE
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_shelf import Good, Look, looked
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_archive import BadArchive


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase is made slow to guess on purpose; here that would only cost time."""
    monkeypatch.setattr(_gpg, "_LOCKED", [*_gpg._LOCKED[:-1], "65536"])


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return database(tmp_path / "data" / "marketplace.db")


@pytest.fixture
def newest(tmp_path: Path, live: Path) -> Path:
    return Path(made(order(tmp_path))["path"])


def full(folder: Path, **changes: Any) -> dict[str, Any]:
    look = replace(Look(KEY, "full", "market-1", scratch_dir=str(folder / "scratch")), **changes)
    found = looked(str(folder / "backups"), look)
    # Nothing in clear is left, whatever was found.
    assert not (folder / "scratch").exists()
    return found


def test_an_archive_is_good_when_its_image_is_restored_and_sound(tmp_path: Path, newest: Path) -> None:
    older = aged(tmp_path / "backups", 1)
    found = full(tmp_path)
    assert found["newest_good"] == {"database": str(newest)} and found["latest"] == {"database": str(newest)}
    first, second = found["backups"]
    assert (first["good"], first["content"], first["decrypts"], first["sha256_ok"], first["problem"]) == (
        True,
        "ok",
        True,
        True,
        "",
    )
    assert first["role"] == "database" and first["ours"] and set(first["seconds"]) == {"decrypt", "check"}
    assert (second["path"], second["good"]) == (str(older), None)
    listed = full(tmp_path, verify="listing")
    assert [one["good"] for one in listed["backups"]] == [None, None] and listed["newest_good"] == {}


def spoilt(path: Path, how: str) -> None:
    raw = path.read_bytes()
    if how == "truncated":
        path.write_bytes(raw[:-40])
    elif how == "truncated, with its checksum":
        path.write_bytes(raw[:-40])
        Path(f"{path}.sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest() + "\n")
    elif how == "no gpg":
        path.write_bytes(b"something else")
        Path(f"{path}.sha256").unlink()
    elif how == "manifest no JSON":
        Path(f"{path}.manifest.json").write_text("{")
    elif how == "manifest damaged":
        Path(f"{path}.manifest.json").write_text('{"format": 1, "kind": "database", "image": 7}')
    elif how == "another image":
        manifest = json.loads(Path(f"{path}.manifest.json").read_text())
        manifest["image"]["sha256"] = "0" * 64
        Path(f"{path}.manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("truncated", "sha256 differs"), ("truncated, with its checksum", "ends early"), ("no gpg", "no file that gpg has encrypted"),
        ("manifest no JSON", "manifest cannot be understood"), ("manifest damaged", "another kind or format"), ("another image", "something else of the image"),
    ],
)  # fmt: skip
def test_behind_a_bad_one_the_newest_good_one_is_found(tmp_path: Path, newest: Path, how: str, word: str) -> None:
    older = aged(tmp_path / "backups", 1)
    # A day older in its name than inside is another archive's name.
    assert full(tmp_path, everything=True)["backups"][1]["good"] is False
    older.unlink()
    time.sleep(1.1)
    second = Path(made(order(tmp_path))["path"])
    spoilt(second, how)
    found = full(tmp_path)
    assert found["newest_good"] == {"database": str(newest)}
    assert (
        found["backups"][0]["good"] is False
        and word in found["backups"][0]["problem"]
        and str(second) in found["backups"][0]["problem"]
    )


def test_a_wrong_passphrase_and_a_missing_one_are_told_apart(tmp_path: Path, newest: Path) -> None:
    wrong = full(tmp_path, key=Key("another"))["backups"][0]
    assert (wrong["good"], wrong["decrypts"]) == (False, False) and "look at the passphrase" in wrong["problem"]
    without = full(tmp_path, key=Key())["backups"][0]
    assert (without["good"], without["decrypts"]) == (None, None) and without["problem"]


def test_another_sites_archive_is_refused_by_its_manifest_and_by_what_is_inside(tmp_path: Path, newest: Path) -> None:
    assert "another site's (market-1, not market-2)" in full(tmp_path, site="market-2")["backups"][0]["problem"]
    # Somebody copied it and wrote a manifest of this site.
    manifest = json.loads(Path(f"{newest}.manifest.json").read_text())
    Path(f"{newest}.manifest.json").write_text(json.dumps({**manifest, "site": "market-2"}))
    found = full(tmp_path, site="market-2")["backups"][0]
    assert found["good"] is False and "inside it says that it is another site's" in found["problem"]


def test_one_without_a_manifest_is_another_makers_and_good_by_what_is_in_it(tmp_path: Path, newest: Path) -> None:
    """The names are the handbook's own."""
    Path(f"{newest}.manifest.json").unlink()
    one = full(tmp_path)["backups"][0]
    assert (one["good"], one["ours"], one["content"]) == (True, False, "ok")
    # Whose it is it still says inside, if it came from here.
    assert "inside it says that it is another site's" in full(tmp_path, site="market-2")["backups"][0]["problem"]
    assert kept(tmp_path, days=-1)["removed"] == [] and newest.exists()


def test_one_from_the_future_is_nobodys_newest_good_one(tmp_path: Path, newest: Path) -> None:
    future = aged(tmp_path / "backups", -2)
    found = full(tmp_path)
    assert found["backups"][0]["path"] == str(future) and found["backups"][0]["good"] is False
    assert "in the future" in found["backups"][0]["problem"] and found["newest_good"] == {"database": str(newest)}


def test_an_image_that_was_bad_when_it_was_packed_is_not_good(tmp_path: Path, live: Path) -> None:
    (tmp_path / "backups").mkdir(mode=0o700)
    database(tmp_path / "old.db", rows=2000)
    raw = bytearray((tmp_path / "old.db").read_bytes())
    raw[4096 * 9 : 4096 * 10] = bytes(255 - byte for byte in raw[4096 * 9 : 4096 * 10])
    encrypt(tmp_path / "backups" / "marketplace-db-20261101T0200Z.db.gz.gpg", gzip.compress(bytes(raw)))
    one = full(tmp_path)["backups"][0]
    assert (
        one["good"] is False and one["content"] in ("page_damage", "btree_damage") and one["created"] == "2026-11-01T02:00:00Z"
    )


def test_archives_made_elsewhere_are_known_by_what_is_in_them(tmp_path: Path, live: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o700)
    with closing(sqlite3.connect(live)) as user:
        user.execute("PRAGMA journal_mode=DELETE")
        dump = "\n".join(user.iterdump()).encode()
    # Its name says image, and it holds a dump; the other way round; and one that is not packed at all.
    encrypt(folder / "a-20261103T010000Z.db.gz.gpg", gzip.compress(dump))
    encrypt(folder / "b-20261102T010000Z.sql.gz.gpg", gzip.compress(live.read_bytes()))
    encrypt(folder / "c-20261101T010000Z.db.gpg", live.read_bytes())
    encrypt(folder / "d-20261031T010000Z.sql.gz.gpg", gzip.compress(dump[:-20]))
    (folder / "latest.sql.gz.gpg").symlink_to("b-20261102T010000Z.sql.gz.gpg")
    found = full(tmp_path, everything=True)
    assert [(one["content"], one["good"], one["ours"]) for one in found["backups"]] == [
        ("dump", None, False), ("ok", True, False), ("ok", True, False), ("dump", False, False),
    ]  # fmt: skip
    assert found["newest_good"] == {"database": str(folder / "b-20261102T010000Z.sql.gz.gpg")}
    assert "ends early" in found["backups"][3]["problem"]


@pytest.mark.parametrize("packer", ["gzip", "zstd"])
def test_a_bomb_ends_where_it_is_more_than_it_may_be(tmp_path: Path, packer: str) -> None:
    if not _database_archive.there(packer):
        pytest.skip(f"no {packer} here")
    (tmp_path / "backups").mkdir(mode=0o700)
    bomb = tmp_path / "zeros"
    with bomb.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    with bomb.open("rb") as file:
        packed = subprocess.run(_database_archive._PACK[packer], stdin=file, capture_output=True, check=True).stdout
    archive = encrypt(tmp_path / "backups" / "bomb-20261101T000000Z.db.gz.gpg", packed)
    with pytest.raises(BadArchive, match="unpacks to more than") as caught:
        _database_archive.read(str(archive), KEY, str(tmp_path / "out"), most=8 * 1024 * 1024)
    assert caught.value.kind == "too_big" and not (tmp_path / "out").exists()
    assert _database_archive.read(str(archive), KEY).bytes == 64 * 1024 * 1024


def test_a_manifest_bounds_what_may_come_out(tmp_path: Path, newest: Path) -> None:
    bomb = gzip.compress(bytes(8 * 1024 * 1024))
    newest.unlink()
    encrypt(newest, bomb)
    Path(f"{newest}.sha256").write_text(hashlib.sha256(newest.read_bytes()).hexdigest() + "\n")
    one = full(tmp_path)["backups"][0]
    assert (one["good"], one["decrypts"], one["content_ok"]) == (False, True, False) and "unpacks to more" in one["problem"]


def test_no_space_for_the_image_is_no_judgement_on_the_archive(
    tmp_path: Path, newest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_backup_work, "free_bytes", lambda _folder: 1024)
    one = full(tmp_path)["backups"][0]
    assert one["good"] is None and "Free some there" in one["problem"]


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b", gzip.compress(b"")])
def test_an_archive_of_nothing_is_damaged(tmp_path: Path, content: bytes) -> None:
    archive = encrypt(tmp_path / "nothing.db.gz.gpg", content)
    with pytest.raises(BadArchive) as caught:
        _database_archive.read(str(archive), KEY, str(tmp_path / "out"))
    assert caught.value.kind == "damaged" and str(archive) in str(caught.value) and not (tmp_path / "out").exists()


def test_where_there_is_nothing_that_is_the_answer(tmp_path: Path) -> None:
    assert full(tmp_path) == {"backups": [], "newest_good": {}, "latest": {}}
    for kind, path in (("missing", tmp_path / "none"), ("missing", tmp_path)):
        with pytest.raises(BadArchive) as caught:
            _database_archive.read(str(path), KEY)
        assert caught.value.kind == kind


def kept(folder: Path, key: Key = KEY, keep_good: int = 2, days: float = 30, generation: str = "1") -> dict[str, Any]:
    return tidied(str(folder / "backups"), DATABASE, "database", Good(key, generation, 60.0), days, keep_good, "")


def later(path: Path, days: float) -> Path:
    """The same archive as if it had been made that many days ago, inside too."""
    created = _backup_shelf.archives(str(path.parent), DATABASE)[0].created - days * 86400
    target = path.parent / DATABASE.name_of("database", created)
    for ending in ("", ".sha256", ".manifest.json"):
        Path(f"{target}{ending}").write_bytes(Path(f"{path}{ending}").read_bytes())
    return target


@pytest.mark.usefixtures("no_gap")
def test_retention_removes_what_is_old_and_never_the_last_good_ones(
    tmp_path: Path, newest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_database_shelf, "inside_problems", lambda *_given: [])
    old = [later(newest, days) for days in (31, 40, 50)]
    foreign = encrypt(tmp_path / "backups" / "theirs-20200101T000000Z.db.gz.gpg", b"theirs")
    (tmp_path / "backups" / DATABASE.name_of("database", time.time() + 86400)).write_bytes(b"from the future")
    assert kept(tmp_path)["removed"] == [old[1].name, old[2].name]
    assert old[0].exists() and foreign.exists() and newest.exists()
    # Backups have been failing for 30 days: the newest is no good, and the old ones are all there is.
    old.append(later(newest, 60))
    newest.write_bytes(b"nothing that opens")
    assert kept(tmp_path)["removed"] == [] and kept(tmp_path, keep_good=1)["removed"] == [old[3].name]
    assert old[0].exists() and "only 1 of database's" in kept(tmp_path)["why"]


@pytest.mark.usefixtures("no_gap")
def test_retention_trusts_no_other_key(tmp_path: Path, newest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_database_shelf, "inside_problems", lambda *_given: [])
    old = later(newest, 40)
    assert kept(tmp_path, Key("another"), 1)["removed"] == []
    # Of another generation of the key each one has to be opened, also behind one that was.
    opened: list[str] = []
    real = _database_archive.read
    monkeypatch.setattr(_database_archive, "read", lambda path, *given: opened.append(path) or real(path, *given))
    assert kept(tmp_path, generation="2")["removed"] == [] and opened == [str(newest), str(old)]
    opened.clear()
    assert kept(tmp_path)["removed"] == [] and opened == [str(newest)]


def test_what_is_in_clear_stays_beside_the_database(tmp_path: Path) -> None:
    beside = str(tmp_path / ".marketplace_backup")
    assert _database_shelf.scratch_of(str(tmp_path / "marketplace.db"), "") == beside
    assert _database_shelf.scratch_of(str(tmp_path / "marketplace.db"), "/elsewhere") == "/elsewhere"
    for path in ("", str(tmp_path / "none" / "marketplace.db")):
        assert _database_shelf.scratch_of(path, "") == _sqlite_copy.OURS


def test_nothing_secret_is_shown() -> None:
    assert "hush" not in repr(Look(Key(PASSPHRASE), database_key="hush")) and PASSPHRASE not in repr(Look(Key(PASSPHRASE)))
