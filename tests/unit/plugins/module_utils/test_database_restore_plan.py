# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore is allowed by the word of its own plan, and the shop is opened with mismatches by a word that counts them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_restore_plan import plan, reopening, span

NAME = "marketplace-db-20261128T010000Z"
IMAGE = {"tables": {"orders": 90, "escrows": 7, "users": 5}, "schema_version": 31}
PLANNED = {
    "plan": {
        "hash": "9f3c21aa", "name": NAME, "archive": f"/backups/database/{NAME}.db.gz.gpg", "created": "2026-11-28T01:00:00Z",
        "age_seconds": 5460, "good": True, "image": IMAGE, "manifest": None,
        "rejected": [{"path": "/backups/database/newer.db.gz.gpg", "problem": "47 pages are damaged."}],
    }
}  # fmt: skip


def made(**changed: Any) -> dict[str, Any]:
    return {"plan": {**PLANNED["plan"], **changed}}


def test_the_word_is_that_of_the_backup() -> None:
    assert plan(PLANNED)["confirm"] == f"restore:{NAME}"
    assert plan(PLANNED)["given"] is False
    assert plan(PLANNED, confirm=f"x, restore:{NAME}")["given"] is True
    assert plan(PLANNED, confirm="restore:marketplace-db-20261128T000000Z")["given"] is False


def test_an_old_backup_breaches_its_target_and_says_so() -> None:
    found = plan(PLANNED, rpo_seconds=3600)
    assert found["rpo_breached"]
    assert any("BREACHED" in risk and "91 min" in risk for risk in found["risks"])
    assert not plan(made(age_seconds=3000), rpo_seconds=3600)["rpo_breached"]


def test_what_is_expected_to_be_lost_names_escrows_first_and_what_is_unknown() -> None:
    found = plan(PLANNED, {"tables": {"orders": 502, "escrows": 10, "users": None}}, priority_tables=["escrows"])
    assert found["expected"] == ["escrows: 3 rows fewer than now", "orders: 412 rows fewer than now", "users: unknown"]


def test_backups_that_were_passed_over_another_schema_and_one_that_nobody_can_prove_are_told() -> None:
    risks = " ".join(plan(made(good=None), {"schema_version": 32})["risks"])
    assert "newer.db.gz.gpg was passed over: 47 pages are damaged" in risks
    assert "schema version 31" in risks
    assert "nobody here can prove" in risks


def test_without_a_good_backup_it_says_why() -> None:
    found = plan({"msg": "No backup is good.", "kind": "no_good_backup", "rejected": [{"path": "a", "problem": "b"}]})
    assert (found["ready"], found["given"], found["why"]) == (False, False, "No backup is good")


@pytest.mark.parametrize("confirm", ["", "reopen:1-mismatches-9f3c21", "reopen:2-mismatches-000000"])
def test_the_word_that_opens_the_shop_counts_the_mismatches_and_names_the_restore(confirm: str) -> None:
    told = {"count": 2, "rows": 40, "mismatches": [{"sentence": "a is paid"}, {"sentence": "b has no row"}]}
    found = reopening(told, "9f3c21aa", confirm)
    assert found["confirm"] == "reopen:2-mismatches-9f3c21"
    assert found["given"] is False
    assert found["why"] == "a is paid; b has no row"
    assert reopening(told, "9f3c21aa", "reopen:2-mismatches-9f3c21")["given"] is True


def test_without_a_mismatch_nobody_is_asked() -> None:
    found = reopening({"count": 0, "rows": 40, "mismatches": []}, "9f3c21aa")
    assert (found["given"], found["confirm"]) == (True, "")


def test_spans() -> None:
    assert [span(value) for value in (38, 5460, 7 * 3600, 5 * 86400, None)] == [
        "38 s",
        "91 min",
        "7 h",
        "5 days",
        "of unknown length",
    ]
