# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests of a database's restore: a shop's database, archives of it made by gpg and gzip, and what is asked for."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.archives import PASSPHRASE, encrypt

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_restore
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_plan import Question
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_restore import Wanted
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_unpack import Bounds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored

SITE = "market-1"
SCHEMA = """
PRAGMA user_version=31;
CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE escrows(id TEXT PRIMARY KEY, state TEXT NOT NULL, amount INTEGER NOT NULL, buyer INTEGER REFERENCES users(id)) WITHOUT ROWID;
CREATE TABLE notes(text TEXT);
CREATE INDEX escrows_state ON escrows(state);
"""
INVARIANTS = ({"name": "amounts", "query": "SELECT id FROM escrows WHERE amount < 0"},)
STAMP = "20261123T{hour:02d}0000Z"


@contextmanager
def changing(path: Path) -> Iterator[sqlite3.Connection]:
    """Committed where nothing failed, and closed in any case."""
    database = sqlite3.connect(path)
    with closing(database), database:
        yield database


def make(path: Path, rows: int = 100) -> Path:
    """A sound database of one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with changing(path) as database:
        database.executescript(SCHEMA)
        database.executemany("INSERT INTO users VALUES(?, ?)", [(number, f"user {number}") for number in range(1, rows + 1)])
        database.executemany(
            "INSERT INTO escrows VALUES(?, 'funded', ?, ?)",
            [(f"E-{number:05d}", number * 1000, number) for number in range(1, rows + 1)],
        )
        database.executemany("INSERT INTO notes VALUES(?)", [(f"note {number}",) for number in range(1, rows + 1)])
    return path


def with_wal(path: Path, statements: str) -> None:
    """More commits that lie in a -wal, as after a kill: nobody has it open, and nothing was checkpointed."""
    aside = path.parent / "aside"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.executescript(statements)
        aside.mkdir()
        for suffix in ("", "-wal", "-shm"):
            shutil.copy(f"{path}{suffix}", aside / f"{path.name}{suffix}")
    for name in os.listdir(aside):
        os.rename(aside / name, path.parent / name)
    aside.rmdir()


def damage(path: Path, pages: range = range(2, 5)) -> None:
    with open(path, "r+b") as file:
        for page in pages:
            file.seek((page - 1) * 4096)
            file.write(b"\xa5" * 4096)


def backup(folder: Path, image: Path, hour: int, passphrase: str = PASSPHRASE, manifest: bool = True, **said: Any) -> Path:
    """An archive of an image as backup_create makes it, or with manifest=False as somebody else would."""
    folder.mkdir(exist_ok=True)
    stamp = STAMP.format(hour=hour)
    archive = folder / f"marketplace-db-{stamp}.db.gz.gpg"
    encrypt(archive, gzip.compress(image.read_bytes(), 1), passphrase)
    if manifest:
        note = {
            "format": 1,
            "kind": "database",
            "site": SITE,
            "created": f"2026-11-23T{hour:02d}:00:00Z",
            "image": {
                "bytes": image.stat().st_size,
                "sha256": hashlib.sha256(image.read_bytes()).hexdigest(),
                "last_commit": f"2026-11-23T{hour - 1:02d}:59:00Z",
            },
            **said,
        }
        Path(f"{archive}.manifest.json").write_text(json.dumps(note))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        Path(f"{archive}.sha256").write_text(f"{digest}  {archive.name}\n")
    return archive


def shop(folder: Path) -> Path:
    """A damaged database with a -wal, and two good backups of before."""
    database = make(folder / "data/marketplace.db")
    backup(folder / "backups", database, 1)
    make(folder / "older.db", 90)
    backup(folder / "backups", folder / "older.db", 0)
    with_wal(database, "INSERT INTO users VALUES(1000, 'after the backup');")
    damage(database)
    return database


def wanted(folder: Path, state: str = "planned", **changes: Any) -> Wanted:
    asked = {name: changes.pop(name) for name in list(changes) if name in Question.__dataclass_fields__}
    question = Question(
        path=str(folder / "data/marketplace.db"),
        directory=str(folder / "backups"),
        key=Key(PASSPHRASE),
        site=SITE,
        invariants=INVARIANTS,
        bounds=Bounds(seconds=60.0),
    )
    base = Wanted(state, replace(question, **asked), state_dir=str(folder / "state"), run_dir=str(folder / "run"))
    return replace(base, **changes)


def do(one: Wanted, dry: bool = False) -> dict[str, Any]:
    return _database_restore.restore(one, dry, lambda _line: None)


def restored(folder: Path, **changes: Any) -> dict[str, Any]:
    """All of a restore, as the role does it."""
    kept = do(wanted(folder, "preserved"))["kept_database"]
    plan = do(wanted(folder, **changes))["plan"]["hash"]
    return do(wanted(folder, "restored", plan=plan, kept_database=kept))


def refused(folder: Path, one: Wanted, kind: str) -> str:
    """Refused alike in check mode, in one sentence, and no byte of the database's folder changes."""
    before = everything(folder / "data")
    said = ""
    for dry in (True, False):
        with pytest.raises(NotRestored) as problem:
            do(one, dry)
        assert problem.value.kind == kind, (problem.value.kind, problem.value)
        said = str(problem.value)
        assert "\n" not in said and PASSPHRASE not in said
    assert everything(folder / "data") == before
    return said


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def digest(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def rows(path: str | Path, sql: str = "SELECT count(*) FROM users") -> Any:
    """Read by SQLite's own library, of a copy."""
    copy = Path(f"{path}.read-{time.monotonic_ns()}")
    for suffix in ("", "-wal"):
        if os.path.exists(f"{path}{suffix}"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    try:
        with closing(sqlite3.connect(copy)) as database:
            return database.execute(sql).fetchall()
    finally:
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(f"{copy}{suffix}"):
                os.unlink(f"{copy}{suffix}")


def holding(path: Path) -> subprocess.Popen[str]:
    """A process that has the database open, as the server would, with a commit that only its -wal holds."""
    code = (
        "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('PRAGMA journal_mode=WAL');"
        "d.execute(\"INSERT INTO users VALUES(2000, 'held')\"); d.commit(); print('ready', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    return child
