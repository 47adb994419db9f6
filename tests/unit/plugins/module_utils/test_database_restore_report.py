# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the last lines of data_corruption.yml say at each point at which it may stop."""

from __future__ import annotations

from typing import Any

from unit.plugins.module_utils.test_database_restore_plan import NAME, PLANNED, WORD

from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_restore_plan import plan, reopening
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_restore_report import report
from ansible_collections.monero_marketplace.incident.plugins.module_utils._escrow_reconcile import not_compared
from ansible_collections.monero_marketplace.incident.plugins.module_utils._outcome import judge
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import summary

RESULT: dict[str, Any] = {
    "did": [], "kept": [], "problems": [], "loss": {}, "keys": {}, "restored_at": None, "stored": [], "opened": False, "services": [],
}  # fmt: skip
SOUND = {"state": "sound", "stays": False, "sentences": [], "kept": [], "kept_database": "", "why": ""}
DAMAGED = {
    **SOUND, "state": "damaged", "stays": True, "sentences": ["47 malformed pages in orders (3,102-3,148)"],
    "kept": [{"path": "/data/marketplace.db.CORRUPTED-1", "sha256": "ab"}, {"path": "/data/marketplace.db.CORRUPTED-1-wal", "sha256": "cd"}],
}  # fmt: skip
LAST = {"plan": "9f3c21aa", "name": NAME, "at": "2026-11-28T02:31:45Z", "kept_database": "/data/marketplace.db.CORRUPTED-1"}
LOSS = {
    "tables": {
        "escrows": {"new": 3, "changed": 2, "deleted": 0, "unknown": 0},
        "orders": {"new": 412, "changed": 9, "deleted": 0, "unknown": 61},
        "users": {"new": 0, "changed": 0, "deleted": 0, "unknown": 0},
    },
    "unknown_rows": 61, "seconds_lost": 5460, "complete": False, "file": "/var/lib/marketplace_incident/losses/x.jsonl",
}  # fmt: skip
TWO = {"count": 2, "rows": 40, "notes": [], "mismatches": [{"sentence": "E-5519 is paid"}, {"sentence": "W-881 has no row"}]}
NONE = {"count": 0, "rows": 40, "notes": [], "mismatches": []}


def told(**changed: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "host": "market-1", "check": False, "stage": "nothing", "begun": "", "closed": False,
        "found": {"sqlite": {"state": "ok", "sentences": ["it is sound"]}},
        "diagnosis": {"causes": []}, "verdict": {}, "plan": {}, "last": {}, "result": RESULT, "reconciled": {}, "reopening": {},
        "given": [], "rpo_seconds": 3600, "rto_seconds": 1800, "desk": "desk-1:/desk",
        "frozen_since": "2026-11-24T10:00:00Z",
    }  # fmt: skip
    return report({**facts, **changed})


def ended(findings: dict[str, Any], check: bool = False, proven: bool = False) -> str:
    proof = {"verdict": "proven", "sentences": []} if proven else {}
    run = {
        "host": "market-1",
        "playbook": "data_corruption",
        "check": check,
        "acted": not check,
        "findings": findings,
        "proof": proof,
    }
    result = judge(run)
    return summary({**result, "record": {"incident": "INC-1", "severity": "P1"}}, width=400)


def test_a_sound_database_is_left_alone_and_wrong_values_are_named_as_unseen() -> None:
    found = told()
    assert found["settled"] and found["serving"] and not found["postmortem"]
    assert "data_corruption_examine=true" in " ".join(found["risk"])


def test_another_trouble_is_handed_over_to_its_playbook() -> None:
    found = told(diagnosis={"causes": [{"sentence": "pid 4121 holds a write lock", "consequence_of": None}]})
    assert not found["settled"]
    assert found["next"] == ["ansible-playbook playbooks/database.yml"]


def test_in_check_mode_the_plan_stops_at_the_first_word() -> None:
    found = told(check=True, stage="examine", plan=plan(PLANNED))
    assert any(f"confirm={WORD}" in step for step in found["plan"])
    assert found["confirm"] == [] and found["did"] == []
    assert "PLANNED" in ended(found, check=True)


