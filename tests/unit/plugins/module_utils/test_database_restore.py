# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database is kept, a backup chosen, and its image put in place; nothing is lost, also when it is killed at any moment."""

from __future__ import annotations

import errno
import gzip
import os
import stat
import subprocess
import time
from pathlib import Path

import pytest
from unit.plugins.archives import encrypt
from unit.plugins.database_restores import (
    backup,
    digest,
    do,
    everything,
    holding,
    make,
    refused,
    restored,
    rows,
    shop,
    wanted,
)

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_files,
    _database_plan,
    _database_restore,
    _database_swap,
    _database_unpack,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Questions
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_plan import NoGoodBackup
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_unpack import Bounds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key


def test_the_set_is_kept_once_and_the_original_is_not_touched(tmp_path: Path) -> None:
    database = shop(tmp_path)
    before = everything(tmp_path / "data")
    dry = do(wanted(tmp_path, "preserved"), dry=True)
    assert dry["changed"] and everything(tmp_path / "data") == before
    result = do(wanted(tmp_path, "preserved"))
    assert [one["source"] for one in result["kept"]] == [f"{database}{suffix}" for suffix in ("", "-wal", "-shm")]
    for one in result["kept"]:
        assert one["sha256"] == digest(one["path"]) == digest(one["source"])
        assert stat.S_IMODE(os.stat(one["path"]).st_mode) == 0o600
    assert result["kept_database"] == result["kept"][0]["path"]
    assert {name: everything(tmp_path / "data")[name] for name in before} == before
    again = do(wanted(tmp_path, "preserved"))
    assert not again["changed"] and again["kept_database"] == result["kept_database"]
    with open(database, "ab") as file:
        file.write(b"\0" * 4096)
    other = do(wanted(tmp_path, "preserved"))
    assert other["changed"] and other["kept_database"] != result["kept_database"]


