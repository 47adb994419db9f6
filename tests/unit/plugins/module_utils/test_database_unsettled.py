# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was damaged stays unsettled until the shop is open, and what is gone altogether comes back."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from unit.plugins.database_restores import digest, do, holding, make, refused, restored, rows, shop, wanted

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_files, _database_keep
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Ran


@pytest.mark.parametrize(("left", "wal"), [("missing", True), ("missing", False), ("empty", True), ("empty", False)])
def test_a_database_of_which_nothing_was_left_comes_back_and_all_of_the_loss_is_unknown(
    tmp_path: Path, left: str, wal: bool
) -> None:
    database = shop(tmp_path)
    for suffix in ("-wal", "-shm") if not wal else ():
        os.unlink(f"{database}{suffix}")
    if left == "missing":
        os.unlink(database)
    else:
        database.write_bytes(b"")
    kept = do(wanted(tmp_path, "preserved"))
    assert kept["kept_database"] == "" and len(kept["kept"]) == (left == "empty") + 2 * wal
    assert not do(wanted(tmp_path, "preserved"))["changed"]
    plan = do(wanted(tmp_path))["plan"]["hash"]
    done = do(wanted(tmp_path, "restored", plan=plan))
    assert rows(database) == [(100,)] and not os.path.exists(f"{database}-wal")
    assert all(digest(one["path"]) == one["sha256"] for one in done["kept"])
    loss = do(wanted(tmp_path, "compared", loss_file=str(tmp_path / "loss/list.jsonl")))["loss"]
    assert not loss["complete"] and loss["seconds_lost"] is None and {one["more"] for one in loss["tables"].values()} == {True}
    assert '"deleted"' not in (tmp_path / "loss/list.jsonl").read_text()


