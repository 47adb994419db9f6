# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repair did, measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_changes import changes

Looks = Callable[[str], dict[str, Any]]


def service(look: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in look["services"] if one["name"] == name)
    return found


def begin(look: dict[str, Any], name: str, stamp: str, **more: Any) -> None:
    one = service(look, name)
    one.update(started_at=stamp, **more)
    for container in one["containers"]:
        container.update(started_at=stamp, **{key: more[key] for key in ("state",) if key in more})


def test_nothing_happened(recorded_look: Looks) -> None:
    found = changes(recorded_look("healthy"), recorded_look("healthy"))
    assert (found["did"], found["changed"], found["untouched"]) == ([], False, 5)


def test_killed_ones_were_started_and_the_others_left_alone(recorded_look: Looks) -> None:
    before, after = recorded_look("containers_exited"), recorded_look("containers_exited")
    for name in ("server", "nginx"):
        begin(after, name, "2027-01-01T00:00:00Z", state="running")
    found = changes(before, after)
    assert found["did"] == ["started nginx and server"]
    assert found["untouched"] == 3 and "server" not in found["untouched_services"]


def test_restarted_is_not_started(recorded_look: Looks) -> None:
    before, after = recorded_look("unhealthy"), recorded_look("unhealthy")
    begin(after, "server", "2027-01-01T00:00:00Z", state="running")
    assert changes(before, after)["did"] == ["restarted server"]


def test_created_recreated_and_lost(recorded_look: Looks) -> None:
    gone, there = recorded_look("stack_down"), recorded_look("healthy")
    assert changes(gone, there)["created"] == ["database", "monero-wallet-rpc-buyer", "monerod", "nginx", "server"]
    assert changes(there, gone)["lost"] == changes(gone, there)["created"]
    assert changes(there, gone)["did"] == []
    replaced = recorded_look("healthy")
    service(replaced, "nginx")["containers"][0]["container_id"] = "f" * 64
    assert changes(there, replaced)["did"] == ["recreated nginx"]


def test_a_service_that_died_meanwhile_is_not_untouched(recorded_look: Looks) -> None:
    before, after = recorded_look("healthy"), recorded_look("healthy")
    service(after, "nginx")["containers"][0]["state"] = "exited"
    found = changes(before, after)
    assert found["lost"] == ["nginx"] and found["untouched"] == 4


def test_unpaused_and_resumed_keep_their_start_time(recorded_look: Looks) -> None:
    before = recorded_look("paused")
    after = recorded_look("paused")
    service(after, "server")["containers"][0]["state"] = "running"
    assert changes(before, after)["did"] == ["unpaused server"]
    before, after = recorded_look("hung"), recorded_look("hung")
    service(after, "server")["stopped_processes"] = []
    assert changes(before, after)["did"] == ["resumed server"]


def test_the_daemon_came_back_with_its_containers(recorded_look: Looks) -> None:
    before, after = recorded_look("docker_stopped"), recorded_look("healthy")
    before["clock"] = 1.0
    found = changes(before, after)
    assert found["docker_started"] and found["did"][0] == "started Docker"
    assert "server" in found["started"]
    before["clock"] = 4e9  # live-restore: they have run all the time
    assert changes(before, after)["started"] == []


def test_freed_space_is_measured(recorded_look: Looks) -> None:
    before, after = recorded_look("disk_full"), recorded_look("disk_full")
    after["disk"][0]["available_bytes"] += 2 * 1024**3
    found = changes(before, after)
    assert found["freed_bytes"] == 2 * 1024**3
    assert found["did"] == ["freed 2.0 GiB on /var/lib/docker"]
    after["disk"][0]["available_bytes"] = before["disk"][0]["available_bytes"] + 1000
    assert changes(before, after)["did"] == []
    after["disk"][0]["available_bytes"] = None
    assert changes(before, after)["freed_bytes"] == 0


def network(**more: Any) -> dict[str, Any]:
    end = {
        "service": "server",
        "container": "m-server-1",
        "network": "net",
        "attached": True,
        "address": "172.19.0.8",
        "names": ["server"],
    }
    return {
        "attachments": [{**end, **more}],
        "nginx": [{"service": "nginx", "pid": 5, "workers": [6]}],
        "names": ["net", "left"],
    }


def test_what_changed_though_no_container_was_started(recorded_look: Looks) -> None:
    before, after = recorded_look("healthy"), recorded_look("healthy")
    before["network"], after["network"] = network(names=["efc0"]), network()
    assert changes(before, after)["did"] == ["reconnected server"]
    assert changes(before, after)["untouched"] == 4
    before["network"], after["network"] = network(), network()
    after["network"]["nginx"][0]["workers"] = [9]
    assert changes(before, after)["did"] == ["reloaded nginx"]
    after["network"] = {**network(), "names": ["net"]}
    assert changes(before, after)["did"] == ["removed network left"]


def test_a_look_that_could_not_see_the_network_shows_no_change_of_it(recorded_look: Looks) -> None:
    before, after = recorded_look("healthy"), recorded_look("healthy")
    blind = {**network(), "attachments": [], "nginx": [], "names": None}
    for old, new in ((None, network()), (network(), None), (blind, network()), (network(), blind)):
        before["network"], after["network"] = old, new
        assert changes(before, after)["did"] == []