def test_an_image_that_does_not_get_onto_the_disk_is_no_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = shop(tmp_path)
    before = Path(database).read_bytes()

    def broken(path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(_database_files, "sync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        do(wanted(tmp_path))
    monkeypatch.undo()
    assert Path(database).read_bytes() == before
    assert do(wanted(tmp_path))["plan"]["good"] is True


def test_a_disk_that_takes_no_image_in_time_makes_no_backup_a_bad_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop(tmp_path)
    answer = Questions.answer

    def late(self: Questions, name: str, seconds: float) -> object:
        if name == "on_disk":
            raise KeyError(name)
        return answer(self, name, seconds)

    monkeypatch.setattr(Questions, "answer", late)
    with pytest.raises(NoGoodBackup) as problem:
        do(wanted(tmp_path))
    assert (problem.value.kind, problem.value.rejected) == ("slow_disk", [])
    assert "was not written to the disk in time" in str(problem.value)


def test_the_first_folder_with_room_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop(tmp_path)
    real = _database_files.free_bytes
    monkeypatch.setattr(_database_files, "free_bytes", lambda folder: 1024 if "full" in folder else real(folder))
    folders = (str(tmp_path / "full"), str(tmp_path / "roomy"))
    kept = do(wanted(tmp_path, "preserved", keep_dirs=folders))["kept_database"]
    assert os.path.dirname(kept) == folders[1] and stat.S_IMODE(os.stat(folders[1]).st_mode) == 0o700
    (tmp_path / "data/marketplace.db-wal").write_bytes(b"another")
    assert "must stay" in refused(tmp_path, wanted(tmp_path, "preserved", keep_dirs=folders[:1]), "no_space")


@pytest.mark.parametrize("gone", [("", "-wal", "-shm"), ("-wal",)])
def test_what_was_removed_while_it_was_open_is_rescued(tmp_path: Path, gone: tuple[str, ...]) -> None:
    database = make(tmp_path / "data/marketplace.db")
    os.chown(database, 10001, 10002)
    child = holding(database)
    try:
        for suffix in gone:
            os.unlink(f"{database}{suffix}")
        result = do(wanted(tmp_path, "preserved"))
        assert rows(result["kept_database"], "SELECT name FROM users WHERE id=2000") == [("held",)]
        assert all(one["sha256"] == digest(one["path"]) for one in result["kept"])
        make(tmp_path / "image.db")
        backup(tmp_path / "backups", tmp_path / "image.db", 1)
        plan = do(wanted(tmp_path))["plan"]["hash"]
        one = wanted(tmp_path, "restored", plan=plan, kept_database=result["kept_database"])
        assert f"pid {child.pid}" in refused(tmp_path, one, "in_use")
    finally:
        child.kill()
        child.communicate()
    do(one)
    assert os.stat(database).st_uid == 10001, "as the one that was removed"


def test_both_sets_are_kept_where_a_process_holds_one_that_was_replaced(tmp_path: Path) -> None:
    database = make(tmp_path / "data/marketplace.db")
    child = holding(database)
    try:
        for suffix in ("", "-wal", "-shm"):
            os.unlink(f"{database}{suffix}")
        make(database, 5)
        result = do(wanted(tmp_path, "preserved"))
        assert rows(result["kept_database"], "SELECT name FROM users WHERE id=2000") == [("held",)]
        assert rows(result["kept"][0]["path"]) == [(5,)]
    finally:
        child.kill()
        child.communicate()


def test_the_newest_good_backup_takes_the_place(tmp_path: Path) -> None:
    database = shop(tmp_path)
    os.chown(database, 10001, 10002)
    os.chmod(database, 0o640)
    os.setxattr(database, "user.kept", b"yes")
    before = everything(tmp_path / "data")
    kept = do(wanted(tmp_path, "preserved"))
    planned = do(wanted(tmp_path))
    plan = planned["plan"]
    assert not planned["changed"] and planned["restored"] is None and not planned["begun"]
    assert (plan["name"], plan["good"], plan["rejected"]) == ("marketplace-db-20261123T010000Z", True, [])
    assert (plan["created"], plan["image"]["last_commit"]) == ("2026-11-23T01:00:00Z", "2026-11-23T00:59:00Z")
    assert (plan["image"]["tables"], plan["image"]["schema_version"]) == ({"users": 100, "escrows": 100, "notes": 100}, 31)
    one = wanted(tmp_path, "restored", plan=plan["hash"], kept_database=kept["kept_database"])
    dry = do(one, dry=True)
    assert dry["changed"] and digest(database) == digest(kept["kept_database"])
    result = do(one)
    assert result["changed"] and rows(database) == [(100,)] and digest(database) == plan["image"]["sha256"]
    state = os.stat(database)
    assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (10001, 10002, 0o640)
    assert os.getxattr(database, "user.kept") == b"yes"
    assert not os.path.exists(f"{database}-wal") and not os.path.exists(f"{database}-shm")
    assert {one["source"]: one["sha256"] for one in result["kept"]} == {
        f"{database}{suffix}": digest(f"{kept['kept_database']}{suffix}") for suffix in ("", "-wal", "-shm")
    }
    assert all(digest(one["path"]) == one["sha256"] for one in result["kept"])
    assert set(before.values()) <= set(everything(tmp_path / "data").values())
    assert not (tmp_path / "data/.marketplace_restore").exists()
    again = do(one)
    assert not again["changed"] and again["kept"] == result["kept"]
    assert do(wanted(tmp_path, "resumed"))["changed"] is False
    assert do(wanted(tmp_path))["restored"]["plan"] == plan["hash"]


def test_a_plan_is_kept_and_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop(tmp_path)
    first = do(wanted(tmp_path))["plan"]
    monkeypatch.setattr(_database_unpack, "unpack", None)
    again = do(wanted(tmp_path))["plan"]
    assert again["hash"] == first["hash"]
    assert do(wanted(tmp_path), dry=True)["plan"]["hash"] == first["hash"]
    monkeypatch.undo()
    backup(tmp_path / "backups", make(tmp_path / "newer.db", 110), 2)
    assert do(wanted(tmp_path))["plan"]["hash"] != first["hash"]


def test_check_mode_leaves_nothing(tmp_path: Path) -> None:
    shop(tmp_path)
    before = everything(tmp_path / "data")
    assert do(wanted(tmp_path), dry=True)["plan"]["good"] is True
    assert everything(tmp_path / "data") == before and not (tmp_path / "data/.marketplace_restore").exists()


def test_a_damaged_newest_archive_is_walked_back(tmp_path: Path) -> None:
    database = shop(tmp_path)
    backup(tmp_path / "backups", database, 2)  # it has the damage already
    cut = backup(tmp_path / "backups", make(tmp_path / "cut.db"), 3)
    cut.write_bytes(cut.read_bytes()[:-100])
    backup(tmp_path / "backups", make(tmp_path / "other.db"), 4, site="market-2")
    backup(tmp_path / "backups", make(tmp_path / "locked.db"), 5, passphrase="another one")
    flipped = backup(tmp_path / "backups", make(tmp_path / "flipped.db"), 6)
    flipped.write_bytes(backup(tmp_path, make(tmp_path / "third.db", 7), 6).read_bytes())
    plan = do(wanted(tmp_path))["plan"]
    assert plan["name"] == "marketplace-db-20261123T010000Z"
    assert [one["kind"] for one in plan["rejected"]] == ["damaged", "wrong_passphrase", "other_site", "damaged", "page_damage"]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("wrong_passphrase", {"key": Key("another one")}),
        ("no_passphrase", {"key": Key()}),
        ("other_site", {"site": "market-2"}),
        ("too_big", {"bounds": Bounds(bytes=8192)}),
        ("missing", {"archive": "/nowhere.db.gz.gpg"}),
        ("missing", {"directory": "/nowhere"}),
    ],
)
def test_what_cannot_be_restored_from_is_said(tmp_path: Path, kind: str, change: dict) -> None:
    shop(tmp_path)
    refused(tmp_path, wanted(tmp_path, **change), kind)
    assert not (tmp_path / "data/.marketplace_restore").exists()


