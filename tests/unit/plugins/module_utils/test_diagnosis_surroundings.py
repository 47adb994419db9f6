# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan where daemon, disk, endpoints or time are the matter."""

from __future__ import annotations

from unit.plugins.plans import Looks, decide, doing, exit_now, roots, service

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch


def test_a_fresh_start_gets_its_planned_time_before_it_counts_as_failed(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    look["endpoints"][0].update(status=503)
    server = service(look, "server")
    server.update(health="none", health_interval=None, start_period=60.0)
    for age, tried, doing_what, failed in [
        (5, (), [], False),
        (50, (), [], False),
        (61, (), ["restart:server"], False),
        (50, ("start:server",), [], False),
        (61, ("start:server",), [], True),
    ]:
        look["clock"] = (epoch(server["started_at"]) or 0.0) + age
        decided = decide(look, tried=tried)
        assert doing(decided) == doing_what
        assert bool(decided["escalate"]) is failed
        assert decided["decided"] is bool(doing_what or failed)
    server.update(start_period=None)
    look["clock"] = (epoch(server["started_at"]) or 0.0) + 9
    assert not decide(look)["decided"]
    assert decide(look, patience_over=True)["decided"]


def test_a_verdict_from_before_the_repair_does_not_count(recorded_look: Looks) -> None:
    look = recorded_look("unhealthy")
    fresh = decide(look, tried=("resume:server",), acted_at=look["clock"] - 2)
    assert doing(fresh) == []
    assert not fresh["decided"]
    stale = decide(look, tried=("resume:server",), acted_at=look["clock"] - 60)
    assert doing(stale) == ["restart:server"]
    unknown = decide(look, tried=("resume:server",))
    assert doing(unknown) == []


def test_the_proxy_gets_time_after_the_server_came_back_and_is_then_restarted(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    look["endpoints"][1].update(status=502)
    service(look, "server")["started_at"] = look["taken_at"]
    assert not decide(look)["decided"]
    service(look, "server")["started_at"] = "2026-11-24T00:00:00Z"
    assert doing(decide(look)) == ["restart:nginx"]


def test_grace_is_two_checks_or_what_nginx_needs(recorded_look: Looks) -> None:
    look = recorded_look("unhealthy")
    service(look, "server")["health_interval"] = 30.0
    assert doing(decide(look, acted_at=look["clock"] - 64)) == []
    assert doing(decide(look, acted_at=look["clock"] - 66)) == ["restart:server"]
    service(look, "server")["health_interval"] = None
    assert doing(decide(look, acted_at=look["clock"] - 11)) == []
    assert doing(decide(look, acted_at=look["clock"] - 13)) == ["restart:server"]


def test_space_is_freed_before_anything_is_started(recorded_look: Looks) -> None:
    look = recorded_look("disk_full")
    exit_now(look, "server")
    decided = decide(look)
    assert doing(decided) == ["free_disk", "start:server"]
    assert decided["steps"][0]["details"][0]["gain_bytes"] > 100 * 1024 * 1024
    assert "log of" in decided["steps"][0]["reason"]


def test_a_disk_that_stays_full_is_escalated(recorded_look: Looks) -> None:
    decided = decide(recorded_look("disk_full"), tried=("free_disk",))
    assert doing(decided) == []
    assert "still" in decided["escalate"][0]["sentence"]


def test_nothing_to_free_is_said_instead_of_tried(recorded_look: Looks) -> None:
    look = recorded_look("disk_full")
    look["reclaimable"] = {"build_cache_bytes": 0, "dangling_images_bytes": 0}
    for one in look["services"]:
        one["log_bytes"] = 1000
    decided = decide(look)
    assert doing(decided) == []
    assert "Nothing on /var/lib/docker can go without loss" in decided["escalate"][0]["sentence"]


def test_the_sites_own_disk_is_never_emptied(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    next(one for one in look["disk"] if one["path"] == "/data").update(used_percent=97.0)
    decided = decide(look)
    assert doing(decided) == []
    assert "/data" in decided["escalate"][0]["sentence"]


def test_too_many_files_leave_the_logs_alone(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    look["disk"][0]["inodes_used_percent"] = 99.0
    decided = decide(look)
    assert roots(decided) == [("inodes-exhausted", None)]
    assert not decided["free_disk"]


def test_an_unknown_disk_is_not_full(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    look["disk"][0].update(used_percent=None, inodes_used_percent=None, mount=None)
    assert decide(look)["causes"] == []


def test_a_daemon_that_is_starting_is_waited_for(recorded_look: Looks) -> None:
    look = recorded_look("docker_hung")
    look["daemon"]["unit"]["docker"] = "activating"
    assert not decide(look)["decided"]
    assert decide(look, patience_over=True)["escalate"]


def test_docker_down_again_is_escalated(recorded_look: Looks) -> None:
    assert decide(recorded_look("docker_stopped"), tried=("start_docker",))["escalate"]


def test_a_healthy_server_behind_a_dead_port_is_not_restarted(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    look["endpoints"][0].update(status=None, error="refused")
    decided = decide(look)
    assert roots(decided) == [("port-dead", "server")]
    assert doing(decided) == []


def test_a_wrong_path_or_certificate_is_no_reason_to_restart(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    look["endpoints"][0].update(status=404)
    look["endpoints"][1].update(status=None, error="tls", detail="certificate has expired")
    decided = decide(look)
    assert roots(decided)[0] == ("wrong-answer", "server")
    assert doing(decided) == []
    look["endpoints"][0].update(status=200)
    decided = decide(look)
    assert roots(decided) == [("certificate-refused", "nginx")]
    assert decided["hopeless"] == ["nginx"]
    assert "certificate has expired" in decided["escalate"][0]["sentence"]


def test_an_endpoint_that_belongs_to_nobody_is_not_ignored(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    look["endpoints"].append({**look["endpoints"][0], "url": "http://127.0.0.1:1/", "status": None, "error": "refused"})
    assert not decide(look)["settled"]
    assert roots(decide(look)) == [("endpoint-down", None)]


def test_docker_is_not_started_over_living_containers_unasked(recorded_look: Looks) -> None:
    look = recorded_look("docker_stopped")
    look["daemon"]["live_containers"] = 11
    asked = decide(look)
    assert doing(asked) == []
    assert [(one["what"], one["given"]) for one in asked["confirm"]] == [("start_docker:11-containers", False)]
    assert "11 containers live on without it" in asked["causes"][0]["sentence"]
    assert doing(decide(look, confirm=frozenset({"start_docker:11-containers"}))) == ["start_docker"]
    # The plan has changed since it was confirmed.
    assert doing(decide(look, confirm=frozenset({"start_docker:10-containers"}))) == []


def test_a_wallet_is_not_restarted_unasked(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    service(look, "monero-wallet-rpc-buyer")["health"] = "unhealthy"
    careful = frozenset({"monero-wallet-rpc-buyer"})
    asked = decide(look, careful=careful)
    assert doing(asked) == []
    assert [one["what"] for one in asked["confirm"]] == ["restart:monero-wallet-rpc-buyer"]
    told = decide(look, careful=careful, confirm=frozenset({"restart:monero-wallet-rpc-buyer"}))
    assert doing(told) == ["restart:monero-wallet-rpc-buyer"]


def test_the_engine_starts_alone_what_waits_for_nobodys_health(recorded_look: Looks) -> None:
    look = recorded_look("containers_exited")
    server, nginx = (service(look, name)["container_id"] for name in ("server", "nginx"))
    assert decide(look)["steps"][0]["containers"] == [server, nginx]
    service(look, "server")["waits_for"] = ["database"]
    assert decide(look)["steps"][0]["containers"] == [server, nginx]  # the database is well: nothing to wait for
    exit_now(look, "database")
    step = decide(look)["steps"][0]
    assert step["services"] == ["database", "server", "nginx"] and step["containers"] == []
