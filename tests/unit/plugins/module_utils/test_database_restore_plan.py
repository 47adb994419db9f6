# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore is allowed by the word of its own plan, and the shop is opened with mismatches by a word that counts them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_restore_plan import plan, reopening, span
from ansible_collections.monero_marketplace.incident.plugins.module_utils._escrow_reconcile import not_compared

NAME = "marketplace-db-20261128T010000Z"
WORD = f"restore:{NAME}-9f3c21"
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


def test_the_word_is_that_of_the_backup_and_of_what_is_in_it() -> None:
    assert plan(PLANNED)["confirm"] == WORD
    assert plan(PLANNED)["given"] is False
    assert plan(PLANNED, confirm=f"x, {WORD}")["given"] is True
    for other in (f"restore:{NAME}", "restore:marketplace-db-20261128T000000Z-9f3c21"):
        assert plan(PLANNED, confirm=other)["given"] is False
    assert plan(made(hash="0f3c21aa"), confirm=WORD)["given"] is False, "another file of that name"


def test_one_with_wrong_values_has_a_word_of_its_own() -> None:
    found = plan(made(image={**IMAGE, "state": "foreign_key_damage"}, good=False), confirm=WORD)
    assert found["confirm"].startswith("restore_with_wrong_values:") and not found["given"] and "cannot be true" in found["why"]


def test_a_loss_that_nobody_knows_is_asked_for_like_a_mismatch() -> None:
    agreed = {"count": 0, "rows": 40, "kinds": {}, "mismatches": []}
    found = reopening(agreed, "9f3c21aa", loss_problem="1 MiB are free")
    assert (
        re.fullmatch(r"reopen:1-mismatches-[0-9a-f]{6}", found["confirm"])
        and not found["given"]
        and "loss_unknown" in found["why"]
    )
    word = found["confirm"]
    assert reopening(agreed, "9f3c21aa", word, loss_problem="2 MiB are free")["given"], "whatever is free in the next run"
    assert reopening(agreed, "9f3c21aa")["given"] and agreed["mismatches"] == []
    assert reopening({**agreed, "count": 1, "mismatches": [mismatch()]}, "9f3c21aa", word, loss_problem="x")["given"] is False


def test_without_room_for_the_list_of_what_is_lost_it_says_so_before() -> None:
    assert "no room" in " ".join(plan(made(compare_problem="there is no room"))["risks"])


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


def mismatch(kind: str = "paid_but_open", name: str | None = "E-1", wallet: str = "escrow_1", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "id": name, "wallet": wallet, "txid": None, "sentence": f"{name} is paid", **more}


def asked(*found: dict[str, Any], restore: str = "9f3c21aa") -> str:
    kinds = {one["kind"]: 1 for one in found}
    return reopening({"count": len(found), "rows": 40, "kinds": kinds, "mismatches": list(found)}, restore)["confirm"]


def test_the_word_that_opens_the_shop_is_asked_for_with_the_most_dangerous_first() -> None:
    told = {
        "count": 2, "rows": 40, "kinds": {"paid_but_open": 1, "state_unknown": 1}, "mismatches": [mismatch(), mismatch("state_unknown", "b")],
    }  # fmt: skip
    found = reopening(told, "9f3c21aa")
    assert re.fullmatch(r"reopen:2-mismatches-[0-9a-f]{6}", found["confirm"])
    assert found["given"] is False
    assert found["why"] == "1 paid_but_open, 1 state_unknown: E-1 is paid; b is paid"
    assert reopening(told, "9f3c21aa", f"x, {found['confirm']}")["given"] is True
    assert reopening(told, "9f3c21aa", "reopen:2-mismatches-9f3c21")["given"] is False


@pytest.mark.parametrize(
    "other",
    [
        mismatch("state_unknown"),
        mismatch(name="E-2"),
        mismatch(wallet="escrow_2"),
        mismatch(txid="cd" * 32),
    ],
)
def test_a_word_for_other_mismatches_does_not_count(other: dict[str, Any]) -> None:
    assert asked(mismatch()) != asked(other)


def test_the_word_stays_while_the_mismatches_do() -> None:
    one, two = mismatch(sentence="at height 7"), mismatch("state_unknown", "E-2")
    assert asked(one, two) == asked(two, mismatch(sentence="at height 8"))
    assert asked(one) != asked(one, restore="000000aa")


def test_where_nothing_was_compared_the_word_says_so() -> None:
    found = reopening(not_compared("the database cannot be asked"), "9f3c21aa")
    assert re.fullmatch(r"reopen:not-compared-[0-9a-f]{6}", found["confirm"])
    assert (found["why"], found["compared"]) == ("the database cannot be asked", False)
    assert found["confirm"] != reopening(not_compared("no query"), "9f3c21aa")["confirm"]


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
