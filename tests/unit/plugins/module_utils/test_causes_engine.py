# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes below every container, on looks recorded in the lab under these faults."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.plans import Looks, decide, doing, exit_now, roots, service

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch, utc

WALLETS = tuple({"role": role, "service": f"monero-wallet-rpc-{role}"} for role in ("buyer", "vendor", "arbiter"))
NAMES = {"wallets": WALLETS, "daemon_service": "monerod"}
KILLED, FLUSHED = "start_docker:11-containers", "restart_docker:11-containers"


def decided(look: dict[str, Any], *confirm: str, tried: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return decide(look, tried, confirm=frozenset(confirm), **NAMES, **more)


@pytest.mark.parametrize(
    ("fault", "cause", "confirm", "words"),
    [
        ("docker_killed", "docker-killed", KILLED, "Docker was killed, and 11 containers live on without it"),
        ("firewall_flushed", "firewall-flushed", FLUSHED, "Docker's firewall rules were flushed"),
    ],
)
def test_what_ends_every_container_is_asked_for(recorded_look: Looks, fault: str, cause: str, confirm: str, words: str) -> None:
    found = decided(recorded_look(fault))
    assert roots(found) == [(cause, None)] and words in found["causes"][0]["sentence"]
    assert doing(found) == [] and not found["settled"]
    assert [(one["what"], one["given"]) for one in found["confirm"]] == [(confirm, False)]
    assert "a signing round may be open" in found["confirm"][0]["why"]
    # A number that is not this one's was for another night.
    assert doing(decided(recorded_look(fault), confirm.replace("11", "10"))) == []


def test_the_evidence_of_a_killed_daemon(recorded_look: Looks) -> None:
    look = recorded_look("docker_killed")
    assert decided(look)["causes"][0]["evidence"][:2] == ["docker.service is failed, result signal", "alive: all 11 services"]
    look["engine"]["living"] = look["engine"]["living"][:2]
    assert "alive: prometheus and monero-wallet-rpc-vendor" in decided(look)["causes"][0]["evidence"]


def test_a_daemon_that_ended_otherwise_was_not_killed(recorded_look: Looks) -> None:
    look = recorded_look("docker_killed")
    look["engine"]["process"]["result"] = "exit-code"
    assert "Docker is not running, and 11 containers live on" in decided(look)["causes"][0]["sentence"]


@pytest.mark.parametrize(("fault", "confirm"), [("docker_killed", KILLED), ("firewall_flushed", FLUSHED)])
def test_confirmed_it_is_left_cleanly_first(recorded_look: Looks, fault: str, confirm: str) -> None:
    look = recorded_look(fault)
    found = decided(look, confirm)
    assert doing(found) == ["stop_cleanly"]
    details = found["steps"][0]["details"][0]
    address = {one["service"]: one["address"] for one in look["engine"]["living"]}
    assert {one["name"]: one["url"] for one in details["wallets"]} == {
        one["service"]: f"http://{address[one['service']]}:18082" for one in WALLETS
    }
    assert details["timeouts"] == {**{one["service"]: 60 for one in WALLETS}, "monerod": 300}
    place = {name: number for number, group in enumerate(details["order"]) for name in group}
    assert len(place) == 11
    assert place["nginx"] < place["server"] < place["database"]
    assert all(place["server"] < place[one["service"]] < place["monerod"] for one in WALLETS)


def test_a_wallet_is_asked_where_the_site_says(recorded_look: Looks) -> None:
    wallets = ({**WALLETS[0], "url": "https://127.0.0.1:28082"}, *WALLETS[1:])
    found = decide(recorded_look("docker_killed"), confirm=frozenset([KILLED]), wallets=wallets, wallet_port=38082)
    urls = [one["url"] for one in found["steps"][0]["details"][0]["wallets"]]
    assert urls[0] == "https://127.0.0.1:28082" and all(url.endswith(":38082") for url in urls[1:])


def ended(look: dict[str, Any], *left: str) -> dict[str, Any]:
    look["engine"]["living"] = [one for one in look["engine"]["living"] if one["service"] in left]
    if look["daemon"]["state"] == "stopped":
        look["daemon"]["live_containers"] = len(look["engine"]["living"])
    else:
        for one in look["services"]:
            if one["name"] not in left:
                exit_now(look, one["name"], 0)
    return look


def test_what_did_not_end_stops_it_there(recorded_look: Looks) -> None:
    for fault, confirm in (("docker_killed", KILLED), ("firewall_flushed", FLUSHED)):
        found = decided(ended(recorded_look(fault), "monerod"), confirm, tried=("stop_cleanly",))
        assert not [do for do in doing(found) if "docker" in do]
        assert "the daemon was not started: monerod (pid " in found["escalate"][0]["sentence"]


def test_when_all_have_ended_docker_is_started(recorded_look: Looks) -> None:
    killed = decided(ended(recorded_look("docker_killed")), KILLED, tried=("stop_cleanly",))
    assert doing(killed) == ["start_docker"] and roots(killed) == [("docker-stopped", None)]
    flushed = decided(ended(recorded_look("firewall_flushed")), FLUSHED, tried=("stop_cleanly",))
    assert doing(flushed)[0] == "restart_docker" and len(doing(flushed)) > 1


def test_what_belongs_to_others_is_not_stopped_by_us(recorded_look: Looks) -> None:
    look = ended(recorded_look("docker_killed"), "nginx")
    look["engine"]["living"][0]["project"] = "other"
    assert doing(decided(look, KILLED, tried=("stop_cleanly",))) == ["start_docker"]
    assert doing(decided(look, "start_docker:1-containers")) == ["start_docker"]


@pytest.mark.parametrize(("fault", "confirm"), [("docker_killed", KILLED), ("firewall_flushed", FLUSHED)])
def test_a_confirmation_stays_good_for_what_was_interrupted(recorded_look: Looks, fault: str, confirm: str) -> None:
    look = ended(recorded_look(fault), "monerod", "database")
    look["engine"]["interrupted_stop"] = {"of": 11}
    assert decided(look)["confirm"][0]["what"] == confirm
    assert doing(decided(look, confirm))[0] == "stop_cleanly"


@pytest.mark.parametrize(("fault", "confirm"), [("docker_killed", KILLED), ("firewall_flushed", FLUSHED)])
def test_nothing_is_stopped_for_a_daemon_that_could_not_start(recorded_look: Looks, fault: str, confirm: str) -> None:
    look = recorded_look(fault)
    look["engine"]["settings_problem"] = "/etc/docker/daemon.json is no JSON at line 3, column 1 (Expecting value)"
    found = decided(look, confirm)
    assert doing(found) == [] and "line 3, column 1" in found["escalate"][0]["sentence"]


@pytest.mark.parametrize(("fault", "step"), [("docker_killed", "start_docker"), ("firewall_flushed", "restart_docker")])
def test_it_is_tried_once(recorded_look: Looks, fault: str, step: str) -> None:
    found = decided(recorded_look(fault), KILLED, FLUSHED, tried=("stop_cleanly", step))
    assert doing(found) == [] and len(found["escalate"]) == 1


def test_without_containers_a_flushed_firewall_is_mended_at_once(recorded_look: Looks) -> None:
    assert doing(decided(ended(recorded_look("firewall_flushed"))))[0] == "restart_docker"


def ports_kept(look: dict[str, Any], since: str = "2026-11-24T11:00:00Z", **more: Any) -> dict[str, Any]:
    """As a daemon leaves them that was stopped while it started nginx: everybody else runs."""
    look["engine"]["firewall"] = {"missing": []}
    look["engine"]["living"] = [one for one in look["engine"]["living"] if one["service"] != "nginx"]
    exit_now(look, "nginx")
    look["endpoints"][1].update(status=None, error="reset")
    proxy = {
        "service": "nginx", "address": "0.0.0.0", "protocol": "tcp", "pid": 194, "command": "docker-proxy", "user": "root",
        "since": since, "unit": None, "container_id": None, "parent": 74, "proxy": True, "publisher": None,
        "publishers_known": True, "kept_by_engine": True, **more,
    }  # fmt: skip
    look["network"] = {**look["network"], "holders": [{**proxy, "port": 80}, {**proxy, "port": 443, "pid": 185}]}
    return look


def test_ports_that_the_daemon_keeps_for_nobody_are_asked_for(recorded_look: Looks) -> None:
    look = ports_kept(recorded_look("firewall_flushed"))
    asked = decided(look)
    assert roots(asked) == [("ports-kept", None)] and doing(asked) == []
    assert asked["causes"][0]["sentence"] == "Docker keeps 80/tcp and 443/tcp of nginx for a container that it does not run"
    assert "docker-proxy (pid 194, since 11:00:00 UTC) is a child of the running daemon" in asked["causes"][0]["evidence"][0]
    assert asked["causes"][1]["sentence"].startswith(
        "nginx does not run and cannot start, because Docker keeps 80/tcp and 443/tcp of nginx"
    )
    assert asked["escalate"] == [] and asked["hopeless"] == ["nginx"]
    assert [(one["what"], one["given"]) for one in asked["confirm"]] == [("restart_docker:10-containers", False)]
    assert doing(decided(look, "restart_docker:10-containers")) == ["stop_cleanly"]
    assert doing(decided(ended(look), "restart_docker:10-containers", tried=("stop_cleanly",)))[0] == "restart_docker"


def test_where_nothing_lives_the_ports_come_back_at_once_and_where_nobody_can_tell_not_at_all(recorded_look: Looks) -> None:
    for prepare in (ports_kept, lambda look: look):
        look = prepare(recorded_look("firewall_flushed"))
        look["engine"]["living"] = []
        found = decided(look)
        assert doing(found) == [] and found["confirm"] == [], "ten services run, whatever Docker's files say"
        assert "leave them cleanly by hand" in found["escalate"][0]["sentence"]
        for one in look["services"]:
            exit_now(look, one["name"], 0)
        assert doing(decided(look))[0] == "restart_docker"


def test_somebody_else_on_another_port_of_it_goes_first(recorded_look: Looks) -> None:
    look = ports_kept(recorded_look("firewall_flushed"))
    look["network"]["holders"][0].update(command="apache2", proxy=False, kept_by_engine=False, parent=1)
    found = decided(look)
    assert roots(found) == [("port-taken", "nginx")] and found["confirm"] == []
    assert "apache2" in found["escalate"][0]["sentence"] or "apache2" in found["causes"][0]["sentence"]


def test_ports_of_a_frozen_service_are_worth_no_restart(recorded_look: Looks) -> None:
    found = decided(ports_kept(recorded_look("firewall_flushed")), frozen={"nginx": "payouts are frozen"})
    assert found["confirm"] == [] and "payouts are frozen" in found["escalate"][0]["sentence"]


def test_with_flushed_rules_one_restart_answers_both(recorded_look: Looks) -> None:
    look = ports_kept(recorded_look("firewall_flushed"))
    look["engine"]["firewall"] = {"missing": ["nat has no chain DOCKER"]}
    found = decided(look)
    assert [cause for cause, _service in roots(found)] == ["firewall-flushed", "ports-kept"]
    assert [one["what"] for one in found["confirm"]] == ["restart_docker:10-containers"]


def test_with_live_restore_nobody_claims_that_all_containers_end(recorded_look: Looks) -> None:
    look = ports_kept(recorded_look("firewall_flushed"))
    assert "it ends all containers" in decided(look)["confirm"][0]["why"]
    look["daemon"]["live_restore"] = True
    assert "though live-restore is on" in decided(look)["confirm"][0]["why"]


def test_ports_that_are_kept_again_are_not_freed_again(recorded_look: Looks) -> None:
    found = decided(ports_kept(recorded_look("firewall_flushed")), tried=("restart_docker",))
    assert doing(found) == [] and found["confirm"] == [] and "keeps ports again" in found["escalate"][0]["sentence"]


def test_a_proxy_of_a_start_under_way_is_waited_for(recorded_look: Looks) -> None:
    look = recorded_look("firewall_flushed")
    ports_kept(look, since=utc(look["clock"] - 5))
    found = decided(look)
    assert doing(found) == [] and found["confirm"] == [] and not found["decided"]
    assert found["waiting"][0] == {"service": "docker", "for": "nginx, which somebody may be starting just now"}
    assert decided(look, patience_over=True)["confirm"][0]["what"] == "restart_docker:10-containers"


@pytest.mark.parametrize("rules", [None, {"missing": []}])
def test_whole_or_unknown_rules_are_no_cause(recorded_look: Looks, rules: Any) -> None:
    look = recorded_look("firewall_flushed")
    look["engine"]["firewall"] = rules
    assert decided(look)["causes"] == [] and decided(look)["settled"]


def test_a_halted_daemon_goes_on(recorded_look: Looks) -> None:
    look = recorded_look("docker_halted")
    found = decided(look)
    assert roots(found) == [("docker-hung", None)] and doing(found) == ["resume_docker"]
    assert "halted by a signal (state T)" in found["causes"][0]["sentence"]
    assert found["steps"][0]["details"] == [{"pid": look["engine"]["process"]["pid"]}]
    assert "the site still answers" in found["steps"][0]["reason"]


def test_a_daemon_that_is_halted_again_is_left_to_a_person(recorded_look: Looks) -> None:
    found = decided(recorded_look("docker_halted"), tried=("resume_docker",))
    assert doing(found) == [] and "SIGCONT" in found["escalate"][0]["sentence"]


def test_a_daemon_that_hangs_by_itself_is_not_restarted_while_containers_serve(recorded_look: Looks) -> None:
    look = recorded_look("docker_halted")
    look["engine"]["process"]["state"] = "S"
    found = decided(look)
    assert doing(found) == [] and "the site still answers" in found["escalate"][0]["sentence"]
    assert "not restarted by itself" in found["escalate"][0]["sentence"]


def test_what_did_not_come_back_after_a_boot(recorded_look: Looks) -> None:
    found = decided(recorded_look("host_rebooted"))
    told = [one["sentence"] for one in found["causes"] if one["cause"] == "host-rebooted"]
    assert told == ["the host was rebooted at 15:03:31 UTC; server and nginx did not come back (restart policy no)"]
    assert doing(found) == ["start:server,nginx"]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"restart_policy": "unless-stopped"}, "exited"),
        ({"after_boot": -3600.0}, "exited"),  # it had ended long before
        ({"after_boot": 30.0}, "exited"),  # it came back, and ended then
        ({"after_boot": 30.0, "exit_code": 255}, "host-rebooted"),  # the daemon noted its end late, after a power cut
        ({"after_boot": 900.0, "exit_code": 255}, "exited"),
        ({"after_boot": -5.0, "restart_policy": "on-failure"}, "host-rebooted"),
    ],
)
def test_whether_it_was_the_boot(recorded_look: Looks, change: dict[str, Any], cause: str) -> None:
    look = recorded_look("host_rebooted")
    server, boot = service(look, "server"), epoch(look["engine"]["booted_at"])
    assert boot is not None
    if "after_boot" in change:
        server["finished_at"] = utc(boot + change.pop("after_boot"))
    server.update(change)
    service(look, "nginx")["state"] = "running"
    assert (cause, "server") in roots(decided(look))


def test_a_look_that_says_nothing_of_the_boot(recorded_look: Looks) -> None:
    look = recorded_look("host_rebooted")
    del look["engine"]
    assert {("exited", "server"), ("exited", "nginx")} <= set(roots(decided(look)))


@pytest.mark.parametrize(
    ("up", "patience_over", "asked"), [(30.0, False, False), (30.0, True, True), (600.0, False, True), (600.0, True, True)]
)
def test_a_wallet_that_has_just_started_is_waited_for(
    recorded_look: Looks, up: float, patience_over: bool, asked: bool
) -> None:
    look = recorded_look("healthy")
    wallet = service(look, "monero-wallet-rpc-buyer")
    wallet.update(health="unhealthy", started_at=utc(look["clock"] - up))
    found = decided(look, careful=frozenset([wallet["name"]]), patience_over=patience_over)
    assert [one["what"] for one in found["confirm"]] == (["restart:monero-wallet-rpc-buyer"] if asked else [])
    assert found["decided"] is asked
