# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore has lost is listed exactly, in both directions; what cannot be read is unknown, and never nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.archives import PASSPHRASE
from unit.plugins.database_restores import backup, changing, do, everything, make, refused, restored, wanted, with_wal

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_compare
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key

CHANGES = """
INSERT INTO users VALUES(1000, 'new');
INSERT INTO escrows VALUES('E-99999', 'funded', 5, 1000);
UPDATE escrows SET state='released' WHERE id='E-00007';
DELETE FROM escrows WHERE id IN ('E-00003', 'E-00004');
UPDATE users SET name='Renamed' WHERE id=50;
DELETE FROM users WHERE id=99;
INSERT INTO notes VALUES('a note without a key');
DELETE FROM notes WHERE rowid=5;
UPDATE txids SET paid=1 WHERE txid='t0010';
DELETE FROM txids WHERE txid='t0011';
INSERT INTO txids VALUES('t9999', x'00ff', 1.5);
"""
EXPECTED = {
    ("escrows", "E-99999", "new"), ("escrows", "E-00007", "changed"), ("escrows", "E-00003", "deleted"), ("escrows", "E-00004", "deleted"),
    ("users", 1000, "new"), ("users", 50, "changed"), ("users", 99, "deleted"),
    ("notes", 101, "new"), ("notes", 5, "deleted"),
    ("txids", "t9999", "new"), ("txids", "t0010", "changed"), ("txids", "t0011", "deleted"),
}  # fmt: skip


def txids(path: Path, rows: int = 100) -> None:
    """A table with row numbers and with a key of its own."""
    with changing(path) as database:
        database.execute("CREATE TABLE txids(txid TEXT PRIMARY KEY, raw BLOB, paid REAL)")
        numbers = list(range(rows))
        random.Random(7).shuffle(numbers)
        database.executemany(
            "INSERT INTO txids VALUES(?, ?, 0)", [(f"t{number:04d}", bytes([number % 256])) for number in numbers]
        )


