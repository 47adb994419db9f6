# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the application's own SQLite knows is no damage: it is newer than the host's, or has functions and collations of its program."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from unit.plugins.databases import database, made, open_elsewhere, order, restored
from unit.plugins.module_utils.sqlite_small import filled, look

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_candidate,
    _gpg,
    _sqlite_check,
    _sqlite_damage,
    _sqlite_look,
)

# No SQLite knows such a number; 3.46 was the first that knew 1_000.
FUTURE = "1__000"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase is made slow to guess on purpose; here that would only cost time."""
    monkeypatch.setattr(_gpg, "_LOCKED", [*_gpg._LOCKED[:-1], "65536"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path)


@contextmanager
def application(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.create_collation("UNICODE_NOCASE", lambda one, other: (one > other) - (one < other))
        database.create_function("is_address", 1, lambda _text: 1, deterministic=True)
        yield database


def from_the_future(path: Path, table: str) -> None:
    with application(path) as shop:
        shop.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, amount INTEGER CHECK (amount < 31415))")
        shop.execute("PRAGMA writable_schema=ON")
        shop.execute("UPDATE sqlite_master SET sql = replace(sql, '31415', ?)", (FUTURE,))


@pytest.mark.parametrize(
    ("schema", "word"),
    [
        (
            "CREATE TABLE labels (name TEXT COLLATE UNICODE_NOCASE UNIQUE)",
            "no such collation sequence: UNICODE_NOCASE (labels)",
        ),
        ("CREATE TABLE labels (name TEXT CHECK (is_address(name)))", "unknown function: is_address() (labels)"),
        (
            "CREATE TABLE labels (name TEXT); CREATE INDEX i ON labels (is_address(name))",
            "unknown function: is_address() (labels)",
        ),
        (
            "CREATE TABLE labels (name TEXT COLLATE UNICODE_NOCASE UNIQUE); CREATE TABLE l (name TEXT REFERENCES labels (name))",
            "no such collation sequence: UNICODE_NOCASE (labels, l)",
        ),
    ],
)
def test_functions_and_collations_of_the_application_leave_only_their_tables_unchecked(
    path: Path, schema: str, word: str
) -> None:
    with application(path) as shop:
        shop.executescript(schema)
        shop.execute("INSERT INTO labels VALUES ('one')")
    for frozen in (True, False):
        found = look(path, frozen=frozen)
        assert found["state"] == "suspect" and set(found["looks"]) == {"suspect"} and not found["certain"]
        assert word in found["problem"] and f"SQLite {sqlite3.sqlite_version} of this host does not know" in found["problem"]
        assert found["tables"] == {"users": 300, "escrows": 300, "labels": 1, **({"l": 0} if " l " in schema else {})}
    with application(path) as shop:
        shop.execute("PRAGMA ignore_check_constraints=ON")
        shop.execute("UPDATE users SET role = 'bu1er' WHERE id = 3")
        shop.execute("INSERT INTO escrows VALUES (999, 999, 1, '')")
    found = look(path)
    assert found["state"] == "foreign_key_damage" and found["certain"]
    assert "CHECK constraint failed in users" in " ".join(found["sentences"]) and word in " ".join(found["sentences"])


def test_what_the_walk_finds_is_damage_whatever_sqlite_knows(path: Path) -> None:
    from_the_future(path, "future")
    whole = look(path)
    assert whole["state"] == "suspect" and "Its pages are whole" in whole["problem"]
    raw = bytearray(path.read_bytes())
    raw[1024 * 9 : 1024 * 10] = bytes(1024)
    path.write_bytes(raw)
    found = look(path)
    assert found["state"] == "page_damage" and found["certain"] and "are whole" not in " ".join(found["sentences"])
    assert _database_candidate.look(str(path), "", [], 60.0)["state"] == "page_damage"


def test_a_schema_that_this_sqlite_cannot_read_is_unknown_and_no_damage(path: Path) -> None:
    from_the_future(path, "future")
    for check in ("full", "quick"):
        found = look(path, check=check, invariants=())
        assert found["state"] == "suspect" and set(found["looks"]).isdisjoint(_sqlite_look.DAMAGE)
        assert "cannot read the schema, and checked nothing" in found["problem"] and "(future)" in found["problem"]
    found = look(path, walk_seconds=0.0)
    assert found["state"] == "unfinished" and "walk_timeout" in " ".join(found["sentences"])


def test_a_schema_with_what_no_text_has_is_damage(path: Path) -> None:
    with application(path) as shop:
        shop.execute("PRAGMA writable_schema=ON")
        shop.execute("UPDATE sqlite_master SET sql = replace(sql, 'amount INTEGER', 'am' || char(1) || 'unt INTEGER')")
    assert look(path)["state"] == "page_damage"


def test_a_long_text_is_read_by_the_checks_and_not_by_questions(path: Path) -> None:
    with application(path) as shop:
        shop.execute("CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT CHECK (length(text) < 9000000))")
        shop.execute("INSERT INTO texts VALUES (1, ?)", ("x" * 5_000_000,))
    found = look(path, queries=({"name": "all", "sql": "SELECT text || 'x' FROM texts"},))
    assert (found["state"], found["certain"], found["sentences"]) == ("ok", True, [])
    assert hasattr(sqlite3.Connection, "setlimit") is (found["queries"]["all"]["problem"] is not None)


def test_a_check_of_each_table_that_does_not_end_is_unfinished(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with application(path) as shop:
        shop.execute("CREATE TABLE labels (name TEXT COLLATE UNICODE_NOCASE UNIQUE)")
    monkeypatch.setattr(_sqlite_check._sqlite_query, "STEPS", 1)
    found = look(path, check_seconds=0.0)
    assert found["state"] == "unfinished" and _sqlite_damage.UNFINISHED in found["sentences"]


@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("newer", [True, False])
def test_a_backup_of_it_is_made_and_says_what_was_not_checked(tmp_path: Path, used: bool, newer: bool) -> None:
    live = database(tmp_path / "data/marketplace.db")
    if newer:
        from_the_future(live, "labels")
    else:
        with application(live) as shop:
            shop.execute("CREATE TABLE labels (name TEXT COLLATE UNICODE_NOCASE UNIQUE)")
    if used:
        with open_elsewhere(live):
            found = made(order(tmp_path))
    else:
        found = made(order(tmp_path))
    assert found["manifest"]["image"]["state"] == "suspect" and found["manifest"]["image"]["made"] == (
        "online" if used else "copied"
    )
    (note,) = found["notes"]
    assert f"SQLite {sqlite3.sqlite_version} of this host" in note and "(labels)" in note
    with closing(restored(found["path"], tmp_path / "out.db")) as image:
        image.execute("PRAGMA writable_schema=ON")
        assert image.execute("SELECT count(*) FROM orders").fetchone() == (50,)
