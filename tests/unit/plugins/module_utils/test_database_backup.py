# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of the database: one whole moment of it, sound and proven before anybody sees it; the original is only read."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from unit.crash import killed_at_each_effect
from unit.plugins.databases import (
    KEY,
    aged,
    database,
    hashes,
    made,
    open_elsewhere,
    opened,
    order,
    plain,
    restored,
    rows,
)

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _backup_shelf,
    _backup_work,
    _database_archive,
    _database_image,
    _gpg,
    _sqlite_copy,
    _sqlite_taken,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_shelf import DATABASE
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_backup import backed_up
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_shelf import FULL, Look, looked
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, utc
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_damage import WRONG_VALUES


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase is made slow to guess on purpose; here that would only cost time."""
    monkeypatch.setattr(_gpg, "_LOCKED", [*_gpg._LOCKED[:-1], "65536"])


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return database(tmp_path / "data" / "marketplace.db")


def test_an_archive_is_the_database_at_one_moment_with_what_is_only_in_its_wal(tmp_path: Path, live: Path) -> None:
    with opened(live), open_elsewhere(live):
        before = hashes(live.parent)
        found = made(order(tmp_path, heights=lambda: {"buyer": {"escrow_1": 101}}))
        after = hashes(live.parent)
    # The -shm holds the marks of who reads; the database and its -wal are only read.
    assert before.keys() == after.keys()
    assert all(before[name] == after[name] for name in before if not name.endswith("-shm"))
    with closing(restored(found["path"], tmp_path / "out.db")) as image:
        assert rows(image) == 51 and image.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert image.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    manifest = found["manifest"]
    assert manifest == json.loads(Path(found["path"] + ".manifest.json").read_text())
    said = manifest["image"]
    raw = (tmp_path / "out.db").read_bytes()
    assert (said["bytes"], said["sha256"]) == (len(raw), hashlib.sha256(raw).hexdigest())
    assert (said["schema_version"], said["tables"], said["state"], said["made"]) == (
        7,
        {"escrows": 10, "orders": 51},
        "ok",
        "online",
    )
    assert said["page_size"] * said["page_count"] == said["bytes"]
    assert (manifest["site"], manifest["kind"], manifest["format"]) == ("market-1", "database", 1)
    assert (manifest["wallets"], manifest["encrypted_with"]) == ({"buyer": {"escrow_1": 101}}, "passphrase")
    assert (found["state"], found["role"], found["verified"]) == ("made", "database", "decrypted")


def test_what_lies_beside_an_archive_and_that_nothing_else_is_left(tmp_path: Path, live: Path) -> None:
    path = Path(made(order(tmp_path))["path"])
    assert path.name.startswith("marketplace-db-") and path.name.endswith(".db.gz.gpg")
    check = subprocess.run(["sha256sum", "--check", f"{path.name}.sha256"], cwd=path.parent, capture_output=True, check=False)
    assert check.returncode == 0
    assert os.readlink(path.parent / "latest.db.gz.gpg") == path.name
    there = [one for one in path.parent.iterdir() if one.is_file() and not one.is_symlink()]
    assert {stat.S_IMODE(one.stat().st_mode) for one in there} == {0o600} and len(there) == 3
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700 and os.listdir(path.parent / ".work") == []
    assert [one.name for one in live.parent.iterdir() if not one.name.startswith("marketplace.db")] == []


def test_a_backup_is_as_old_as_its_image_however_long_that_is_checked(
    tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is paid while the image is taken and checked must not count as known to it."""
    began = time.time()
    now = [began]
    monkeypatch.setattr(time, "time", lambda: now[0])

    def slow(real: Any) -> Any:
        def later(*given: Any, **named: Any) -> Any:
            now[0] += 600
            return real(*given, **named)

        return later

    monkeypatch.setattr(_sqlite_taken, "taken", slow(_sqlite_taken.taken))
    monkeypatch.setattr(_database_image, "judged", slow(_database_image.judged))
    found = made(order(tmp_path))
    assert found["manifest"]["created"] == found["created"] == utc(began) and now[0] == began + 1200
    assert os.path.basename(found["path"]) == DATABASE.name_of("database", began)
    assert _database_archive.read(found["path"], KEY).created == utc(began)


