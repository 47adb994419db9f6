# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a database from working: one cause for many symptoms, the smallest step, and no step where data may be at stake."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.database_plans import (
    FREEZE,
    ONE_OPEN,
    POOL_ERROR,
    STRANGER,
    asking,
    decide,
    doing,
    facts,
    locked,
    pool,
    roots,
    says,
    service,
    stopped,
    told,
    watched,
)

CORRUPTION = ["ansible-playbook playbooks/data_corruption.yml"]
OUTAGE = ["ansible-playbook playbooks/outage.yml"]


def test_a_sound_database_that_works_is_left_alone() -> None:
    decided = decide(facts())
    assert decided["settled"] and decided["serving"] and decided["decided"]
    assert (decided["causes"], decided["steps"], decided["confirm"], decided["escalate"]) == ([], [], [], [])
    assert decided["risks"] == [] and not decided["suspected"]


def test_an_alert_that_outlives_its_cause_is_said() -> None:
    alert = {"name": "DatabaseUnavailable", "state": "firing", "since": 1795521000.0, "labels": {}, "severity": "P1"}
    decided = decide(facts(prometheus=pool(10, 2, alerts=(alert,))))
    assert decided["settled"] and "outlives its cause" in decided["risks"][0]


# The pool.


def exhausted() -> dict[str, Any]:
    return facts("unhealthy", prometheus=pool(10, 10, waiting=3))


def test_an_exhausted_pool_is_watched_before_anything_is_restarted() -> None:
    decided = decide(exhausted())
    assert decided["exhausted"] and not decided["decided"] and decided["look_again"] == ["services"]
    assert doing(decide(watched(exhausted(), 3, exhausted=True))) == []


def test_a_pool_that_stays_exhausted_has_the_server_restarted_where_no_round_is_open() -> None:
    decided = decide(watched(exhausted(), exhausted=True))
    assert roots(decided) == ["pool-exhausted"] and doing(decided) == ["restart:server"]
    assert "pool 10/10, 3 waiting" in decided["causes"][0]["sentence"]
    assert not decided["steps"][0]["details"][0]["touches_signing"]


@pytest.mark.parametrize("query", ["", "open"])
def test_over_a_round_that_may_be_open_it_is_asked(query: str) -> None:
    found = watched(exhausted(), exhausted=True)
    found["sqlite"]["queries"] = dict(ONE_OPEN)
    decided = decide(found, **({"signing_query": ""} if not query else {}))
    assert doing(decided) == [] and asking(decided) == ["restart:server"]


def test_it_is_restarted_once() -> None:
    decided = decide(watched(exhausted(), exhausted=True), tried=["restart:server"])
    assert doing(decided) == [] and "another restart mends nothing" in told(decided)


def test_a_server_that_is_frozen_is_left_alone() -> None:
    found = watched(exhausted(), exhausted=True)
    found["freezes"] = [{**FREEZE, "name": "payouts", "services": ["server"]}]
    decided = decide(found, confirm="restart:server")
    assert doing(decided) == [] and "is frozen" in told(decided)


def test_a_saturated_pool_is_a_risk_and_no_series_is_unknown() -> None:
    assert "90 % of the connections are taken (pool 9/10)" in decide(facts(prometheus=pool(10, 9)))["risks"]
    silent = {"answered": True, "alerts": [], "results": {"pool_size": {"samples": [], "problem": None}}}
    decided = decide(facts(prometheus=silent))
    assert decided["settled"] and any("unknown" in risk for risk in decided["risks"])


def test_an_endpoint_that_lies_does_not_hide_an_exhausted_pool() -> None:
    found = facts(prometheus=pool(10, 10, waiting=5))
    assert not decide(found)["exhausted"]
    service(found, "server")["said"] = {POOL_ERROR: 40}
    assert decide(found)["exhausted"]


# Services.


def test_a_database_service_that_is_down_is_started() -> None:
    decided = decide(stopped(facts(), "database"))
    assert roots(decided) == ["database-service"] and doing(decided) == ["start:database"]
    assert decided["steps"][0]["containers"]


def test_a_database_service_that_is_sick_is_restarted_once() -> None:
    found = facts()
    service(found, "database").update(health="unhealthy", probe_output="no answer")
    decided = decide(found)
    assert roots(decided) == ["database-service"] and doing(decided) == ["restart:database"]
    assert doing(decide(found, tried=["restart:database"])) == []


def test_a_database_service_that_is_sick_because_of_a_lock_is_left_alone() -> None:
    found = locked()
    service(found, "database").update(health="unhealthy", probe_output="database is locked")
    decided = decide(found)
    assert roots(decided) == ["lock-held"] and doing(decided) == []


def test_one_that_is_frozen_is_not() -> None:
    found = stopped(facts(freezes=[{**FREEZE, "name": "audit", "services": ["database"]}]), "database")
    assert doing(decide(found)) == [] and "is frozen" in told(decide(found))


def test_a_site_without_a_database_service_works() -> None:
    assert decide(facts(), database_service="")["settled"]
    assert asking(decide(locked(), database_service="")) == ["end_lock_holder:4121"]


def test_a_server_that_is_down_for_another_reason_is_the_outage_playbooks() -> None:
    decided = decide(watched(stopped(says(facts(), "x"), "server")))
    assert roots(decided) == ["server-unexplained"] and doing(decided) == []
    assert decided["hand_over"] == OUTAGE


