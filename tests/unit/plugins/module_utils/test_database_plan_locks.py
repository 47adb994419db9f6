# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who keeps a database locked, and who reads for ever: named by two looks, and ended only when confirmed."""

from __future__ import annotations

from typing import Any

from unit.plugins.database_plans import (
    LOCKED,
    ONE_OPEN,
    POOL_ERROR,
    STRANGER,
    asking,
    decide,
    doing,
    facts,
    holder,
    locked,
    pool,
    roots,
    says,
    service,
    told,
    watched,
)

# Locks.


def test_who_keeps_the_database_locked_is_named_and_ended_only_when_confirmed() -> None:
    decided = decide(locked())
    assert roots(decided) == ["lock-held"]
    assert "pid 4121 (sqlite3, user deploy, since 01:52:10 UTC) holds a write lock" in decided["causes"][0]["sentence"]
    assert asking(decided) == ["end_lock_holder:4121"] and doing(decided) == []
    decided = decide(locked(), confirm="end_lock_holder:4121")
    assert doing(decided) == ["end_lock_holder:4121"]
    step = decided["steps"][0]
    assert step["services"] == [] and step["details"][0]["holder"]["start_ticks"] == 100 * STRANGER


def test_a_confirmation_for_another_pid_ends_nobody() -> None:
    assert doing(decide(locked(), confirm="end_lock_holder:4122")) == []


def test_a_lock_fills_the_pool_and_the_lock_alone_is_the_cause() -> None:
    found = says(locked(), f"database: {POOL_ERROR}: 10 of 10 in use")
    found["prometheus"] = pool(10, 10, waiting=4)
    service(found, "server")["said"] = {POOL_ERROR: 212}
    decided = decide(found)
    assert roots(decided) == ["lock-held"]
    assert "server-unexplained" in [one["cause"] for one in decided["causes"] if one["consequence_of"]]
    assert asking(decided) == ["end_lock_holder:4121"]
    assert f'212 "{POOL_ERROR}" in 15 min' in decided["symptoms"] and "pool 10/10, 4 waiting" in decided["symptoms"]


def test_one_look_at_a_lock_is_no_proof_where_nobody_is_locked_out() -> None:
    found = facts()
    found["sqlite"]["holders"].append(holder(STRANGER, "sqlite3", ["write"]))
    decided = decide(found)
    assert not decided["decided"] and decided["look_again"] == ["holders"] and asking(decided) == []
    assert asking(decide(watched(found))) == ["end_lock_holder:4121"]


def test_who_writes_all_the_time_keeps_nobody_out() -> None:
    found = says(facts(), LOCKED)
    found["sqlite"]["holders"].append(holder(STRANGER, "sqlite3", ["write"]))
    watched(found)
    found["sqlite"] = {**found["sqlite"], "progress": "(1, 2) 42"}
    assert asking(decide(found)) == [] and decide(found)["look_again"] == ["holders"]
    found["sqlite"]["progress"] = found["earlier"]["sqlite"]["progress"] = None
    assert asking(decide(found)) == [], "whether something was committed is unknown"


def test_what_runs_below_a_services_init_is_the_service() -> None:
    found = says(facts(), LOCKED)
    server = found["sqlite"]["holders"][0]
    server.update(pid=29521, ancestors=[server["pid"], 1200, 1], locks=["write"])
    decided = decide(watched(found))
    assert doing(decided) == ["restart:server"] and asking(decided) == []
    assert decide(watched(says(facts(), "", 200)))["settled"]
    server["ancestors"] = [1200, 1]
    assert asking(decide(found)) == ["end_lock_holder:29521"], "somebody's docker exec is not the service"


def test_another_process_with_the_same_number_is_not_the_same() -> None:
    found = facts()
    found["sqlite"]["holders"].append(holder(STRANGER, "sqlite3", ["write"]))
    watched(found)
    found["sqlite"] = {**found["sqlite"], "holders": [holder(STRANGER, "sqlite3", ["write"], start_ticks=7)]}
    assert asking(decide(found)) == []