def test_a_damaged_database_makes_no_backup_and_older_ones_stay(tmp_path: Path) -> None:
    live = database(tmp_path / "data" / "marketplace.db", rows=2000)
    first = made(order(tmp_path))
    old = aged(tmp_path / "backups", 40)
    raw = bytearray(live.read_bytes())
    raw[4096 * 9 : 4096 * 10] = bytes(255 - byte for byte in raw[4096 * 9 : 4096 * 10])
    live.write_bytes(raw)
    found = backed_up(order(tmp_path, keep_good=1))
    assert found["state"] == "failed" and "is damaged" in found["problem"] and "playbooks/database.yml" in found["problem"]
    assert {one.path for one in _backup_shelf.archives(str(tmp_path / "backups"), DATABASE)} == {first["path"], str(old)}


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        ("PRAGMA foreign_keys=OFF; DELETE FROM orders WHERE id=3", "foreign_key_damage"),
        ("UPDATE escrows SET amount=-1 WHERE id=2", "no negative"),
    ],
)
def test_a_whole_image_with_wrong_values_is_published_as_that(tmp_path: Path, live: Path, spoil: str, word: str) -> None:
    with closing(sqlite3.connect(live)) as user:
        user.executescript(spoil)
    invariants = ({"name": "no negative amount", "query": "SELECT id FROM escrows WHERE amount < 0"},)
    found = made(order(tmp_path, invariants=invariants))
    assert word in found["notes"][0] and "cannot be true" in found["notes"][0]
    assert found["manifest"]["image"]["state"] in WRONG_VALUES


@pytest.mark.usefixtures("no_gap")
def test_an_invariant_that_cannot_be_asked_keeps_no_backup_from_being_made(tmp_path: Path, live: Path) -> None:
    first = made(order(tmp_path))
    sound = aged(tmp_path / "backups", 40)
    invariants = ({"name": "no refund twice", "query": "SELECT id FROM escrows WHERE refunded > 1"},)
    found = made(order(tmp_path, invariants=invariants, keep_good=1))
    assert "no refund twice" in found["notes"][0] and "no such column: refunded" in found["notes"][0]
    assert found["manifest"]["image"]["state"] == "suspect" and found["verified"] == "decrypted"
    assert os.path.exists(first["path"]) and not sound.exists()
    (newest, *_others) = looked(str(tmp_path / "backups"), Look(KEY, verify=FULL, invariants=invariants))["backups"]
    assert (newest["content"], newest["good"], newest["decrypts"]) == ("suspect", None, True)
    assert "no such column: refunded" in newest["problem"]


@pytest.mark.usefixtures("no_gap")
def test_the_last_without_wrong_values_stay_whatever_their_age(tmp_path: Path, live: Path) -> None:
    first = made(order(tmp_path))
    sound = aged(tmp_path / "backups", 40)
    _backup_shelf.take_away(first["path"])
    with closing(sqlite3.connect(live)) as user:
        user.executescript("PRAGMA foreign_keys=OFF; DELETE FROM orders WHERE id=3")
    made(order(tmp_path))
    older = aged(tmp_path / "backups", 39)
    newest = made(order(tmp_path, keep_good=1))
    left = {one.path for one in _backup_shelf.archives(str(tmp_path / "backups"), DATABASE)}
    assert {str(sound), newest["path"]} <= left and str(older) not in left


@pytest.mark.parametrize("what", ["missing", "empty", "folder", "no database"])
def test_what_is_no_database_is_one_sentence(tmp_path: Path, what: str) -> None:
    live = tmp_path / "data" / "marketplace.db"
    live.parent.mkdir()
    if what == "folder":
        live.mkdir()
    elif what != "missing":
        live.write_bytes(b"" if what == "empty" else b"no database at all " * 500)
    found = backed_up(order(tmp_path, database_key=""))
    assert found["state"] == "failed" and str(live) in found["problem"] and "\n" not in found["problem"]
    assert _backup_shelf.archives(str(tmp_path / "backups"), DATABASE) == []


