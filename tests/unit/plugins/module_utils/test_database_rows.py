# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every table of a database is in the list of what is lost, whatever it is made of, or unknown by its name."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.database_restores import changing

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_compare


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def listed(path: str) -> set[tuple[str, Any, str]]:
    return {(one["table"], next(iter(one["key"].values())), one["change"]) for one in lines(path) if one["key"]}


def two_sides(folder: Path, schema: str, changes: str) -> dict[str, Any]:
    """What became of a database of that schema by these changes, as a restore of the first lists it."""
    for name, sql in {"restored": schema, "kept": schema + changes}.items():
        with changing(folder / f"{name}.db") as made:
            try:
                made.executescript(sql)
            except sqlite3.OperationalError as problem:
                assert "no such module" in str(problem)
                pytest.skip(f"this SQLite has {problem}")
    return compare_sides(folder)


def compare_sides(folder: Path) -> dict[str, Any]:
    (folder / "work").mkdir()
    sides = (str(folder / "kept.db"), str(folder / "restored.db"))
    found = _database_compare.compare(*sides, "", (), str(folder / "loss.jsonl"), str(folder / "work"), False)
    loss: dict[str, Any] = found["loss"]
    return loss


@pytest.mark.parametrize(
    ("module", "anothers"), [("fts4(body)", "config"), ("fts5(body)", "stat"), ("rtree(id, low, high)", "data")]
)
def test_a_virtual_table_and_those_that_are_only_named_like_its_own_are_listed(
    tmp_path: Path, module: str, anothers: str
) -> None:
    schema = f"""
    CREATE VIRTUAL TABLE messages USING {module}; CREATE TABLE messages_archive(id INTEGER PRIMARY KEY, body TEXT);
    CREATE TABLE messages_{anothers}(id INTEGER PRIMARY KEY, block TEXT);
    """
    place = "messages(rowid, body) VALUES(7, 'sent')" if "fts" in module else "messages VALUES(7, 1, 2)"
    changes = (
        f"INSERT INTO {place}; INSERT INTO messages_archive VALUES(1, 'old'); INSERT INTO messages_{anothers} VALUES(2, 'x');"
    )
    loss = two_sides(tmp_path, schema, changes)
    found = {("messages", 7, "new"), ("messages_archive", 1, "new"), (f"messages_{anothers}", 2, "new")}
    assert (
        listed(loss["file"]) == found and set(loss["tables"]) == {table for table, _key, _change in found} and loss["complete"]
    )


def test_a_table_that_a_full_text_index_reads_is_listed_whatever_its_name(tmp_path: Path) -> None:
    schema = "CREATE TABLE found_content(id INTEGER PRIMARY KEY, body); CREATE VIRTUAL TABLE found USING fts5(body, content='found_content');"
    loss = two_sides(tmp_path, schema, "INSERT INTO found_content VALUES(1, 'sent');")
    assert ("found_content", 1, "new") in listed(loss["file"])


@pytest.mark.parametrize(
    ("schema", "changes"),
    [
        ("CREATE VIRTUAL TABLE found USING fts5(body, content='');", "INSERT INTO found(rowid, body) VALUES(1, 'sent');"),
        (
            "CREATE TABLE found(x); PRAGMA writable_schema=ON;"
            "UPDATE sqlite_master SET rootpage=0, sql='CREATE VIRTUAL TABLE found USING ours(x)' WHERE name='found';",
            "SELECT 1;",
        ),
        (
            "CREATE VIEW shown AS SELECT 1 AS id, 'x' AS body; CREATE VIRTUAL TABLE found USING fts5(body, content='shown', content_rowid='id');",
            "SELECT 1;",
        ),
    ],
    ids=["keeps no texts", "a module that is not here", "of a view"],
)
def test_what_cannot_be_read_as_a_table_is_unknown(tmp_path: Path, schema: str, changes: str) -> None:
    loss = two_sides(tmp_path, "CREATE TABLE users(id INTEGER PRIMARY KEY);" + schema, changes)
    assert not loss["complete"] and loss["tables"]["found"]["more"] and not loss["tables"]["users"]["more"]


@pytest.mark.parametrize(
    ("made", "row", "key"),
    [
        ("rowid TEXT, x", "'a', 1", {"_rowid_": 1}),
        ("rowid TEXT, _ROWID_ TEXT, x", "'a', 'b', 1", {"oid": 1}),
        ("rowid TEXT, _rowid_ TEXT, oid TEXT, id INTEGER PRIMARY KEY", "'a', 'b', 'c', 1", {"id": 1}),
        ("rowid TEXT, _rowid_ TEXT, oid TEXT PRIMARY KEY NOT NULL", "'a', 'b', 'c'", {"oid": "c"}),
        ("rowid TEXT PRIMARY KEY, x) WITHOUT ROWID --", "'a', 1", {"rowid": "a"}),
    ],
)
def test_a_column_may_have_the_name_of_the_rows_number(tmp_path: Path, made: str, row: str, key: dict[str, Any]) -> None:
    loss = two_sides(tmp_path, f"CREATE TABLE named({made}\n);".replace(" --\n)", ""), f"INSERT INTO named VALUES({row});")
    assert [(one["key"], one["change"]) for one in lines(loss["file"])] == [(key, "new")] and loss["complete"]


def test_a_table_whose_rows_nothing_tells_apart_is_unknown(tmp_path: Path) -> None:
    loss = two_sides(tmp_path, "CREATE TABLE named(rowid, _rowid_, oid);", "INSERT INTO named VALUES(1, 2, 3);")
    assert not loss["complete"] and loss["tables"]["named"]["more"]


def test_a_table_that_had_no_numbers_yet_is_compared_by_its_key(tmp_path: Path) -> None:
    for name, end, rows in (("restored", "WITHOUT ROWID", "(1, 'a')"), ("kept", "", "(1, 'b'), (2, 'c')")):
        with changing(tmp_path / f"{name}.db") as made:
            made.executescript(f"CREATE TABLE users(id INTEGER PRIMARY KEY, x) {end}; INSERT INTO users VALUES {rows};")  # noqa: S608
    assert listed(compare_sides(tmp_path)["file"]) == {("users", 1, "changed"), ("users", 2, "new")}