def test_of_a_disk_that_fails_what_it_still_gives_is_kept_and_a_backup_takes_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = shop(tmp_path)
    whole, real, copy = database.read_bytes(), os.pread, _database_keep.run

    def broken(path: str) -> bool:
        return os.path.exists(path) and os.path.exists(database) and os.path.samefile(path, database)

    def summed(path: str) -> str:
        if broken(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return digest(path)

    def read(handle: int, length: int, start: int) -> bytes:
        if start == 8192 and broken(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(handle, length, start)

    def refused_by_the_disk(argv: list[str], seconds: float) -> Ran:
        return Ran(tuple(argv), 1, b"", b"cp: error reading: Input/output error") if broken(argv[-2]) else copy(argv, seconds)

    monkeypatch.setattr(_database_files, "_sha256", summed)
    monkeypatch.setattr(os, "pread", read)
    monkeypatch.setattr(_database_keep, "run", refused_by_the_disk)
    kept = do(wanted(tmp_path, "preserved"))
    assert Path(kept["kept_database"]).read_bytes() == whole[:8192] + bytes(4096) + whole[12288:]
    assert os.stat(kept["kept_database"]).st_mtime_ns == os.stat(database).st_mtime_ns
    assert not do(wanted(tmp_path, "preserved"))["changed"]
    plan = do(wanted(tmp_path))["plan"]["hash"]
    do(wanted(tmp_path, "restored", plan=plan, kept_database=kept["kept_database"]))
    assert rows(database) == [(100,)]


def test_without_a_kept_copy_nothing_is_replaced_that_could_have_been_kept(tmp_path: Path) -> None:
    database = shop(tmp_path)
    plan = do(wanted(tmp_path))["plan"]["hash"]
    assert "preserve it first" in refused(tmp_path, wanted(tmp_path, "restored", plan=plan), "missing")
    kept = do(wanted(tmp_path, "preserved"))["kept_database"]
    os.unlink(database)
    assert do(wanted(tmp_path, "preserved"))["kept_database"] == kept, "what an earlier call kept is what is left"


def test_from_the_first_copy_until_the_shop_is_open_it_is_noted_that_nothing_is_settled(tmp_path: Path) -> None:
    shop(tmp_path)

    def noted() -> tuple[str, str] | None:
        said = do(wanted(tmp_path, "resumed"), dry=True)["unsettled"]
        return said and (said["stage"], said["kept_database"])

    assert noted() is None
    do(wanted(tmp_path, "preserved"), dry=True)
    assert noted() is None
    kept = do(wanted(tmp_path, "preserved"))["kept_database"]
    assert noted() == ("damaged", kept)
    done = restored(tmp_path)
    assert noted() == ("restored", done["kept_database"])
    assert do(wanted(tmp_path, "reopening"), dry=True)["changed"] and noted() == ("restored", kept)
    assert do(wanted(tmp_path, "reopening", services=("worker",)))["changed"] and noted() == ("reopening", kept)
    assert not do(wanted(tmp_path, "reopening"))["changed"]
    assert do(wanted(tmp_path, "resumed"), dry=True)["unsettled"]["by_restore"]
    assert do(wanted(tmp_path, "resumed"), dry=True)["unsettled"]["services"] == ["worker"]
    assert do(wanted(tmp_path, "reopened"), dry=True)["changed"] and noted() is not None
    assert do(wanted(tmp_path, "reopened"))["changed"] and noted() is None
    assert not do(wanted(tmp_path, "reopened"))["changed"]


def test_a_note_that_cannot_be_read_keeps_the_shop_closed(tmp_path: Path) -> None:
    shop(tmp_path)
    do(wanted(tmp_path, "preserved"))
    [note] = (tmp_path / "state").glob("database_unsettled-*.json")
    note.write_text("{")
    for state in ("resumed", "reopening", "reopened"):
        assert "the shop stays closed" in refused(tmp_path, wanted(tmp_path, state), "journal")


def test_what_is_gone_once_more_comes_back_once_more(tmp_path: Path) -> None:
    """By the same backup, so that the plan is the same; a restore that was done before does not count for it."""
    database = shop(tmp_path)
    for suffix in ("-wal", "-shm"):
        os.unlink(f"{database}{suffix}")
    for _time in range(2):
        os.unlink(database)
        plan = do(wanted(tmp_path))["plan"]["hash"]
        assert do(wanted(tmp_path, "restored", plan=plan))["changed"] and rows(database) == [(100,)]
        assert not do(wanted(tmp_path, "restored", plan=plan))["changed"]


def test_what_was_mended_by_hand_is_never_taken_for_an_earlier_restore(tmp_path: Path) -> None:
    shop(tmp_path)
    restored(tmp_path)
    do(wanted(tmp_path, "reopened"))
    for state in ("preserved", "reopening"):
        do(wanted(tmp_path, state))
        assert not do(wanted(tmp_path, "resumed"), dry=True)["unsettled"]["by_restore"]


def lives_in(tmp_path: Path) -> str:
    return str(do(wanted(tmp_path, "resumed"), dry=True)["unsettled"]["lives_in"])


@pytest.mark.parametrize("gone", [("-wal", "-shm"), ("", "-wal", "-shm")])
def test_what_ended_with_its_process_is_not_taken_for_mended(tmp_path: Path, gone: tuple[str, ...]) -> None:
    """Without the -wal that was removed the database is whole, and of an older moment."""
    database = make(tmp_path / "data/marketplace.db")
    child = holding(database)
    for suffix in gone:
        os.unlink(f"{database}{suffix}")
    if "" in gone:
        make(database, 5)
    kept = do(wanted(tmp_path, "preserved"))["kept_database"]
    assert lives_in(tmp_path) == "", "it is held, and that is what is looked at"
    child.kill()
    child.communicate()
    again = do(wanted(tmp_path, "preserved"))
    assert (lives_in(tmp_path), again["kept_database"], again["changed"]) == (kept, kept, False)
    assert rows(kept, "SELECT name FROM users WHERE id=2000") == [("held",)]
    if "" not in gone:
        shutil.copy(f"{kept}-wal", f"{database}-wal")
        assert lives_in(tmp_path) == "", "all of it is back"
        os.unlink(f"{database}-wal")
    os.unlink(database)
    make(database, 7)
    assert lives_in(tmp_path) == "", "somebody put another one there"


def test_of_what_was_removed_by_name_nothing_lives_elsewhere(tmp_path: Path) -> None:
    database = shop(tmp_path)
    do(wanted(tmp_path, "preserved"))
    os.unlink(f"{database}-wal")
    assert lives_in(tmp_path) == ""
