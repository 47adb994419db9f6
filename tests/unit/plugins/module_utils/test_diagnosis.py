# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan, for each fault as the lab shows it and for what looks like one but is none."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.plans import HEALTH, Looks, decide, doing, exit_now, roots, service

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis import tried_from

FAULTS = [
    ("healthy", [], []),
    ("containers_exited", [("exited", "server"), ("exited", "nginx")], ["start:server,nginx"]),
    ("docker_stopped", [("docker-stopped", None)], ["start_docker"]),
    ("docker_hung", [("docker-hung", None)], []),
    ("unhealthy", [("unhealthy", "server")], ["restart:server"]),
    ("hung", [("stopped-process", "server")], ["resume:server"]),
    ("disk_full", [("disk-full", None)], ["free_disk"]),
    ("crash_loop", [("crash-loop", "server")], []),
    ("paused", [("paused", "server")], []),
    ("image_missing", [("image-missing", "server")], []),
]


@pytest.mark.parametrize(("fault", "causes", "steps"), FAULTS)
def test_each_fault_of_the_lab(recorded_look: Looks, fault: str, causes: list[Any], steps: list[str]) -> None:
    decided = decide(recorded_look(fault))
    assert roots(decided) == causes
    assert doing(decided) == steps
    assert decided["decided"]


def test_a_stack_that_is_down_is_created_in_dependency_order(recorded_look: Looks) -> None:
    decided = decide(recorded_look("stack_down"))
    assert len(decided["steps"]) == 1
    assert [one["sentence"] for one in decided["causes"]] == ["all 5 services have no container"]
    assert decided["steps"][0]["sentence"] == "create all 5 services from what is on this host"
    created = decided["create"]
    assert (
        created.index("monerod") < created.index("monero-wallet-rpc-buyer") < created.index("server") < created.index("nginx")
    )
    assert created.index("database") < created.index("server")


@pytest.mark.parametrize("fault", [fault for fault, _causes, _steps in FAULTS])
def test_healthy_services_are_in_no_step(recorded_look: Looks, fault: str) -> None:
    decided = decide(recorded_look(fault))
    touched = {name for step in decided["steps"] for name in step["services"]}
    assert not touched.intersection(decided["healthy"])


@pytest.mark.parametrize(("fault", "_causes", "_steps"), FAULTS)
def test_the_lists_say_the_same_as_the_steps(recorded_look: Looks, fault: str, _causes: Any, _steps: Any) -> None:
    decided = decide(recorded_look(fault))
    keys = doing(decided)
    assert decided["start_docker"] is ("start_docker" in keys)
    assert decided["free_disk"] is ("free_disk" in keys)
    for do in ("unpause", "resume", "start", "create", "restart"):
        assert decided[do] == [name for step in decided["steps"] if step["do"] == do for name in step["services"]]


def test_what_is_healthy_is_said_only_when_it_is_known(recorded_look: Looks) -> None:
    assert decide(recorded_look("docker_stopped"))["healthy"] == []
    assert decide(recorded_look("containers_exited"))["healthy"] == ["database", "monerod", "monero-wallet-rpc-buyer"]
    scaled = recorded_look("healthy")
    service(scaled, "nginx")["wanted_containers"] = 0
    assert "nginx" not in decide(scaled)["healthy"]


def test_users_view_is_shown_with_the_cause(recorded_look: Looks) -> None:
    assert decide(recorded_look("hung"))["causes"][0]["evidence"] == [f"GET {HEALTH}: no answer within 3 s"]
    assert decide(recorded_look("containers_exited"))["causes"][0]["evidence"] == []
    assert decide(recorded_look("unhealthy"))["causes"][0]["evidence"] == []  # its sentence says it


def test_only_a_healthy_site_is_settled(recorded_look: Looks) -> None:
    settled = [fault for fault, _causes, _steps in FAULTS if decide(recorded_look(fault))["settled"]]
    assert settled == ["healthy"]  # on a full disk the shop may still serve, but something is to be done