def test_trouble_of_others_is_said_beside_it() -> None:
    decided = decide(stopped(facts(), "nginx"))
    assert decided["settled"] and any("beside it: nginx" in risk for risk in decided["risks"])


def test_a_disk_that_is_read_only_is_handed_over_and_nothing_is_restarted() -> None:
    found = watched(says(facts(), "database: attempt to write a readonly database"), exhausted=True)
    found["compose"]["storage"] = {
        "read_only": [
            {"mount": "/data", "source": "/dev/vdb", "kind": "ext4", "services": ["server"], "database": [], "why": "I/O error"}
        ]
    }
    decided = decide(found)
    assert roots(decided) == ["read-only-data"]
    assert decided["hand_over"] == OUTAGE and doing(decided) == []


def test_a_database_nobody_may_write_to_is_no_reason_for_a_restore() -> None:
    decided = decide(watched(says(facts(), "database: attempt to write a readonly database")))
    assert roots(decided) == ["database-unwritable"] and "lsattr" in told(decided)
    assert not decided["suspected"] and decided["hand_over"] == []


# Files.

GONE = ("missing", "empty", "deleted_but_open")
DAMAGED = (
    "not_a_database", "stale_wal", "wal_damage", "page_damage", "btree_damage", "foreign_key_damage", "invariant_damage",
)  # fmt: skip


@pytest.mark.parametrize("state", [*GONE, *DAMAGED])
def test_where_data_may_be_lost_nothing_is_restarted_ended_or_asked_for(state: str) -> None:
    found = watched(says(locked(), f"database: {POOL_ERROR}"), exhausted=True)
    found["prometheus"] = pool(10, 10)
    found["sqlite"].update(state=state, sentences=["what was seen"], deleted={"pid": STRANGER, "files": {}})
    stopped(found, "database")
    decided = decide(found, confirm="end_lock_holder:4121,restart:server")
    assert doing(decided) == [] and decided["confirm"] == []
    assert decided["suspected"] and decided["hand_over"] == CORRUPTION
    assert len(roots(decided)) == 1 and decided["decided"]


def test_who_holds_the_last_copy_is_not_to_be_stopped() -> None:
    found = facts()
    found["sqlite"].update(state="deleted_but_open", deleted={"pid": found["sqlite"]["holders"][0]["pid"], "files": {}})
    assert "Do NOT stop" in told(decide(found))


def test_damage_is_only_suspected_while_the_shop_is_served() -> None:
    found = facts()
    found["sqlite"]["state"] = "page_damage"
    decided = decide(found)
    assert decided["serving"] and not decided["settled"] and "suspected" in decided["causes"][0]["sentence"]


def test_the_servers_word_of_damage_counts_where_no_copy_was_whole() -> None:
    found = says(facts(), "database: database disk image is malformed")
    found["sqlite"]["state"] = "suspect"
    assert roots(decide(found)) == ["database-damaged"]


def test_a_copy_that_was_never_whole_is_unknown_and_no_damage() -> None:
    found = facts()
    found["sqlite"].update(state="suspect", problem="it was written to while it was copied, each time")
    decided = decide(found)
    assert decided["settled"] and "unknown" in decided["risks"][0]


def test_a_check_that_did_not_end_is_said_as_that_and_blames_nobody() -> None:
    found = facts()
    found["sqlite"].update(state="suspect", sentences=["the check did not end within 300 s"])
    assert decide(found)["risks"] == ["whether the database is whole is unknown (the check did not end within 300 s)"]
    found["sqlite"].update(state="unfinished", problem="The checks did not end in time: raise check_timeout.")
    assert "sqlite_integrity_copy_timeout or _quick_timeout" in decide(found)["risks"][0] and not decide(found)["suspected"]


def test_damage_that_one_copy_showed_is_suspected() -> None:
    found = facts()
    found["sqlite"].update(
        state="suspect", sentences=["A copy of x looks damaged, and no second one shows the same: freeze its writers."]
    )
    decided = decide(found)
    assert roots(decided) == ["database-damaged"] and decided["suspected"] and decided["hand_over"] == CORRUPTION


def test_a_wrong_key_is_no_damage() -> None:
    found = says(facts(), "database: file is not a database")
    found["sqlite"]["state"] = "encrypted_wrong_key"
    decided = decide(found)
    assert roots(decided) == ["database-key"] and not decided["suspected"] and decided["hand_over"] == []
    served = facts()
    served["sqlite"]["state"] = "encrypted_wrong_key"
    decided = decide(served)
    assert decided["settled"] and "marketplace_database_key does not open" in decided["risks"][0]


def test_while_it_is_examined_or_restored_nothing_is_touched() -> None:
    decided = decide(stopped(locked(), "database") | {"freezes": [FREEZE]}, confirm="end_lock_holder:4121")
    assert roots(decided) == ["database-frozen"] and doing(decided) == [] and decided["hand_over"] == CORRUPTION


def test_facts_without_a_look_are_refused_in_one_sentence() -> None:
    with pytest.raises(Exception, match="needs facts with the 'compose'"):
        decide({"sqlite": {}})


def test_a_disk_that_refuses_to_read_is_suspected() -> None:
    found = facts()
    found["sqlite"].update(state="unreadable", sentences=["/data/marketplace.db could not be copied: Input/output error."])
    assert decide(found)["suspected"]