def test_examined_and_sound_all_goes_on() -> None:
    found = told(stage="examine", verdict=SOUND)
    assert found["settled"] and found["confirm"] == [] and not found["payouts_frozen"]
    assert "RESTORED" in ended(found, proven=True)


def test_damaged_and_kept_it_asks_for_the_restore_and_names_whom_to_page() -> None:
    words = ended(told(stage="examine", verdict=DAMAGED, plan=plan(PLANNED)))
    assert "SHOP CLOSED · page Database Team, CTO" in words.splitlines()[0]
    assert f"confirm={WORD}" in words
    assert "post-mortem mandatory" in words
    assert "seen twice on the frozen copy" in words
    assert "marketplace.db.CORRUPTED-1" in words


def test_without_a_good_backup_a_person_decides() -> None:
    found = told(stage="examine", verdict=DAMAGED, plan=plan({"msg": "No backup is good."}))
    assert not found["settled"]
    assert "No backup is good" in found["escalate"][0]["sentence"]
    assert found["next"] == ["read docs/data_corruption.md"]


def test_what_could_not_be_settled_says_why_and_whether_it_stays_frozen() -> None:
    verdict = {**SOUND, "state": "unproven", "stays": True, "why": "sqlite3 (pid 4121) has it open"}
    found = told(stage="examine", verdict=verdict)
    assert "stays frozen" in found["escalate"][0]["sentence"]
    assert found["payouts_frozen"]


def test_restored_with_mismatches_the_shop_stays_closed_and_the_loss_is_told() -> None:
    result = {**RESULT, "did": ["put the database of x in the place of y"], "loss": LOSS, "restored_at": "2026-11-24T10:06:00Z"}
    words = ended(
        told(stage="restored", closed=True, last=LAST, result=result, reconciled=TWO, reopening=reopening(TWO, "9f3c21aa"))
    )
    assert "DATABASE RESTORED, SHOP STILL CLOSED (2 mismatches)" in words
    assert f"confirm={reopening(TWO, '9f3c21aa')['confirm']}" in words
    assert "escrows 3 new, 2 changed" in words and "61 rows unreadable = unknown" in words
    assert "91 min of commits (RPO 60 min, BREACHED)" in words
    assert "restored 6 min after the freeze (RTO 30 min)" in words
    assert len([line for line in words.splitlines() if not line.startswith(" ")]) <= 7


def test_a_loss_that_could_not_be_listed_is_unknown() -> None:
    [said] = told(stage="restored", closed=True, last=LAST, result={**RESULT, "loss": {"problem": "no room in /data."}})["lost"]
    assert said == "unknown (no room in /data)"


def test_columns_that_the_backup_has_not_are_told() -> None:
    tables = {"escrows": {"new": 0, "changed": 2, "deleted": 0, "unknown": 0, "columns": ["refund_address"]}}
    words = told(stage="restored", closed=True, last=LAST, result={**RESULT, "loss": {**LOSS, "tables": tables}})["lost"]
    assert "the backup has no column escrows.refund_address" in words


def test_where_nothing_was_compared_the_headline_says_so() -> None:
    nothing = not_compared("the database cannot be asked")
    words = ended(told(stage="restored", closed=True, last=LAST, reconciled=nothing, reopening=reopening(nothing, "9f3c21aa")))
    assert "SHOP STILL CLOSED (not compared with wallets and chain)" in words


def test_a_restore_that_takes_too_long_is_named() -> None:
    result = {**RESULT, "restored_at": "2026-11-24T11:06:40Z"}
    found = told(stage="restored", closed=True, last=LAST, result=result, reconciled=TWO, reopening=reopening(TWO, "9f3c21aa"))
    assert any("restored 67 min after the freeze (RTO 30 min, BREACHED)" in one for one in found["did"]), found["did"]


def test_how_long_it_took_since_nobody_knows_when_is_unknown() -> None:
    result = {**RESULT, "restored_at": "2026-11-24T11:06:40Z"}
    found = told(stage="restored", last=LAST, result=result, reconciled=TWO, reopening=reopening(TWO, ""), frozen_since="")
    assert any("unknown" in one and "RTO 30 min" in one for one in found["did"]), found["did"]


