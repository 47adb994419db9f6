# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that cannot be true in a file that is whole: such a backup is better than none, and never chosen before a sound one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from unit.plugins.database_restores import backup, changing, do, make, shop, wanted

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_candidate,
    _database_restore_plan,
    _sqlite_check,
)


def wrong(path: Path) -> Path:
    """A whole file with a row that refers to none, as an application leaves it that never asks for foreign keys."""
    with changing(path) as database:
        database.execute("DELETE FROM users WHERE id=3")
    return path


def test_a_backup_with_wrong_values_is_taken_where_no_other_is_and_one_without_them_comes_first(tmp_path: Path) -> None:
    shop(tmp_path)
    backup(tmp_path / "backups", wrong(make(tmp_path / "newest.db")), 2)
    plan = do(wanted(tmp_path))["plan"]
    assert (plan["name"], plan["good"], plan["image"]["state"]) == ("marketplace-db-20261123T010000Z", True, "ok")
    assert [one["kind"] for one in plan["rejected"]] == ["foreign_key_damage"]
    for hour in (0, 1):
        os.unlink(tmp_path / f"backups/marketplace-db-20261123T0{hour}0000Z.db.gz.gpg")
    plan = do(wanted(tmp_path))["plan"]
    assert (plan["name"], plan["good"]) == ("marketplace-db-20261123T020000Z", False)
    assert plan["image"]["state"] == "foreign_key_damage" and plan["rejected"] == []
    kept = do(wanted(tmp_path, "preserved"))["kept_database"]
    do(wanted(tmp_path, "restored", plan=plan["hash"], kept_database=kept))
    assert do(wanted(tmp_path, "resumed"), dry=True)["restored"]["state"] == "foreign_key_damage"


def test_one_that_is_named_is_taken_with_wrong_values_too(tmp_path: Path) -> None:
    shop(tmp_path)
    named = backup(tmp_path / "backups", wrong(make(tmp_path / "newest.db")), 2)
    assert do(wanted(tmp_path, archive=str(named)))["plan"]["image"]["state"] == "foreign_key_damage"


def test_one_that_a_newer_invariant_cannot_be_asked_of_comes_behind_one_that_answers_and_before_none(tmp_path: Path) -> None:
    """A migration added the column, and the invariant with it: archives of before know neither."""
    shop(tmp_path)
    newer = make(tmp_path / "newer.db")
    with changing(newer) as database:
        database.execute("ALTER TABLE escrows ADD COLUMN refunded INTEGER")
    os.unlink(tmp_path / "backups/marketplace-db-20261123T000000Z.db.gz.gpg")
    answers = backup(tmp_path / "backups", newer, 0)
    asked = {"invariants": ({"name": "refunds", "query": "SELECT id FROM escrows WHERE refunded > amount"},)}
    plan = do(wanted(tmp_path, **asked))["plan"]
    assert (plan["archive"], plan["good"]) == (str(answers), True)
    assert [one["kind"] for one in plan["rejected"]] == ["suspect"] and "no such column" in plan["rejected"][0]["problem"]
    os.unlink(answers)
    plan = do(wanted(tmp_path, **asked))["plan"]
    assert (plan["name"], plan["good"], plan["image"]["state"]) == ("marketplace-db-20261123T010000Z", False, "suspect")
    said = _database_restore_plan.plan({"plan": plan})
    assert (
        said["confirm"].startswith("restore_with_wrong_values:") and "refunds could not be asked: no such column" in said["why"]
    )
    assert do(wanted(tmp_path, archive=plan["archive"], **asked))["plan"]["image"]["state"] == "suspect"
    image = do(wanted(tmp_path, invariants=({"name": "unsafe", "query": "DELETE FROM users"},)))["plan"]["image"]
    assert image["state"] == "suspect" and image["tables"]["users"] == 100
    plan = do(wanted(tmp_path, **asked))["plan"]
    kept = do(wanted(tmp_path, "preserved"))["kept_database"]
    do(wanted(tmp_path, "restored", plan=plan["hash"], kept_database=kept, **asked))


def test_what_was_not_read_to_its_end_is_not_whole_whatever_its_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _sqlite_check.ask(
        str(wrong(make(tmp_path / "x.db"))), True, invariants=[], queries=[], rows=1, check_seconds=60, query_seconds=60
    )
    monkeypatch.setattr(_sqlite_check, "ask", lambda *_given, **_named: replace(asked, ended=False))
    assert _database_candidate.look(str(tmp_path / "x.db"), "", [], 60.0)["state"] == "unfinished"
