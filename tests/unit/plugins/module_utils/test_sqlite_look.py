# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each state of a database that its files tell, on real ones."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.module_utils.sqlite_small import fill, filled, look, write

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_look, _sqlite_wal
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Ran
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_verdict import verdict


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path)


@pytest.fixture
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    """Has committed rows that are in the -wal alone, and stays."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA wal_autocheckpoint=0")
    for number in range(301, 341):
        database.execute("INSERT INTO users VALUES (?, ?, 'buyer')", (number, f"user-{number}"))
    yield database
    database.close()


def test_ok(path: Path, writer: sqlite3.Connection) -> None:
    for frozen in (True, False):
        for check in ("quick", "full"):
            found = look(path, check=check, frozen=frozen)
            assert (found["state"], found["certain"], found["sentences"], found["problem"]) == ("ok", True, [], None)
            assert found["tables"] == {"users": 340, "escrows": 300} and found["journal_mode"] == "wal"
            assert found["invariants"] == {"no_negative_escrow": {"rows": 0, "sample": [], "problem": None}}
            assert found["wal"]["ends"] == "end" and found["wal"]["valid_commits"] == found["wal"]["commits"] == 40


def test_missing_is_not_made(path: Path) -> None:
    found = look(path.with_name("shopp.db"))
    assert found["state"] == "missing" and "marketplace_database_path" in found["problem"]
    assert not path.with_name("shopp.db").exists()


def test_empty_tells_what_the_wal_still_has(path: Path, writer: sqlite3.Connection, tmp_path: Path) -> None:
    copy = tmp_path / "copy/shop.db"
    shutil.copytree(path.parent, copy.parent)
    copy.write_bytes(b"")
    found = look(copy)
    assert found["state"] == "empty" and "holds 40 commits: keep it" in found["sentences"][1]


@pytest.mark.parametrize("content", [b"\x00", b"-- a dump\n" * 300, bytes(65536), b"\x1f\x8b" + os.urandom(65534)])
def test_not_a_database(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert look(path)["state"] == "not_a_database"


def test_a_link_and_a_folder_are_unreadable(path: Path) -> None:
    path.with_name("link").symlink_to(path)
    path.with_name("folder").mkdir()
    assert look(path.with_name("link"))["state"] == look(path.with_name("folder"))["state"] == "unreadable"


def test_page_damage_names_pages_and_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        root = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'users'").fetchone()[0]
    write(path, (root - 1) * 1024, bytes(1024))
    found = look(path)
    assert found["state"] == "page_damage" and found["certain"] and found["damage"]["pages"][0] == root
    assert {"name": "users", "type": "table", "pages": [root], "readable": False} in found["damage"]["objects"]
    assert found["damage"]["rows"]["users"] is None and found["tables"]["escrows"] == 300
    assert found["problem"].startswith(f"Pages of users are damaged: 1 ({root})")


def test_a_file_that_ends_too_early_is_page_damage(path: Path) -> None:
    pages = path.stat().st_size // 1024
    os.truncate(path, (pages - 3) * 1024)
    found = look(path)
    assert found["state"] == "page_damage" and set(range(pages - 2, pages + 1)) <= set(found["damage"]["pages"])


def test_a_first_page_that_is_gone_is_page_damage_and_no_other_kind_of_file(path: Path) -> None:
    write(path, 0, os.urandom(1024))
    found = look(path)
    assert found["state"] == "page_damage" and 1 in found["damage"]["pages"]


def test_btree_damage_names_the_index(path: Path) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA writable_schema=ON")
    root = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'escrows_amount'").fetchone()[0]
    database.execute("DELETE FROM sqlite_master WHERE name = 'escrows_amount'")
    database.execute("PRAGMA writable_schema=RESET")
    database.execute("INSERT INTO escrows VALUES (999, 1, 5, 'in no index')")
    database.execute("PRAGMA writable_schema=ON")
    sql = "CREATE INDEX escrows_amount ON escrows (amount)"
    database.execute("INSERT INTO sqlite_master VALUES ('index', 'escrows_amount', 'escrows', ?, ?)", (root, sql))
    database.close()
    found = look(path)
    assert found["state"] == "btree_damage" and found["certain"]
    assert "row 301 missing from index escrows_amount" in found["damage"]["messages"] or "999" in str(
        found["damage"]["messages"]
    )
    # Quick does not compare an index with its table.
    assert look(path, check="quick")["state"] in ("ok", "btree_damage")


def test_foreign_key_damage(path: Path) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("DELETE FROM users WHERE id IN (7, 9)")
    database.close()
    found = look(path, check="quick")
    assert found["state"] == "foreign_key_damage" and found["certain"]
    assert found["damage"]["foreign_keys"] == [{"table": "escrows", "rowid": one, "parent": "users"} for one in (7, 9)]
    assert found["sentences"] == ["2 rows of escrows name a row of users that is not there."]


def test_invariant_damage_by_the_site_and_by_the_schema(path: Path) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("UPDATE escrows SET amount = -amount WHERE id < 3")
    found = look(path, check="quick")
    assert found["state"] == "invariant_damage" and found["invariants"]["no_negative_escrow"]["rows"] == 2
    assert found["invariants"]["no_negative_escrow"]["sample"] == [[2], [1]]
    database.execute("UPDATE escrows SET amount = -amount WHERE id < 3")
    database.execute("PRAGMA ignore_check_constraints=ON")
    database.execute("UPDATE users SET role = 'bu1er' WHERE id = 3")
    database.close()
    found = look(path)
    assert found["state"] == "invariant_damage" and "CHECK constraint failed in users" in found["problem"]


def test_an_invariant_that_cannot_be_asked_proves_nothing(path: Path) -> None:
    found = look(path, invariants=({"name": "typo", "query": "SELECT id FROM escrow"},))
    assert found["state"] == "suspect" and "could not be asked: no such table" in found["problem"]
    found = look(path, invariants=({"name": "act", "query": "DELETE FROM escrows"},))
    assert found["state"] == "suspect" and found["tables"]["escrows"] == 300


def test_wal_damage_is_not_silent(path: Path, writer: sqlite3.Connection) -> None:
    write(path.with_name("shop.db-wal"), 32 + 10 * (24 + 1024) + 500, b"\xff\xff")
    for frozen in (True, False):
        found = look(path, frozen=frozen)
        assert found["state"] == "wal_damage" and found["certain"] is frozen and found["wal"]["ends"] == "checksum"
        assert "frame 11 is damaged" in found["problem"] and found["wal"]["valid_frames"] == 10
        assert found["wal"]["valid_commits"] < found["wal"]["commits"] == 40


def test_wal_without_an_index_that_ends_in_half_a_write_is_not_certain(
    path: Path, writer: sqlite3.Connection, tmp_path: Path
) -> None:
    copy = tmp_path / "copy/shop.db"
    shutil.copytree(path.parent, copy.parent)
    (copy.parent / "shop.db-shm").unlink()
    wal = copy.with_name("shop.db-wal")
    write(wal, wal.stat().st_size - 100, bytes(50))
    found = look(copy)
    assert (
        found["state"] == "wal_damage"
        and not found["certain"]
        and "a write that did not end, or a lost commit" in found["problem"]
    )


def test_a_wal_that_is_gone_is_known_of_by_its_index(path: Path, writer: sqlite3.Connection, tmp_path: Path) -> None:
    copy = tmp_path / "copy/shop.db"
    shutil.copytree(path.parent, copy.parent)
    (copy.parent / "shop.db-wal").unlink()
    found = look(copy)
    assert found["state"] == "wal_damage" and "there is no -wal" in found["problem"]


def test_stale_wal_of_another_generation(path: Path, tmp_path: Path) -> None:
    """A backup that was put back over the database, with the -wal left beside it."""
    backup = tmp_path / "backup.db"
    shutil.copy(path, backup)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA wal_autocheckpoint=0")
    for turn in range(3):
        database.execute(
            "INSERT INTO users SELECT id + 1000 * ?, name || '-again-' || ?, role FROM users WHERE id <= 300", (turn + 1, turn)
        )
        database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    database.execute("UPDATE escrows SET note = note || ' and more of it'")
    copy = tmp_path / "copy/shop.db"
    copy.parent.mkdir()
    shutil.copy(f"{path}-wal", f"{copy}-wal")
    shutil.copy(backup, copy)
    database.close()
    found = look(copy)
    assert found["state"] == "stale_wal" and "not its own" in found["problem"], found["sentences"]


@pytest.mark.parametrize("index", [True, False])
def test_stale_wal_that_fits_in_every_frame(path: Path, tmp_path: Path, index: bool) -> None:
    """Nothing of it was in its own database yet: only that the two do not fit together proves it."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA wal_autocheckpoint=0")
    database.execute("DELETE FROM escrows WHERE id % 2")
    copy = tmp_path / "copy/shop.db"
    copy.parent.mkdir()
    database.execute("VACUUM INTO ?", (str(copy),))
    database.execute("INSERT INTO users SELECT id + 1000, name || '-again', role FROM users")
    for suffix in ("-wal", "-shm") if index else ("-wal",):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    database.close()
    found = look(copy)
    assert found["state"] == "stale_wal" and found["certain"], found["sentences"]


