# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQL as text is made a database by the library alone; whatever in it reaches outside is refused, and never run."""

from __future__ import annotations

import gzip
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from unit.plugins.archives import encrypt
from unit.plugins.database_restores import do, make, refused, restored, rows, shop, wanted

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_dump
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_dump import BadDump
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_unpack import Bounds

GOOD = "BEGIN TRANSACTION;\nCREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT);\nINSERT INTO users VALUES(1,'a;\n.shell b');\nCOMMIT;\n"
ENDLESS = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c) SELECT x FROM c"


def dumped(folder: Path, text: str) -> Path:
    return encrypt(folder / "marketplace-20261123-0300.sql.gz.gpg", gzip.compress(text.encode()))


def by_command(path: Path) -> str:
    """As the handbook's script makes it."""
    return subprocess.run(["sqlite3", str(path), ".dump"], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("writer", ["command", "library"])
def test_a_dump_becomes_a_database(tmp_path: Path, writer: str) -> None:
    database = shop(tmp_path)
    source = make(tmp_path / "source.db", 70)
    with closing(sqlite3.connect(source)) as opened:
        opened.execute("INSERT INTO notes VALUES('it''s; two\nlines -- and ''more'')')")
        opened.execute(
            "CREATE TRIGGER kept AFTER INSERT ON notes BEGIN UPDATE users SET name='x' WHERE id=-1; DELETE FROM users WHERE id=-2; END"
        )
        opened.commit()
        text = by_command(source) if writer == "command" else "\n".join(opened.iterdump())
        before = list(opened.iterdump())
    archive = dumped(tmp_path / "backups", text)
    plan = do(wanted(tmp_path))["plan"]
    assert (plan["archive"], plan["name"], plan["good"]) == (str(archive), "marketplace-20261123-0300", True)
    restored(tmp_path)
    with closing(sqlite3.connect(database)) as opened:
        assert list(opened.iterdump()) == before
    assert rows(database) == [(70,)]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("unsafe", f"{GOOD}.shell touch {{mark}}\n"),
        ("unsafe", f".system touch {{mark}}\n{GOOD}"),
        ("unsafe", f"-- a comment\n  .read /etc/passwd\n{GOOD}"),
        ("unsafe", "BEGIN;\nATTACH DATABASE '{mark}' AS other;\nCREATE TABLE other.t(a);\nCOMMIT;\n"),
        ("unsafe", "BEGIN;\nCREATE TABLE t(a); ATTACH '{mark}' AS other; CREATE TABLE other.t(a);\nCOMMIT;\n"),
        ("unsafe", "BEGIN;\nCREATE TABLE t(a);\nINSERT INTO t SELECT load_extension('{mark}');\nCOMMIT;\n"),
        ("damaged", "BEGIN;\nCREATE TABLE t(a);\nINSERT INTO t SELECT writefile('{mark}', 'x');\nCOMMIT;\n"),
        ("unsafe", "PRAGMA writable_schema=ON;\nBEGIN;\nINSERT INTO sqlite_master VALUES(1,2,3,4,5);\nCOMMIT;\n"),
        ("unsafe", "BEGIN;\nCREATE VIRTUAL TABLE t USING fts5(a);\nCOMMIT;\n"),
        ("unsafe", "BEGIN;\nVACUUM INTO '{mark}';\nCOMMIT;\n"),
        ("damaged", GOOD.replace("COMMIT;\n", "")),
        ("damaged", GOOD.replace("COMMIT;\n", "INSERT INTO users VAL")),
        ("damaged", GOOD.replace("COMMIT", "ROLLBACK")),
        ("damaged", GOOD + "INSERT INTO users VALUES(2, 'b');\n"),
        ("damaged", GOOD.replace("INTO users", "INTO nobody")),
        ("too_big", "BEGIN;\nCREATE TABLE t(a);\nINSERT INTO t SELECT randomblob(100000) FROM ({endless});\nCOMMIT;\n"),
    ],
)  # fmt: skip
def test_what_no_backup_does_is_refused_and_never_run(tmp_path: Path, kind: str, text: str) -> None:
    shop(tmp_path)
    mark = tmp_path / "mark"
    archive = dumped(tmp_path, text.replace("{mark}", str(mark)).replace("{endless}", ENDLESS))
    said = refused(tmp_path, wanted(tmp_path, archive=str(archive), bounds=Bounds(5_000_000, 20.0)), kind)
    assert said.startswith("No backup can be restored from: ") and not mark.exists()


def test_what_never_ends_is_ended(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_text(f"BEGIN;\nCREATE TABLE t(a);\nINSERT INTO t SELECT count(*) FROM ({ENDLESS});\nCOMMIT;\n")  # noqa: S608
    with pytest.raises(BadDump) as problem:
        _database_dump.play(str(dump), str(tmp_path / "new.db"), 10_000_000, 0.5)
    assert problem.value.kind == "too_slow"


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_bytes(b"BEGIN;\nCREATE TABLE t(a);\nINSERT INTO t VALUES('\xff');\nCOMMIT;\n")
    with pytest.raises(BadDump):
        _database_dump.play(str(dump), str(tmp_path / "new.db"), 10_000_000, 5)