def test_an_encrypted_database_is_kept_as_it_lies_and_that_it_was_not_checked_is_said(tmp_path: Path) -> None:
    live = tmp_path / "data" / "marketplace.db"
    live.parent.mkdir()
    live.write_bytes(os.urandom(8192))
    found = made(order(tmp_path))
    assert "was not checked" in found["notes"][0] and gzip.decompress(plain(found["path"])) == live.read_bytes()
    assert found["manifest"]["image"]["state"] == "encrypted" and found["manifest"]["database_encrypted"]


def test_zstd_packs_where_it_is(tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = made(order(tmp_path))
    if _database_archive.there("zstd"):
        found = made(order(tmp_path, compression="zstd"))
        assert found["path"].endswith(".db.zst.gpg") and found["verified"] == "decrypted"
        assert _backup_shelf.pointed(str(tmp_path / "backups"), "database", DATABASE) == found["path"]
        assert not (tmp_path / "backups" / "latest.db.gz.gpg").is_symlink()
    monkeypatch.setattr(_database_archive, "there", lambda name: name == "gzip")
    last = made(order(tmp_path, compression="zstd"))
    assert last["path"].endswith(".db.gz.gpg") and "zstd is not on this host" in last["notes"][0]
    assert _backup_shelf.pointed(str(tmp_path / "backups"), "database", DATABASE) == last["path"] != first["path"]


def test_a_young_backup_is_not_repeated_unless_it_is_asked_for(tmp_path: Path, live: Path) -> None:
    young = order(tmp_path, minimum_age=900.0)
    first = made(young)
    with closing(sqlite3.connect(live)) as user:
        user.execute("INSERT INTO orders(note) VALUES ('later')")
        user.commit()
    again = made(young)
    assert (again["state"], again["path"], again["sha256"]) == ("fresh", first["path"], first["sha256"])
    assert made(order(tmp_path, minimum_age=900.0, key_generation="2"))["state"] == "made"
    assert made(order(tmp_path))["state"] == "made"
    assert made(order(tmp_path, minimum_age=900.0, site="market-2"))["state"] == "made"
    newest = Path(made(young)["path"])
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    assert made(young)["state"] == "made"


def test_one_from_the_future_is_not_the_newest(tmp_path: Path, live: Path) -> None:
    made(order(tmp_path))
    future = aged(tmp_path / "backups", -3)
    found = made(order(tmp_path, minimum_age=900.0))
    assert found["state"] == "fresh" and found["path"] != str(future)


def test_in_check_mode_nothing_is_written(tmp_path: Path, live: Path) -> None:
    before = hashes(live.parent)
    assert backed_up(order(tmp_path), dry=True)["state"] == "would_be_made"
    assert hashes(live.parent) == before and not (tmp_path / "backups").exists()
    assert backed_up(order(tmp_path, path="/none"), dry=True)["state"] == "failed"


def test_without_a_key_or_without_room_nothing_is_written(tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IncidentError, match="encrypted only"):
        backed_up(order(tmp_path, key=Key()))
    assert not (tmp_path / "backups").exists()
    found = backed_up(order(tmp_path, floor=2**60))
    assert found["state"] == "failed" and "free some there" in found["problem"]
    monkeypatch.setattr(_sqlite_copy, "FLOOR", 2**60)
    found = backed_up(order(tmp_path))
    assert found["state"] == "failed" and "free" in found["problem"] and "\n" not in found["problem"]
    assert os.listdir(tmp_path / "backups") == [".work"] and os.listdir(live.parent) == ["marketplace.db"]


def test_a_disk_that_fills_up_meanwhile_is_named(tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpg").write_text("#!/bin/sh\nread line\nexit 2\n")
    (tmp_path / "gpg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    free = iter([2**40, 2**40])
    monkeypatch.setattr(_backup_work, "free_bytes", lambda _folder: next(free, 0))
    found = backed_up(order(tmp_path))
    assert found["state"] == "failed" and "found no space left in" in found["problem"]
    assert os.listdir(tmp_path / "backups" / ".work") == []


def test_what_cannot_be_opened_again_is_not_published(tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = _gpg.sealed

    def spoiled(stream: Any, key: Key) -> None:
        real(stream, key)
        draft = next((tmp_path / "backups" / ".work").iterdir())
        raw = bytearray(draft.read_bytes())
        raw[len(raw) // 2] ^= 1
        draft.write_bytes(raw)

    monkeypatch.setattr(_gpg, "sealed", spoiled)
    found = backed_up(order(tmp_path))
    assert found["state"] == "failed" and os.listdir(tmp_path / "backups") == [".work"]


def test_who_has_lost_the_lease_publishes_nothing_and_who_has_it_keeps_it(
    tmp_path: Path, live: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = backed_up(order(tmp_path, allowed=lambda: False))
    assert found["state"] == "failed" and os.listdir(tmp_path / "backups") == [".work"]
    monkeypatch.setattr(_backup_work, "RENEW_SECONDS", 0.01)
    asked = threading.Event()
    real = _database_archive.pack

    def slow(*given: Any) -> None:
        asked.clear()
        assert asked.wait(60), "nobody renewed it while the archive was made"
        real(*given)

    monkeypatch.setattr(_database_archive, "pack", slow)
    made(order(tmp_path, allowed=lambda: asked.set() is None))


def test_a_key_locks_what_only_its_secret_part_opens(
    tmp_path: Path, live: Path, keyring: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = order(tmp_path, key=Key(recipient=keyring))
    assert made(wanted)["verified"] == "decrypted"
    public = subprocess.run(["gpg", "--batch", "--export", keyring], capture_output=True, check=True).stdout
    (tmp_path / "p").mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "p"))
    subprocess.run(["gpg", "--batch", "--quiet", "--import"], input=public, capture_output=True, check=True)
    found = made(wanted)
    subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=True)
    assert (found["verified"], found["state"]) == ("checksum", "made")


def test_a_large_database_takes_little_memory(tmp_path: Path) -> None:
    live = tmp_path / "data" / "marketplace.db"
    database(live)
    with closing(sqlite3.connect(live)) as user:
        user.execute("CREATE TABLE big(content BLOB)")
        user.executemany("INSERT INTO big VALUES (?)", [(os.urandom(1024 * 1024),) for _number in range(32)])
        user.commit()
    program = (
        "import resource, sys\n"
        "from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_backup as b, _gpg\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "order = b.Order('m', sys.argv[1] + '/data/marketplace.db', sys.argv[1] + '/backups', _gpg.Key('secret'), floor=0)\n"
        "assert b.backed_up(order)['state'] == 'made'\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(_gpg.__file__).parents[5])}
    ran = subprocess.run(["python3", "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, env=environment)
    assert int(ran.stdout) < 20 * 1024


@pytest.mark.usefixtures("no_gap")
def test_killed_anywhere_the_next_run_has_a_whole_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a killed run has left in scratch is swept when it is old enough not to be somebody's who begins just now.
    monkeypatch.setattr(_sqlite_copy, "YOUNG_SECONDS", -1.0)

    template = tmp_path / "template"
    database(template / "data" / "marketplace.db")
    made(order(template))
    aged(template / "backups", 40)
    _backup_shelf.take_away(_backup_shelf.archives(str(template / "backups"), DATABASE)[0].path)
    (template / "backups" / "latest.db.gz.gpg").unlink()

    def prepare(folder: Path) -> None:
        shutil.copytree(template, folder, dirs_exist_ok=True)

    def act(folder: Path) -> dict[str, Any]:
        return backed_up(order(folder, keep_good=1, minimum_age=900.0))

    def converged(folder: Path, found: dict[str, Any]) -> None:
        assert found["state"] in ("made", "fresh") and found["problem"] == ""
        backups = folder / "backups"
        there = sorted(one.name for one in backups.iterdir() if one.is_file() and not one.is_symlink())
        whole = os.path.basename(found["path"])
        assert there == sorted([whole, f"{whole}.manifest.json", f"{whole}.sha256"])
        assert os.readlink(backups / "latest.db.gz.gpg") == whole and os.listdir(backups / ".work") == []
        assert os.listdir(folder / "data") == ["marketplace.db"]
        with closing(restored(found["path"], folder / "out.db")) as image:
            assert rows(image) == 50

    assert killed_at_each_effect(tmp_path, prepare, act, converged) > 10