def test_a_set_that_changes_while_it_is_to_be_frozen_is_no_verdict(
    path: Path, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = _sqlite_look._examined

    def examined(*arguments: Any) -> Any:
        writer.execute("UPDATE escrows SET amount = amount + 1 WHERE id = 1")
        return real(*arguments)

    monkeypatch.setattr(_sqlite_look, "_examined", examined)
    options = _sqlite_look.Options(frozen=True, scratch_dir=str(path.parent.parent / "scratch"))
    found = _sqlite_look.look(str(path), options)
    assert found["state"] == "changed" and not found["certain"] and "to be frozen" in found["problem"]


@pytest.mark.parametrize(
    ("looks", "state", "certain"),
    [
        (["page_damage", "ok"], "disagree", False),
        (["page_damage", "page_damage"], "page_damage", True),
        (["page_damage", "unfinished"], "page_damage", False),
        (["unfinished", "ok"], "ok", True),
        (["unfinished", "unfinished"], "unfinished", False),
    ],
)
def test_what_two_looks_at_the_same_bytes_are_worth(
    path: Path, monkeypatch: pytest.MonkeyPatch, looks: list[str], state: str, certain: bool
) -> None:
    real, told = _sqlite_look._examined, list(looks)

    def examined(*arguments: Any) -> Any:
        header, wal, seen = real(*arguments)
        seen.state = told.pop(0)
        return header, wal, seen

    monkeypatch.setattr(_sqlite_look, "_examined", examined)
    found = look(path, frozen=True)
    assert (found["state"], found["certain"], found["looks"]) == (state, certain, looks)


def test_a_check_or_a_copy_that_does_not_end_is_no_verdict(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for frozen in (True, False):
        found = look(path, frozen=frozen, check_seconds=0.0)
        assert found["state"] == "unfinished" and not found["certain"] and "check_timeout" in found["problem"]
        monkeypatch.setattr(_sqlite_look._sqlite_copy, "run", lambda argv, _seconds: Ran(tuple(argv), None))
        found = look(path, frozen=frozen)
        assert found["state"] == "unfinished" and not found["certain"] and "copy_timeout" in found["problem"]
        monkeypatch.undo()


def test_a_journal_of_a_write_that_did_not_end_is_played_back_in_the_copy(path: Path, tmp_path: Path) -> None:
    path.unlink()
    fill(path, wal=False)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA cache_size=1")
    database.execute("BEGIN")
    database.execute("UPDATE escrows SET note = note || ? WHERE id < 200", ("more " * 200,))
    database.execute("DELETE FROM users")
    copy = tmp_path / "copy/shop.db"
    shutil.copytree(path.parent, copy.parent)
    database.execute("ROLLBACK")
    database.close()
    assert copy.with_name("shop.db-journal").stat().st_size > 0
    found = look(copy)
    assert (found["state"], found["certain"], found["sentences"]) == ("ok", True, [])
    assert found["tables"] == {"users": 300, "escrows": 300} and found["journal_mode"] == "delete"


def test_in_place_changes_nothing(path: Path) -> None:
    """For a file that is the caller's own: no copy, no sidecar left, and none written into it."""
    found = look(path, copy=False)
    assert found["state"] == "ok" and found["certain"] and found["holders"] == []
    assert [one.name for one in path.parent.iterdir()] == ["shop.db"]
    summary = _sqlite_look.summary_of(str(path))
    assert summary["tables"] == {"users": 300, "escrows": 300} and summary["page_size"] == 1024


def test_in_place_with_a_wal_keeps_the_wal(path: Path, writer: sqlite3.Connection, tmp_path: Path) -> None:
    copy = tmp_path / "copy/shop.db"
    shutil.copytree(path.parent, copy.parent)
    (copy.parent / "shop.db-shm").unlink()
    found = look(copy, copy=False)
    assert found["state"] == "ok" and found["tables"]["users"] == 340
    assert sorted(one.name for one in copy.parent.iterdir()) == ["shop.db", "shop.db-wal"]


@pytest.mark.parametrize("order", ["little", "big"])
def test_frames_of_either_order_are_walked(path: Path, writer: sqlite3.Connection, tmp_path: Path, order: str) -> None:
    """A -wal that was made on the other kind of machine."""
    data = bytearray(path.with_name("shop.db-wal").read_bytes())
    word, sign = (0x377F0683, ">") if order == "big" else (0x377F0682, "<")
    data[0:4] = word.to_bytes(4, "big")
    sums = _sqlite_wal.checksum(bytes(data[:24]), sign, 0, 0)
    data[24:32] = b"".join(one.to_bytes(4, "big") for one in sums)
    for at in range(32, len(data), 24 + 1024):
        sums = _sqlite_wal.checksum(bytes(data[at : at + 8]), sign, *sums)
        sums = _sqlite_wal.checksum(bytes(data[at + 24 : at + 24 + 1024]), sign, *sums)
        data[at + 16 : at + 24] = b"".join(one.to_bytes(4, "big") for one in sums)
    (tmp_path / "x.db-wal").write_bytes(data)
    found = _sqlite_wal.walk(str(tmp_path / "x.db-wal"))
    assert found["ends"] == "end" and found["valid_commits"] == 40 and found["problem"] is None
    shutil.copy(path, tmp_path / "x.db")
    assert sqlite3.connect(tmp_path / "x.db").execute("SELECT count(*) FROM users").fetchone() == (340,)


def test_what_the_disk_refuses_twice_is_lost_and_a_link_is_not(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_path: str) -> dict[str, str]:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    link = path.with_name("link.db")
    link.symlink_to(path)
    found = look(link, frozen=True)
    assert (found["state"], found["certain"]) == ("unreadable", False)
    monkeypatch.setattr(_sqlite_look, "digests", refused)
    for frozen in (True, False):
        found = look(path, frozen=frozen)
        assert (found["state"], found["certain"]) == (("unreadable", True) if frozen else ("ok", True))


@pytest.mark.parametrize(
    ("sql", "noted"),
    [
        ("UPDATE escrows SET note = CAST(x'ff41' AS TEXT) WHERE id = 7", "bytes that no text has"),
        ("UPDATE escrows SET note = char(55357) WHERE id = 7", "bytes that no text has"),
        ("UPDATE escrows SET note = CAST(zeroblob(40) AS TEXT) WHERE id = 7", "stretch of zeros"),
        ("UPDATE escrows SET note = CAST(zeroblob(9000) AS TEXT) WHERE id = 7", "stretch of zeros"),
        ('CREATE TABLE "a""b" (x)', None),
        ("CREATE TABLE `a``b` (x)", None),
        ("CREATE TABLE virtual (x)", None),
        ("CREATE INDEX virtual ON escrows (note)", None),
    ],
)
def test_whatever_sqlite_takes_for_a_name_is_ok_and_for_a_value_is_a_persons_matter(
    path: Path, sql: str, noted: str | None
) -> None:
    """Damage can look like such a text, and it like damage: it is named, and a person may say that it was written so."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(sql)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()
    found = look(path)
    said = verdict(found)
    if noted is None:
        assert (found["state"], found["certain"], found["problem"]) == ("ok", True, None), found["sentences"]
        assert found["damage"]["pages"] == found["damage"]["objects"] == [] and found["damage"]["rows"] == {}
        assert (said["state"], said["thaw"]) == ("sound", "")
        return
    assert (found["state"], found["certain"], found["damage"]["doubtful"]) == ("page_damage", True, True), found["sentences"]
    assert [one["name"] for one in found["damage"]["objects"]] == ["escrows"] and found["damage"]["rows"] == {"escrows": 1}
    assert (
        len(found["sentences"]) == 1
        and noted in found["sentences"][0]
        and "unless somebody wrote them so" in found["sentences"][0]
    )
    assert said["state"] == "damaged" and said["thaw"].startswith("thaw:database-")


def test_a_text_that_its_index_does_not_have_leaves_no_doubt(path: Path) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("UPDATE escrows SET note = CAST(x'ff41' AS TEXT) WHERE id = 7")
    database.close()
    data = path.read_bytes()
    at = next(at for at in range(len(data)) if data.startswith(b"user-250buyer", at) or data.startswith(b"user-250vendor", at))
    write(path, at, b"\xff")
    found = look(path)
    assert (found["state"], found["certain"]) == ("page_damage", True)
    assert [one["name"] for one in found["damage"]["objects"]] == ["escrows", "users"]
    assert at // 1024 + 1 in found["damage"]["pages"] and len(found["damage"]["pages"]) == 2
    assert not found["damage"]["doubtful"] and verdict(found)["thaw"] == ""