def test_a_key_that_this_host_has_not(tmp_path: Path, keyring: str) -> None:
    shop(tmp_path)
    archive = tmp_path / "to-a-key.db.gz.gpg"
    lock = ["gpg", "--batch", "--trust-model", "always", "--recipient", keyring, "--output", str(archive), "--encrypt"]
    subprocess.run(lock, input=gzip.compress((tmp_path / "older.db").read_bytes()), check=True, capture_output=True)
    remove = ["gpg", "--batch", "--yes", "--delete-secret-keys", subprocess.run(
        ["gpg", "--list-keys", "--with-colons"], check=True, capture_output=True, text=True
    ).stdout.split("fpr:::::::::")[1].split(":")[0]]  # fmt: skip
    subprocess.run(remove, check=True, capture_output=True)
    one = wanted(tmp_path, archive=str(archive))
    with pytest.raises(NoGoodBackup) as problem:
        do(one)
    assert problem.value.kind in ("no_secret_key", "damaged"), problem.value


def test_a_backup_from_the_future_is_not_chosen(tmp_path: Path) -> None:
    shop(tmp_path)
    future = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + 86400))
    os.rename(
        backup(tmp_path, make(tmp_path / "image.db"), 9, manifest=False),
        tmp_path / f"backups/marketplace-db-{future}.db.gz.gpg",
    )
    assert [one["kind"] for one in do(wanted(tmp_path))["plan"]["rejected"]] == ["from_future"]


def test_a_bomb_does_not_fill_the_disk(tmp_path: Path) -> None:
    shop(tmp_path)
    bomb = tmp_path / "bomb.db.gz.gpg"
    encrypt(bomb, gzip.compress(b"SQLite format 3\0" + bytes(64 * 1024 * 1024)))
    before = os.statvfs(tmp_path).f_bavail
    refused(tmp_path, wanted(tmp_path, archive=str(bomb), bounds=Bounds(bytes=1024 * 1024)), "too_big")
    assert before - os.statvfs(tmp_path).f_bavail < 50_000


def test_no_space_is_the_hosts_matter_and_no_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop(tmp_path)
    monkeypatch.setattr(_database_files, "free_bytes", lambda _folder: 1024)
    refused(tmp_path, wanted(tmp_path), "no_space")


def test_it_is_seen_by_its_content_what_an_archive_is(tmp_path: Path) -> None:
    shop(tmp_path)
    image = make(tmp_path / "image.db", 12).read_bytes()
    for name, packed in (
        ("a.db.gpg", image),
        ("b.db.gz.gpg", subprocess.run(["zstd", "-qc"], input=image, capture_output=True, check=True).stdout),
    ):
        encrypt(tmp_path / name, packed)
        plan = do(wanted(tmp_path, archive=str(tmp_path / name)))["plan"]
        assert plan["image"]["tables"]["users"] == 12 and plan["manifest"] is None
    encrypt(tmp_path / "c.db.gz.gpg", gzip.compress(os.urandom(8192)))
    plan = do(wanted(tmp_path, archive=str(tmp_path / "c.db.gz.gpg")))["plan"]
    assert (plan["good"], plan["image"]["state"]) == (None, "encrypted")
    _database_plan.wipe(str(tmp_path / "data/marketplace.db"))
    encrypt(tmp_path / "d.db.gz.gpg", gzip.compress(b""))
    refused(tmp_path, wanted(tmp_path, archive=str(tmp_path / "d.db.gz.gpg")), "not_a_database")