def lines(path: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def listed(path: str | Path) -> set[tuple[str, Any, str]]:
    return {(one["table"], next(iter(one["key"].values())), one["change"]) for one in lines(path) if one["key"]}


def shop(folder: Path, changes: str = CHANGES, rows: int = 100) -> Path:
    database = make(folder / "data/marketplace.db", rows)
    txids(database)
    backup(folder / "backups", database, 1)
    with_wal(database, changes)
    return database


def compared(folder: Path, **options: Any) -> dict[str, Any]:
    kept = restored(folder)["kept_database"]
    one = wanted(
        folder,
        "compared",
        kept_database=kept,
        loss_file=str(folder / "loss/loss.jsonl"),
        priority_tables=("escrows",),
        **options,
    )
    dry = do(one, dry=True)
    found = do(one)
    assert {**dry["loss"], "file": None, "sealed": None} == {**found["loss"], "file": None, "sealed": None}
    assert not do(one)["changed"], "the same list again"
    return found


def test_the_loss_is_listed_exactly(tmp_path: Path) -> None:
    shop(tmp_path)
    before = everything(tmp_path / "data")
    found = compared(tmp_path)
    loss = found["loss"]
    assert found["changed"] and listed(loss["file"]) == EXPECTED and len(lines(loss["file"])) == len(EXPECTED)
    assert loss["complete"] and loss["unknown_rows"] == 0
    assert {name: [one[change] for change in ("new", "changed", "deleted", "unknown")] for name, one in loss["tables"].items()} == {
        "escrows": [1, 1, 2, 0], "users": [1, 1, 1, 0], "notes": [1, 0, 1, 0], "txids": [1, 1, 1, 0],
    }  # fmt: skip
    assert lines(loss["file"])[0]["table"] == "escrows", "what matters first"
    assert {"table": "escrows", "key": {"id": "E-00007"}, "change": "changed", "before": "released", "after": "funded"} in loss[
        "escrow_changes"
    ]
    changed = next(one for one in lines(loss["file"]) if one["change"] == "new" and one["table"] == "txids")
    assert changed["before"] == {"txid": "t9999", "raw": {"hex": "00ff"}, "paid": 1.5} and changed["after"] is None
    assert stat.S_IMODE(os.stat(loss["file"]).st_mode) == 0o600
    assert loss["last_commit_restored"] == "2026-11-23T00:59:00Z" and loss["seconds_lost"] > 0
    assert set(before.values()) <= set(everything(tmp_path / "data").values())
    assert not (tmp_path / "data/.marketplace_compare").exists()


def leaves(path: Path, table: str) -> list[int]:
    """The leaf pages of a table, by SQLite's own account."""
    with closing(sqlite3.connect(path)) as database:
        try:
            found = database.execute(
                "SELECT pageno FROM dbstat WHERE name=? AND pagetype='leaf' ORDER BY path", (table,)
            ).fetchall()
        except sqlite3.OperationalError:
            pytest.skip("this SQLite has no dbstat")
    return [row[0] for row in found]


def spoil(path: Path, pages: list[int]) -> None:
    with open(path, "r+b") as file:
        for page in pages:
            file.seek((page - 1) * 4096)
            content = bytes(255 - one for one in file.read(4096))
            file.seek((page - 1) * 4096)
            file.write(content)


def rows_on(path: Path, table: str, key: str, pages: list[int]) -> set[Any]:
    """Which keys those pages hold, by the bytes in them."""
    with closing(sqlite3.connect(path)) as database:
        keys = [row[0] for row in database.execute(f"SELECT {key} FROM {table} NOT INDEXED ORDER BY {key}")]  # noqa: S608
    raw = path.read_bytes()
    return {one for one in keys if any(f"mark {one:06d}!".encode() in raw[(page - 1) * 4096 : page * 4096] for page in pages)}


@pytest.mark.parametrize("where", ["first", "middle", "last", "two"])
@pytest.mark.parametrize("table", ["numbered", "keyed", "both"])
def test_unreadable_rows_are_unknown_and_all_others_are_compared(tmp_path: Path, table: str, where: str) -> None:
    """Leaf pages of a table cannot be read: exactly their rows are unknown, and what was lost beside them is listed."""
    database = tmp_path / "data/marketplace.db"
    make(database, 10)
    kinds = {"numbered": "id INTEGER PRIMARY KEY, text TEXT", "keyed": "id INTEGER, text TEXT, PRIMARY KEY(id)) WITHOUT ROWID",
             "both": "text TEXT, id INT, PRIMARY KEY(id)"}  # fmt: skip
    with changing(database) as made:
        made.execute(f"CREATE TABLE marked({kinds[table]}{'' if table == 'keyed' else ')'}")
        made.executemany(
            "INSERT INTO marked(id, text) VALUES(?, ?)", [(n, f"mark {n:06d}!" + "x" * 80) for n in range(1, 2001)]
        )
    pages = leaves(database, "marked")
    backup(tmp_path / "backups", database, 1)
    chosen = {"first": pages[:1], "middle": pages[20:22], "last": pages[-1:], "two": [pages[5], pages[7]]}[where]
    gone = rows_on(database, "marked", "id", chosen)
    assert len(gone) > 5
    readable = sorted(set(range(1, 2001)) - gone)
    deleted, changed = readable[100], readable[200]
    with changing(database) as made:
        made.execute("DELETE FROM marked WHERE id=?", (deleted,))
        made.execute("UPDATE marked SET text='y' || substr(text, 2) WHERE id=?", (changed,))
        if where != "last":
            made.execute("INSERT INTO marked(id, text) VALUES(5000, 'late')")
    spoil(database, chosen)
    loss = compared(tmp_path)["loss"]
    found = {one for one in listed(loss["file"]) if one[0] == "marked"}
    expected = {("marked", key, "unknown") for key in gone} | {("marked", deleted, "deleted"), ("marked", changed, "changed")}
    if where != "last":
        expected.add(("marked", 5000, "new"))
    if table == "keyed":
        # The page above the leaves holds rows, too: those are read.
        assert expected - found <= {("marked", key, "unknown") for key in gone}
        assert {one for one in found if one[2] != "unknown"} == {one for one in expected if one[2] != "unknown"}
    else:
        assert found == expected
        assert loss["unknown_rows"] == len(gone)
    assert not loss["complete"] and loss["tables"]["marked"]["more"] is (where == "last" or table == "keyed")


def test_where_nothing_can_be_read_everything_is_unknown(tmp_path: Path) -> None:
    database = shop(tmp_path, "DELETE FROM notes;")
    os.unlink(f"{database}-wal")
    with open(database, "r+b") as file:
        file.seek(100)
        file.write(b"\xa5" * 3996)
    loss = compared(tmp_path)["loss"]
    assert not loss["complete"] and all(one["more"] for one in loss["tables"].values()) and len(loss["tables"]) == 4


def test_tables_and_columns_that_one_side_has_not(tmp_path: Path) -> None:
    changes = "CREATE TABLE later(id INTEGER PRIMARY KEY, x); INSERT INTO later VALUES(1, 2); ALTER TABLE users ADD COLUMN mail TEXT; DROP TABLE notes;"
    shop(tmp_path, changes)
    tables = compared(tmp_path)["loss"]["tables"]
    assert tables["later"]["new"] == 1 and tables["notes"]["deleted"] == 100
    assert (tables["users"]["new"], tables["users"]["changed"], tables["users"]["deleted"]) == (0, 0, 0)


def test_a_column_that_the_backup_has_not_is_in_the_list(tmp_path: Path) -> None:
    changes = """
    ALTER TABLE escrows ADD COLUMN refund_address TEXT; UPDATE escrows SET refund_address='4abc' WHERE id='E-00007';
    INSERT INTO escrows VALUES('E-99999', 'funded', 5, 50, '4def');
    ALTER TABLE users ADD COLUMN mail TEXT; UPDATE users SET mail='a@b' WHERE id=50; ALTER TABLE txids RENAME COLUMN paid TO paid_at;
    """
    shop(tmp_path, changes)
    loss = compared(tmp_path)["loss"]
    told = {(one["table"], str(next(iter(one["key"].values())))): one for one in lines(loss["file"])}
    assert told["escrows", "E-00007"]["before"]["refund_address"] == "4abc"
    assert told["escrows", "E-00007"]["after"]["refund_address"] is None
    assert told["escrows", "E-99999"]["before"]["refund_address"] == "4def"
    assert told["users", "50"]["change"] == "changed" and loss["tables"]["users"]["changed"] == 1
    assert [loss["tables"][name]["columns"] for name in ("escrows", "users", "notes", "txids")] == [
        ["refund_address"], ["mail"], [], ["paid_at"],
    ]  # fmt: skip
    assert told["txids", "t0010"]["before"] == {"txid": "t0010", "raw": {"hex": "0a"}, "paid": None, "paid_at": 0.0}


def test_what_was_lost_stays_listed_after_rows_were_settled_by_hand(tmp_path: Path) -> None:
    database = shop(tmp_path)
    first = compared(tmp_path)["loss"]
    with changing(database) as made:
        made.execute("INSERT INTO escrows VALUES('E-99999', 'funded', 5, 99)")
        made.execute("UPDATE escrows SET state='released' WHERE id='E-00007'")
    kept = next(str(one) for one in database.parent.glob("*.CORRUPTED-*") if one.suffix.partition("-")[2].isdigit())
    again = wanted(
        tmp_path, "compared", kept_database=kept, loss_file=str(tmp_path / "loss/loss.jsonl"), priority_tables=("escrows",)
    )
    found = do(again)
    assert (found["changed"], found["loss"]) == (False, first)
    assert listed(first["file"]) == EXPECTED

    Path(first["file"]).write_text("a list that somebody has put a hand to\n")
    found = do(again)
    assert found["loss"]["file"] == str(tmp_path / "loss/loss.2.jsonl")
    assert Path(first["file"]).read_text().startswith("a list"), "it was overwritten"


def opened(path: str) -> str:
    argv = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--decrypt", path]
    return subprocess.run(argv, input=PASSPHRASE.encode(), capture_output=True, check=True).stdout.decode()


def test_what_leaves_the_host_is_encrypted(tmp_path: Path) -> None:
    shop(tmp_path)
    kept = restored(tmp_path)["kept_database"]
    one = wanted(tmp_path, "compared", kept_database=kept, loss_file=str(tmp_path / "loss/loss.jsonl"))
    loss = do(one)["loss"]
    assert loss["sealed"] == loss["file"] + ".gpg"
    assert opened(loss["sealed"]) == Path(loss["file"]).read_text()
    assert stat.S_IMODE(os.stat(loss["sealed"]).st_mode) == 0o600
    os.remove(loss["sealed"])
    assert do(one)["changed"] and opened(loss["sealed"]) == Path(loss["file"]).read_text(), "of a run that was killed before it"


def test_rows_of_an_encrypted_database_lie_nowhere_in_clear(tmp_path: Path) -> None:
    engine = pytest.importorskip("sqlcipher3")
    sides = {"kept": ["E-1", "E-2", "a customer of note"], "restored": ["E-2", "E-1"]}
    for side, rows in sides.items():
        with closing(engine.connect(str(tmp_path / f"{side}.db"), isolation_level=None)) as made:
            made.execute("PRAGMA key = 'sesame'")
            made.execute("CREATE TABLE txids(txid TEXT PRIMARY KEY)")
            for row in rows:
                made.execute("INSERT INTO txids VALUES(?)", (row,))
    work, loss_file = tmp_path / "work", tmp_path / "loss.jsonl"
    work.mkdir()
    seen: list[bytes] = []
    tell_rest = _database_compare._Pair._tell_rest

    def watched(pair: Any, rest: Any) -> None:
        seen.append((work / "rest.db").read_bytes())
        tell_rest(pair, rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_database_compare._Pair, "_tell_rest", watched)
        sides_of = (str(tmp_path / "kept.db"), str(tmp_path / "restored.db"), "sesame", (), str(loss_file), str(work))
        dry = _database_compare.compare(*sides_of, True, Key(PASSPHRASE))["loss"]
        assert not loss_file.exists() and dry["tables"]["txids"]["new"] == 1
        loss = _database_compare.compare(*sides_of, False, Key(PASSPHRASE))["loss"]
    assert loss["file"] == loss["sealed"] == str(loss_file) + ".gpg"
    assert "a customer of note" in opened(loss["file"])
    left = everything(tmp_path)
    assert not [name for name, content in left.items() if b"a customer of note" in content]
    assert seen and not [one for one in seen if b"E-1" in one or b"customer" in one]


def test_rows_that_got_other_numbers_are_the_same_rows(tmp_path: Path) -> None:
    """As a restore from SQL as text gives them."""
    paths = [tmp_path / "a.db", tmp_path / "b.db"]
    for path, seed in zip(paths, (1, 2), strict=True):
        with changing(path) as made:
            made.execute("CREATE TABLE txids(txid TEXT PRIMARY KEY, paid INT)")
            numbers = list(range(500))
            random.Random(seed).shuffle(numbers)
            made.executemany("INSERT INTO txids VALUES(?, 0)", [(f"t{number}",) for number in numbers])
    with changing(paths[0]) as made:
        made.execute("UPDATE txids SET paid=1 WHERE txid='t7'")
    (tmp_path / "work").mkdir()
    found = _database_compare.compare(
        str(paths[0]), str(paths[1]), "", (), str(tmp_path / "loss.jsonl"), str(tmp_path / "work"), False
    )
    assert listed(tmp_path / "loss.jsonl") == {("txids", "t7", "changed")}
    assert found["loss"]["complete"]


def test_it_is_not_compared_before_it_is_restored(tmp_path: Path) -> None:
    shop(tmp_path)
    kept = do(wanted(tmp_path, "preserved"))["kept_database"]
    shutil.rmtree(tmp_path / "backups")
    loss = do(wanted(tmp_path, "compared", kept_database=kept))["loss"]
    assert loss["tables"]["users"]["new"] == 0 and loss["last_commit_restored"] is None and loss["file"] == f"{kept}.loss.jsonl"


def test_what_is_encrypted_is_not_called_nothing(tmp_path: Path) -> None:
    database = shop(tmp_path)
    kept = do(wanted(tmp_path, "preserved"))["kept_database"]
    for path in (database, Path(kept)):
        path.write_bytes(os.urandom(8192))
    refused(tmp_path, wanted(tmp_path, "compared", kept_database=kept), "encrypted")


def test_a_wal_of_another_database_is_left_out(tmp_path: Path) -> None:
    """A database was put over the old file by hand, and the old one's -wal stayed: together they would be neither."""
    shop(tmp_path, "CREATE TABLE later(id INTEGER PRIMARY KEY); DELETE FROM users WHERE id > 90;")
    kept = Path(do(wanted(tmp_path, "preserved"))["kept_database"])
    by_hand = make(tmp_path / "by-hand.db", 300)
    with closing(sqlite3.connect(by_hand)) as user:
        for number in range(50):
            user.execute("INSERT INTO notes VALUES(?)", (f"{number}",))
            user.commit()
    shutil.copy(by_hand, kept)
    loss = do(wanted(tmp_path, "compared", kept_database=str(kept)))["loss"]
    assert "changed" in loss["wal_left_out"] and loss["complete"] and "later" in loss["tables"]
    assert (loss["tables"]["users"]["new"], loss["tables"]["notes"]["new"]) == (210, 250)