@pytest.mark.parametrize("fault", ["hung", "unhealthy", "paused", "crash_loop", "image_missing"])
def test_the_proxy_in_front_of_a_sick_server_is_only_a_consequence(recorded_look: Looks, fault: str) -> None:
    decided = decide(recorded_look(fault))
    nginx = next(one for one in decided["causes"] if one["service"] == "nginx")
    assert nginx["consequence_of"] == "server"
    assert "because of server" in nginx["sentence"]


def test_a_pause_needs_a_confirmation_that_names_it(recorded_look: Looks) -> None:
    asked = decide(recorded_look("paused"))
    assert asked["confirm"] == [{**asked["confirm"][0], "what": "unpause:server", "given": False}]
    assert asked["hopeless"] == ["server", "nginx"]
    assert asked["decided"]
    given = decide(recorded_look("paused"), confirm=frozenset({"unpause:server"}))
    assert doing(given) == ["unpause:server"]
    assert given["confirm"][0]["given"]
    other = decide(recorded_look("paused"), confirm=frozenset({"unpause:nginx"}))
    assert doing(other) == []


def test_our_own_leftover_pause_needs_none(recorded_look: Looks) -> None:
    look = recorded_look("paused")
    service(look, "server")["paused_by_us"] = True
    decided = decide(look)
    assert doing(decided) == ["unpause:server"]
    assert decided["confirm"] == []


def test_a_crash_loop_shows_its_last_words(recorded_look: Looks) -> None:
    decided = decide(recorded_look("crash_loop"))
    assert "POOL_SIZE must be a whole number" in decided["escalate"][0]["log"][-1]
    assert decided["hopeless"] == ["server", "nginx"]


def test_a_container_killed_once_is_no_crash_loop(recorded_look: Looks) -> None:
    look = recorded_look("containers_exited")
    assert service(look, "server")["restart_count"] == 0
    assert service(look, "server")["exit_code"] == 137
    assert decide(look)["escalate"] == []


@pytest.mark.parametrize(
    ("count", "ran", "looping"),
    [
        (1, 0.2, False),
        (2, 0.2, True),
        (2, 30.0, True),
        (2, 31.0, False),
        (3, 120.0, True),
        (3, 121.0, False),
        (9, 3600.0, False),
    ],
)
def test_how_quickly_it_ends_makes_a_crash_loop(recorded_look: Looks, count: int, ran: float, looping: bool) -> None:
    look = recorded_look("healthy")
    server = service(look, "server")
    began = epoch(look["taken_at"]) or 0.0
    server.update(state="restarting", health="unknown", exit_code=1, restart_count=count)
    server["started_at"] = "2026-11-24T11:00:00Z"
    began = epoch(server["started_at"]) or 0.0
    minutes, seconds = divmod(int(ran), 60)
    server["finished_at"] = f"2026-11-24T{11 + minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.{int(ran * 10) % 10}Z"
    assert (epoch(server["finished_at"]) or 0.0) - began == pytest.approx(ran)
    decided = decide(look)
    assert bool(decided["escalate"]) is looping
    assert decided["decided"] is looping
    if not looping:
        assert decided["waiting"][0]["service"] == "server"


def test_ending_well_again_and_again_is_a_crash_loop_too(recorded_look: Looks) -> None:
    look = recorded_look("crash_loop")
    service(look, "server").update(exit_code=0, restart_count=2, state="restarting")
    assert not decide(look)["decided"]
    service(look, "server").update(restart_count=3)
    assert roots(decide(look)) == [("crash-loop", "server")]