def test_an_image_that_changed_after_the_plan_is_refused(tmp_path: Path) -> None:
    shop(tmp_path)
    kept = do(wanted(tmp_path, "preserved"))["kept_database"]
    plan = do(wanted(tmp_path))["plan"]["hash"]
    image = next((tmp_path / "data/.marketplace_restore").glob("image-*"))
    state = image.stat()
    with open(image, "r+b") as file:
        file.seek(5000)
        file.write(b"x")
    os.utime(image, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert "has changed" in refused(tmp_path, wanted(tmp_path, "restored", plan=plan, kept_database=kept), "changed")


def test_another_plan_an_old_one_and_no_kept_copy_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop(tmp_path)
    kept = do(wanted(tmp_path, "preserved"))["kept_database"]
    refused(tmp_path, wanted(tmp_path, "restored", plan="0" * 64, kept_database=kept), "no_plan")
    plan = do(wanted(tmp_path))["plan"]["hash"]
    refused(tmp_path, wanted(tmp_path, "restored", plan="0" * 64, kept_database=kept), "no_plan")
    refused(tmp_path, wanted(tmp_path, "restored", plan=plan, kept_database=f"{kept}x"), "missing")
    later = time.time() + 3700
    monkeypatch.setattr(_database_plan.time, "time", lambda: later)
    assert (tmp_path / "data/.marketplace_restore").exists()
    assert "60 minutes" in refused(tmp_path, wanted(tmp_path, "restored", plan=plan, kept_database=kept), "no_plan")
    assert not do(wanted(tmp_path, "resumed"))["changed"]
    assert not (tmp_path / "data/.marketplace_restore").exists(), "nobody can use it any more"


def test_a_plan_does_not_wipe_what_another_call_is_putting_in_place(tmp_path: Path) -> None:
    shop(tmp_path)
    one = wanted(tmp_path)
    with _database_restore._alone(one):
        for state in ("planned", "restored", "compared", "resumed"):
            refused(tmp_path, wanted(tmp_path, state), "busy")


def test_a_database_that_is_gone_comes_back(tmp_path: Path) -> None:
    database = shop(tmp_path)
    kept = do(wanted(tmp_path, "preserved"))["kept_database"]
    os.chown(tmp_path / "data", 10001, 10002)
    os.unlink(database)
    plan = do(wanted(tmp_path))["plan"]["hash"]
    do(wanted(tmp_path, "restored", plan=plan, kept_database=kept))
    assert rows(database) == [(100,)] and not os.path.exists(f"{database}-wal")


def test_what_came_after_a_kill_is_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody opened the half restored database by hand, and it has a -wal of its own since."""
    database = shop(tmp_path)

    def killed(*_about: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(_database_files, "like_model", killed)
    monkeypatch.setattr(
        _database_swap,
        "_settle",
        lambda journal, path, state: (
            os.makedirs(state, exist_ok=True),
            _database_swap.write_json(_database_swap.journal_path(state, path), journal),
        ),
    )
    with pytest.raises(InterruptedError):
        restored(tmp_path)
    monkeypatch.undo()
    Path(f"{database}-journal").write_bytes(b"by hand")
    os.unlink(f"{database}-wal")
    Path(f"{database}-wal").write_bytes(b"another")
    assert do(wanted(tmp_path))["begun"]
    result = do(wanted(tmp_path, "resumed"))
    assert result["changed"] and result["resumed"]
    assert {b"by hand", b"another"} <= {Path(one["path"]).read_bytes() for one in result["kept"]}
    assert rows(database) == [(100,)]


def test_a_link_is_no_database(tmp_path: Path) -> None:
    database = shop(tmp_path)
    os.rename(database, tmp_path / "data/elsewhere.db")
    os.symlink("elsewhere.db", database)
    for state in ("preserved", "planned", "restored"):
        refused(tmp_path, wanted(tmp_path, state), "changed")


def test_an_unreadable_journal_stops_everything(tmp_path: Path) -> None:
    database = shop(tmp_path)
    (tmp_path / "state").mkdir()
    Path(_database_swap.journal_path(str(tmp_path / "state"), str(database))).write_text("{")
    for state in ("planned", "restored", "resumed"):
        refused(tmp_path, wanted(tmp_path, state), "journal")


@pytest.mark.parametrize(
    ("kind", "site", "moment"),
    [("other_site", "market-2", "2026-11-23T05:00:00Z"), ("damaged", "market-1", "2026-11-22T05:00:00Z")],
)
def test_what_it_says_inside_counts_more_than_its_name(tmp_path: Path, kind: str, site: str, moment: str) -> None:
    """Another site's with our manifest beside it, and an old one that was renamed to be the newest."""
    shop(tmp_path)
    image = make(tmp_path / "image.db")
    archive = backup(tmp_path / "backups", image, 5)
    archive.unlink()
    encrypt(archive, gzip.compress(image.read_bytes()), label=f"marketplace-db {site} {moment}")
    Path(f"{archive}.sha256").write_text(f"{digest(archive)}  {archive.name}\n")
    plan = do(wanted(tmp_path))["plan"]
    assert [one["kind"] for one in plan["rejected"]] == [kind] and plan["name"] == "marketplace-db-20261123T010000Z"