def test_opened_it_is_settled_and_still_needs_its_post_mortem() -> None:
    result = {**RESULT, "loss": LOSS, "opened": True}
    found = told(
        stage="restored", closed=True, last=LAST, result=result, reconciled=NONE, reopening=reopening(NONE, "9f3c21aa")
    )
    assert found["settled"] and found["postmortem"] == "mandatory" and not found["payouts_frozen"]
    words = ended(found, proven=True)
    assert "RESTORED" in words and "lost" in words and "post-mortem mandatory" in words


def test_a_server_that_does_not_come_up_is_the_next_playbooks() -> None:
    result = {**RESULT, "opened": True, "services": ["server"]}
    found = told(
        stage="restored", closed=True, last=LAST, result=result, reconciled=NONE, reopening=reopening(NONE, "9f3c21aa")
    )
    assert not found["settled"]
    assert found["next"] == ["ansible-playbook playbooks/outage.yml"]


def test_a_word_for_another_plan_is_said_to_match_nothing() -> None:
    found = told(stage="examine", verdict=DAMAGED, plan=plan(PLANNED), given=["restore:other"])
    assert found["stray_confirmations"] == ["restore:other"]


def test_nothing_lost_is_said_only_where_all_could_be_compared() -> None:
    empty = {"tables": {}, "unknown_rows": 0, "seconds_lost": 0, "complete": True, "file": None}
    whole = told(stage="restored", closed=True, last=LAST, result={**RESULT, "loss": empty})
    assert "nothing: every row" in " ".join(whole["lost"])
    partly = told(stage="restored", closed=True, last=LAST, result={**RESULT, "loss": {**empty, "complete": False}})
    assert "nothing" not in " ".join(partly["lost"])
    unread = {"orders": {"new": 0, "more": False}, "messages": {"new": 0, "more": True}}
    one = told(
        stage="restored", closed=True, last=LAST, result={**RESULT, "loss": {**empty, "tables": unread, "complete": False}}
    )
    assert "not all of messages could be read" in one["lost"][0]


def test_sound_after_damage_is_not_settled_and_says_who_mended_it() -> None:
    by_hand = {"plan": "", "name": "by-hand", "at": "", "kept_database": ""}
    found = told(stage="restored", verdict={**SOUND, "stays": True}, closed=True, last=by_hand, reopening=reopening(TWO, ""))
    assert not found["settled"] and found["payouts_frozen"] and found["postmortem"] == "mandatory"
    assert "mended it by hand" in found["causes"][0] and not found["did"]
    assert [one["given"] for one in found["confirm"]] == [False]


def test_in_check_mode_what_was_begun_is_what_is_planned() -> None:
    found = told(check=True, stage="begun", closed=True, begun=NAME, last={**LAST, "name": "an-older-one"})
    assert found["plan"][0] == f"end the restore of {NAME} that was begun" and "freeze" not in " ".join(found["plan"])
    assert told(check=True, stage="reopening", last=LAST)["plan"] == ["start what was left down when the shop was opened"]


def test_with_wrong_values_in_a_whole_file_a_person_may_go_on_without_a_restore() -> None:
    verdict = {**DAMAGED, "thaw": "thaw:database-a1b2c3"}
    found = told(stage="examine", verdict=verdict, plan=plan({"msg": "No backup is good."}))
    assert [(one["what"], one["given"]) for one in found["confirm"]] == [("thaw:database-a1b2c3", False)]
    both = told(stage="examine", verdict=verdict, plan=plan(PLANNED))
    assert len(both["confirm"]) == 1 and "or confirm=thaw:database-a1b2c3" in both["confirm"][0]["why"]
    given = {"stage": "restored", "verdict": verdict, "given": ["thaw:database-a1b2c3"]}
    asked = told(**given, reopening=reopening(TWO, ""))
    assert [one["given"] for one in asked["confirm"]] == [False, False], "the next run needs both"
    assert "DATABASE AS IT WAS, SHOP STILL CLOSED" in asked["headline"] and asked["escalate"] == []
    opened = told(**given, reopening=reopening(NONE, ""), result={**RESULT, "opened": True})
    assert opened["settled"] and [one["given"] for one in opened["confirm"]] == [True] and opened["stray_confirmations"] == []