@pytest.mark.parametrize(
    ("finished", "words"), [("11:00:00.5", "right after each start"), ("11:00:07", "7 s after each start")]
)
def test_how_long_each_run_of_a_crash_loop_lasts(recorded_look: Looks, finished: str, words: str) -> None:
    look = recorded_look("crash_loop")
    stamps = {"started_at": "2026-11-24T11:00:00Z", "finished_at": f"2026-11-24T{finished}Z"}
    service(look, "server").update(state="restarting", exit_code=1, restart_count=4, **stamps)
    assert words in decide(look)["causes"][0]["sentence"]
    service(look, "server").update(finished_at=None)
    assert "right after each start" in decide(look)["causes"][0]["sentence"]


def test_what_ends_right_after_our_start_is_not_started_again(recorded_look: Looks) -> None:
    look = recorded_look("containers_exited")
    decided = decide(look, tried=("start:server,nginx",))
    assert doing(decided) == []
    assert {one["service"] for one in decided["escalate"]} >= {"server"}


def test_a_host_that_was_rebooted_starts_what_stayed_down(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    exit_now(look, "database", 0)
    exit_now(look, "server", 143)
    decided = decide(look)
    assert doing(decided) == ["start:database,server"]
    assert "asked to stop" in decided["causes"][1]["sentence"]


def test_slow_starts_are_waited_for(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    service(look, "server").update(health="starting", started_at=look["taken_at"])
    look["endpoints"][0].update(status=503)
    decided = decide(look)
    assert not decided["steps"] and not decided["escalate"]
    assert not decided["decided"]
    assert [one["service"] for one in decided["waiting"]] == ["server"]
    late = decide(look, patience_over=True)
    assert late["decided"]
    assert late["escalate"][0]["service"] == "server"


def test_what_starts_behind_something_sick_is_a_consequence(recorded_look: Looks) -> None:
    look = recorded_look("paused")
    service(look, "nginx").update(health="starting", started_at=look["taken_at"])
    decided = decide(look)
    assert decided["hopeless"] == ["server", "nginx"]
    assert roots(decided) == [("paused", "server")]


def test_a_second_restart_is_no_cure(recorded_look: Looks) -> None:
    decided = decide(recorded_look("unhealthy"), tried=("restart:server",), patience_over=True)
    assert doing(decided) == []
    assert "another restart mends nothing" in decided["escalate"][0]["sentence"]


def test_out_of_memory_is_claimed_only_with_the_kernels_word(recorded_look: Looks) -> None:
    look = recorded_look("containers_exited")
    server = service(look, "server")
    sentence = decide(look)["causes"][0]["sentence"]
    assert "the kernel's log knows nothing of it" in sentence and "memory" not in sentence
    server["out_of_memory"] = {"claimed": False, "evidence": None, "flag": True, "kernel_asked": True}
    assert "no line about it" in decide(look)["causes"][0]["sentence"]
    server["out_of_memory"] = {"claimed": False, "evidence": None, "flag": True, "kernel_asked": False}
    assert "neither shown nor excluded" in decide(look)["causes"][0]["sentence"]
    server["memory_limit"] = 2 * 1024**3
    server["out_of_memory"] = {"claimed": True, "evidence": "oom-kill:…", "flag": True, "kernel_asked": True}
    cause = decide(look)["causes"][0]
    assert cause["cause"] == "out-of-memory"
    assert "killed by the kernel's out-of-memory killer" in cause["sentence"] and "2.0 GiB" in cause["sentence"]
    assert (
        cause["evidence"][0] == "GET http://127.0.0.1:8080/api/health: connection refused" or "oom-kill:…" in cause["evidence"]
    )


def test_a_crash_loop_by_memory_says_so(recorded_look: Looks) -> None:
    look = recorded_look("crash_loop")
    service(look, "server").update(state="restarting", exit_code=137, restart_count=5)
    service(look, "server")["out_of_memory"] = {"claimed": True, "evidence": "oom-kill:…", "flag": True, "kernel_asked": True}
    cause = decide(look)["causes"][0]
    assert cause["cause"] == "crash-loop" and cause["sentence"].endswith("killed by the kernel's out-of-memory killer")
    assert "oom-kill:…" in cause["evidence"]


def test_steps_follow_the_dependencies_when_they_differ(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    service(look, "database").update(state="missing", health="none", containers=[], container_id=None, started_at=None)
    exit_now(look, "server")
    service(look, "nginx").update(state="missing", health="none", containers=[], container_id=None, started_at=None)
    assert doing(decide(look)) == ["create:database", "start:server", "create:nginx"]


def test_many_at_once_are_told_together(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    for name in ("server", "nginx", "monerod"):
        exit_now(look, name, 143)
    assert len(decide(look)["causes"]) == 3
    exit_now(look, "database", 0)
    causes = decide(look)["causes"]
    assert [one["sentence"] for one in causes] == ["database, monerod, server and nginx are not running (exit status 0, 143)"]
    assert decide(look)["start"] == ["database", "monerod", "server", "nginx"]


def test_of_steps_that_could_come_first_the_gentler_one_does(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    exit_now(look, "monerod")
    service(look, "database").update(health="unhealthy")
    assert doing(decide(look)) == ["start:monerod", "restart:database"]


def test_what_needs_a_hopeless_service_is_not_started(recorded_look: Looks) -> None:
    look = recorded_look("image_missing")
    exit_now(look, "nginx", 137)
    decided = decide(look)
    assert doing(decided) == []
    assert decided["hopeless"] == ["server", "nginx"]
    assert decided["decided"]


def test_what_does_not_need_it_is(recorded_look: Looks) -> None:
    look = recorded_look("image_missing")
    exit_now(look, "monerod", 137)
    assert doing(decide(look)) == ["start:monerod"]


def test_a_finished_job_is_healthy_and_a_failed_one_is_not_repeated(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    exit_now(look, "monerod", 0)["job"] = True
    assert decide(look)["settled"]
    exit_now(look, "monerod", 3)
    decided = decide(look)
    assert doing(decided) == []
    assert decided["escalate"][0]["cause"] == "job-failed"


def test_a_service_scaled_to_nothing_is_not_missed(recorded_look: Looks) -> None:
    look = recorded_look("stack_down")
    for one in look["services"]:
        one["wanted_containers"] = 0
    assert decide(look)["steps"] == []


def test_a_scaled_service_with_too_few_containers_is_completed(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    service(look, "nginx")["wanted_containers"] = 2
    decided = decide(look)
    assert doing(decided) == ["create:nginx"]
    assert decided["causes"][0]["sentence"] == "nginx has 1 of 2 containers"


def test_a_service_that_fell_a_moment_ago_is_watched_before_it_counts_as_up(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    service(look, "nginx").update(health="none", restart_count=1, started_at=look["taken_at"])
    assert not decide(look)["settled"]
    assert not decide(look)["decided"]
    assert decide(look, patience_over=True)["settled"]
    service(look, "nginx")["started_at"] = "2026-11-24T00:00:00Z"
    assert decide(look)["settled"]
    service(look, "nginx").update(started_at=look["taken_at"], restart_count=0)
    assert decide(look)["settled"]
    service(look, "nginx").update(health="healthy", restart_count=3)
    assert decide(look)["settled"]


def test_a_database_that_needs_the_server_makes_no_circle(recorded_look: Looks) -> None:
    """The site's names imply that the server needs the database, unless the Compose file says the opposite."""
    look = recorded_look("unhealthy")
    service(look, "server")["depends_on"] = []
    service(look, "database").update(depends_on=["server"], health="unhealthy")
    decided = decide(look)
    assert doing(decided) == ["restart:server"]
    assert roots(decided) == [("unhealthy", "server")]


def test_tried_steps_are_read_back() -> None:
    assert tried_from(["start:server,nginx", "free_disk"]) == {("start", "server"), ("start", "nginx"), ("free_disk", "")}