def test_server_and_database_service_may_lock_where_nobody_complains() -> None:
    found = facts()
    found["sqlite"]["holders"][0]["locks"] = ["write"]
    assert decide(watched(found))["settled"]


def test_a_server_that_keeps_its_own_lock_is_restarted_where_no_round_is_open() -> None:
    found = says(facts(), LOCKED)
    found["sqlite"].update(state="locked")
    found["sqlite"]["holders"][0]["locks"] = ["write"]
    assert doing(decide(found)) == ["restart:server"]
    found["sqlite"]["queries"] = dict(ONE_OPEN)
    decided = decide(found)
    assert doing(decided) == [] and asking(decided) == ["restart:server"]
    assert "a signing round is open for 7" in decided["confirm"][0]["why"]
    assert decide(found, confirm="restart:server")["steps"][0]["details"][0]["touches_signing"]


def test_what_a_container_lives_by_is_restarted_as_a_service() -> None:
    found = says(facts(), LOCKED)
    proxy = service(found, "nginx")
    found["sqlite"]["state"] = "locked"
    found["sqlite"]["holders"].append(
        holder(proxy["pid"], "nginx", ["write"], service="nginx", container="marketplace-nginx-1")
    )
    assert asking(decide(found)) == ["restart:nginx"]
    assert doing(decide(found, confirm="restart:nginx")) == ["restart:nginx"]


def test_one_that_was_asked_to_end_and_still_holds_it_is_left_to_a_person() -> None:
    decided = decide(locked(), tried=["end_lock_holder:4121"], confirm="end_lock_holder:4121")
    assert doing(decided) == [] and "not killed for you" in told(decided)


def test_a_lock_of_nobody_who_is_seen_is_said_once_patience_is_over() -> None:
    found = says(facts(), LOCKED)
    found["sqlite"].update(state="locked", sentences=["somebody on another host"])
    assert decide(found)["look_again"][0] == "holders"
    decided = decide(found, patience_over=True)
    assert roots(decided) == ["lock-held"] and "fuser -v" in told(decided)


# A reader that was forgotten.


def grown(*locks: str) -> dict[str, Any]:
    found = facts()
    found["sqlite"]["wal"] = {"bytes": 90_000_000, "valid_frames": 20_000}
    found["sqlite"]["holders"].append(holder(STRANGER, "sqlite3", list(locks)))
    return found


def test_a_forgotten_reader_is_named_where_the_log_has_grown() -> None:
    decided = decide(watched(grown("shared", "read")))
    assert roots(decided) == ["reader-forgotten"] and asking(decided) == ["end_lock_holder:4121"]
    assert "so the write-ahead log has grown to 79 MiB" in decided["causes"][0]["sentence"]
    assert doing(decide(watched(grown("read")), confirm="end_lock_holder:4121")) == ["end_lock_holder:4121"]


def test_a_reader_of_the_moment_is_watched_first() -> None:
    decided = decide(grown("read"))
    assert not decided["decided"] and decided["look_again"] == ["holders"]


def test_who_only_has_it_open_keeps_nothing() -> None:
    decided = decide(watched(grown("shared")))
    assert decided["settled"] and "no reader that was forgotten is seen" in decided["risks"][0]


def test_once_the_reader_is_gone_the_log_is_given_its_time() -> None:
    found = grown()
    found["sqlite"]["holders"].pop()
    assert decide(found, tried=["end_lock_holder:4121"])["look_again"] == ["holders"]
    assert decide(found, tried=["end_lock_holder:4121"], patience_over=True)["settled"]


def test_a_log_that_was_begun_anew_has_not_grown_whatever_its_file() -> None:
    found = grown("read")
    found["sqlite"]["wal"] = {"bytes": 90_000_000, "valid_frames": 12}
    assert decide(watched(found))["settled"]
