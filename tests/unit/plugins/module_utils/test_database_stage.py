# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a run begins that finds what an earlier restore has left."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_stage

FROZEN = [{"name": "payouts"}, {"name": "database", "since": "unknown"}]


def stage(noted: str, frozen: bool = True, resumed: bool = False, backup: str = "ok", **seen: Any) -> str:
    earlier = {
        "resumed": resumed,
        "unsettled": {"stage": noted, "by_restore": noted != "damaged"} if noted else None,
        "restored": {"plan": "9f3c21aa", "state": backup},
    }
    return _database_stage.stage(earlier, FROZEN if frozen else FROZEN[:1], **seen)


@pytest.mark.parametrize("state", ["ok", "locked", "suspect", "encrypted", "unfinished", "unreadable", ""])
def test_a_restored_database_is_compared_however_it_looks(state: str) -> None:
    assert stage("restored", state=state) == "restored"


def test_what_was_damaged_is_examined_and_never_nothing() -> None:
    assert stage("damaged") == stage("damaged", frozen=False) == stage("restored", frozen=False) == "examine"
    assert stage("restored", suspected=True) == stage("reopening", suspected=True) == "examine"
    assert stage("", frozen=False) == "nothing" and stage("") == stage("", frozen=False, examine=True) == "examine"
    assert _database_stage.stage({"resumed": False, "unsettled": None, "restored": None}) == "nothing"


def test_what_was_begun_is_ended_first() -> None:
    assert stage("damaged", resumed=True) == stage("reopening", resumed=True, suspected=True) == "begun"


def test_a_backup_with_wrong_values_that_was_restored_is_no_new_damage() -> None:
    wrong = "foreign_key_damage"
    assert stage("restored", state=wrong, suspected=True, backup=wrong) == "restored"
    assert stage("reopening", frozen=False, state=wrong, suspected=True, backup=wrong) == "reopening"
    assert stage("restored", state=wrong, suspected=True) == "examine"
    assert stage("restored", state="page_damage", suspected=True, backup="page_damage") == "examine"
    assert stage("damaged", state=wrong, suspected=True, backup=wrong) == "examine"


def test_an_opening_that_was_begun_goes_on() -> None:
    assert stage("reopening", frozen=False) == "reopening"
    assert stage("reopening") == "restored", "still frozen, so it is compared once more"
