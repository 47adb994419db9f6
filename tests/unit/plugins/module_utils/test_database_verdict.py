# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only damage that two looks at a frozen database agree on is damage; what no restore would mend is never called so."""

from __future__ import annotations

import re

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_verdict import verdict

DAMAGED = {"stage": "damaged", "kept_database": "/data/marketplace.db.CORRUPTED-1", "lives_in": ""}
STRANGER = {"pid": 4121, "command": "sqlite3", "user": "deploy", "files": ["db"]}


def said(sqlite: dict, *strangers: dict) -> tuple[str, bool]:
    found = verdict(sqlite, strangers)
    return found["state"], found["stays"]


def test_a_sound_one_goes_on() -> None:
    assert said({"state": "ok", "certain": True, "sentences": []}) == ("sound", False)


@pytest.mark.parametrize(
    "state",
    ["missing", "empty", "not_a_database", "stale_wal", "wal_damage", "deleted_but_open", "page_damage", "btree_damage",
     "foreign_key_damage", "invariant_damage"],
)  # fmt: skip
def test_damage_counts_when_it_is_certain(state: str) -> None:
    assert said({"state": state, "certain": True, "sentences": ["47 pages"]}) == ("damaged", True)
    assert said({"state": state, "certain": False, "sentences": ["47 pages"]}) == ("unproven", True)


def test_only_wrong_values_in_a_whole_file_may_stay_and_only_those_that_were_seen() -> None:
    def word(state: str, **more: object) -> str:
        return verdict({"state": state, "certain": True, "sentences": ["3 rows"], **more})["thaw"]

    assert re.fullmatch("thaw:database-[0-9a-f]{6}", word("foreign_key_damage"))
    rows = [{"table": "orders", "rowid": 3, "parent": "users"}]
    assert (
        len({word("foreign_key_damage"), word("invariant_damage"), word("foreign_key_damage", damage={"foreign_keys": rows})})
        == 3
    )
    assert word("page_damage") == word("missing") == ""
    assert verdict({"state": "foreign_key_damage", "certain": False})["thaw"] == ""


@pytest.mark.parametrize("state", ["encrypted", "encrypted_wrong_key", "locked", "suspect", "unfinished", "changed"])
def test_what_a_restore_would_not_mend_is_let_go_on_and_named(state: str) -> None:
    assert said({"state": state, "certain": True, "sentences": []}) == ("unproven", False)
    assert verdict({"state": state})["why"]


def test_with_a_stranger_nothing_is_proven() -> None:
    assert said({"state": "page_damage", "certain": True}, STRANGER) == ("unproven", True)
    assert said({"state": "ok", "certain": True}, STRANGER) == ("unproven", False)
    assert "sqlite3 (pid 4121)" in verdict({"state": "ok"}, [STRANGER])["why"]


def test_what_looks_whole_because_its_newest_part_is_gone_is_damaged() -> None:
    looked = {"state": "ok", "certain": True, "path": "/data/marketplace.db"}
    found = verdict(looked, unsettled={**DAMAGED, "lives_in": "/data/marketplace.db.CORRUPTED-1"})
    assert (found["state"], found["stays"], found["sqlite"]["state"]) == ("damaged", True, "deleted_but_open")
    assert "of an older moment" in found["sentences"][0] and "/data/marketplace.db.CORRUPTED-1" in found["sentences"][0]
    assert verdict(looked, unsettled={**DAMAGED, "lives_in": ""})["state"] == "sound"


@pytest.mark.parametrize("state", ["ok", "locked", "suspect", "encrypted", "encrypted_wrong_key"])
def test_what_was_damaged_before_stays_until_it_is_compared_with_the_chain(state: str) -> None:
    found = verdict({"state": state, "certain": True}, unsettled=DAMAGED)
    assert found["stays"] and "not compared with the chain" in found["why"]
    assert found["state"] == ("sound" if state == "ok" else "unproven")
    assert verdict({"state": "ok"}, [STRANGER], unsettled=DAMAGED)["stays"]


@pytest.mark.parametrize(
    ("state", "looks", "why"),
    [
        ("disagree", ["page_damage", "ok"], "did not agree (Two copies differ)"),
        ("changed", ["page_damage", "page_damage"], "somebody still writes to it"),
        ("page_damage", ["page_damage", "unfinished"], "did not agree"),
        ("unreadable", [], "could not be examined (Two copies differ)"),
    ],
)
def test_damage_seen_once_keeps_the_writers_away(state: str, looks: list[str], why: str) -> None:
    for strangers in ([], [STRANGER]):
        found = verdict({"state": state, "certain": False, "looks": looks, "problem": "Two copies differ."}, strangers)
        assert (found["state"], found["stays"]) == ("unproven", True)
        assert why in found["why"] or strangers
