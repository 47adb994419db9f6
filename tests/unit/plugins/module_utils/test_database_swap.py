# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who comes between the last look and the swap, whose the database is afterwards, and what is said where no loss can be listed."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.database_restores import digest, do, rows, shop, wanted

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_compare,
    _database_files,
    _database_swap,
    _sqlite_copy,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored

READER = "import sys; file = open(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"


def agreed(folder: Path, **changes: Any) -> Any:
    """The restore that a person has confirmed."""
    kept = do(wanted(folder, "preserved"))["kept_database"]
    return wanted(folder, "restored", plan=do(wanted(folder))["plan"]["hash"], kept_database=kept, **changes)


def before_the_rename(monkeypatch: pytest.MonkeyPatch, what: Any) -> None:
    """Does it once, when all is looked at and the image has not its name yet."""
    real, done = os.rename, []

    def rename(source: str, target: str) -> None:
        if target.endswith("/data/marketplace.db") and not done:
            done.append(what())
        real(source, target)

    monkeypatch.setattr(_database_swap.os, "rename", rename)


def test_a_log_that_came_in_between_is_kept_and_does_not_lie_beside_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = shop(tmp_path)
    one = agreed(tmp_path)
    log = Path(f"{database}-wal")
    before_the_rename(monkeypatch, lambda: log.write_bytes(b"of the old database"))
    result = do(one)
    assert not log.exists() and rows(database) == [(100,)]
    [kept] = [each for each in result["kept"] if each["path"] and Path(each["path"]).read_bytes() == b"of the old database"]
    assert kept["source"].startswith(str(log))


def test_who_opened_the_old_database_in_between_is_named_and_a_later_call_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = shop(tmp_path)
    one, children = agreed(tmp_path), []

    def opened() -> None:
        children.append(
            subprocess.Popen(
                [sys.executable, "-c", READER, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
        assert children[0].stdout.readline() == "ready\n"

    before_the_rename(monkeypatch, opened)
    try:
        with pytest.raises(NotRestored) as problem:
            do(one)
        assert problem.value.kind == "in_use" and f"pid {children[0].pid}" in str(problem.value)
        assert do(wanted(tmp_path, "resumed"), dry=True)["resumed"], "not ended"
    finally:
        for child in children:
            child.kill()
            child.communicate()
    assert do(wanted(tmp_path, "resumed"))["resumed"] and rows(database) == [(100,)]


def test_what_root_put_there_by_hand_does_not_make_the_database_roots(tmp_path: Path) -> None:
    database = shop(tmp_path)
    os.chown(database, 0, 0)
    os.chmod(database, 0o644)
    os.chown(database.parent, 10001, 10002)
    result = do(agreed(tmp_path))
    state = os.stat(database)
    assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (10001, 10002, 0o644)
    assert any("10001:10002" in each for each in result["did"])


def test_a_database_of_roots_in_a_folder_of_roots_stays_that(tmp_path: Path) -> None:
    database = shop(tmp_path)
    os.chown(database, 0, 0)
    os.chown(database.parent, 0, 0)
    assert len(do(agreed(tmp_path))["did"]) == 1 and os.stat(database).st_uid == 0


@pytest.mark.parametrize("link", [True, False])
def test_another_file_under_the_name_of_the_image_is_given_to_nobody(tmp_path: Path, link: bool) -> None:
    image, other = tmp_path / "image.db", tmp_path / "shadow"
    image.write_bytes(b"image")
    other.write_bytes(b"other")
    inode = _database_files.inode_of(str(image))
    image.unlink()
    image.symlink_to(other) if link else other.rename(image)
    meant = other if link else image
    before = os.stat(meant)
    with pytest.raises(NotRestored, match="nothing was replaced"):
        _database_files.like_model(str(image), inode, {"uid": 10001, "gid": 10001, "mode": 0o666, "xattrs": {}})
    after = os.stat(meant)
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode) and digest(meant)


def test_where_two_databases_have_no_room_it_is_said_before_and_afterwards_and_another_folder_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(tmp_path)
    real, statvfs = _database_files.free_bytes, os.statvfs
    monkeypatch.setattr(_database_files, "free_bytes", lambda folder: 10**6 * 70 if "/data" in folder else real(folder))
    assert "database_restore_compare_dir" in do(wanted(tmp_path))["plan"]["compare_problem"]
    assert do(wanted(tmp_path, compare_dir=str(tmp_path)))["plan"]["compare_problem"] is None
    kept = do(agreed(tmp_path))["kept_database"]
    monkeypatch.setattr(_sqlite_copy.os, "statvfs", lambda path: _full(statvfs(path)) if "/data/" in path else statvfs(path))
    before = wanted(tmp_path, "compared", kept_database=kept)
    with pytest.raises(NotRestored, match="database_restore_compare_dir") as problem:
        do(before)
    assert problem.value.kind == "unreadable" and not list(tmp_path.rglob(".marketplace_compare*"))
    there = wanted(tmp_path, "compared", kept_database=kept, compare_dir=str(tmp_path))
    assert do(there)["loss"]["tables"]["users"]["new"] == 1 and not list(tmp_path.rglob(".marketplace_compare*"))


def _full(state: os.statvfs_result) -> os.statvfs_result:
    return os.statvfs_result((*state[:4], 0, *state[5:]))


def test_a_kept_copy_that_went_elsewhere_and_a_full_disk_leave_the_loss_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop(tmp_path)
    kept = do(agreed(tmp_path))["kept_database"]
    one = wanted(tmp_path, "compared", kept_database=kept)

    def full(*_given: Any, **_named: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(_database_compare, "compare", full)
        with pytest.raises(NotRestored, match="disk is full") as problem:
            do(one)
        assert problem.value.kind == "unreadable"
    os.rename(kept, tmp_path / "evidence")
    with pytest.raises(NotRestored, match="bring it back") as problem:
        do(one)
    assert problem.value.kind == "missing"


def test_who_only_looks_leaves_a_plan_that_waits_for_its_word(tmp_path: Path) -> None:
    database = shop(tmp_path)
    one = agreed(tmp_path)
    older = sorted((tmp_path / "backups").glob("*.gpg"))[0]
    other = do(wanted(tmp_path, archive=str(older)), dry=True)["plan"]
    assert other["hash"] != one.plan and sorted(os.listdir(tmp_path / "data")).count(".marketplace_restore-check") == 0
    assert do(one)["changed"] and rows(database) == [(100,)]
