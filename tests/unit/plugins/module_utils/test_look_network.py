# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at names, addresses, ports and subnets."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _engine_process, _host_ports, _look_network
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_parse import Declared, Project

NET = "marketplace_default"
LEFTOVERS = [f"172.{n}.0.0/16" for n in range(17, 32)] + [f"192.168.{n}.0/20" for n in range(0, 256, 16)]


def project(port: int = 0) -> Project:
    ports = [{"address": "", "port": port, "protocol": "tcp"}] if port else []
    server = Declared("server", "image", networks={NET: {"aliases": [], "address": None}}, ports=ports)
    return Project("marketplace", {"server": server}, {NET: True})


def container(networks: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    inspected = {
        "Id": "e" * 64, "Name": "/marketplace-server-1", "State": {"Status": "running"}, "NetworkSettings": {"Networks": networks},
    }  # fmt: skip
    return {"server": [inspected]}


def service(state: str = "running") -> list[dict[str, Any]]:
    return [{"name": "server", "state": state, "wanted_containers": 1}]


def network(name: str, subnet: str, **more: Any) -> dict[str, Any]:
    return {
        "Name": name, "Id": name * 4, "Driver": "bridge", "Scope": "local", "Created": name, "Containers": {},
        "IPAM": {"Config": [{"Subnet": subnet}]}, **more,
    }  # fmt: skip


def look(engine: Any, of: Project, containers: Any, services: Any, state_dir: str = "/nonexistent") -> dict[str, Any]:
    found = _look_network.look(of, containers, services, 30.0, state_dir)
    assert found is not None
    json.dumps(found)  # fit to travel
    return found


def test_nothing_is_said_where_the_engine_says_nothing() -> None:
    assert _look_network.look(project(), None, service(), 3.0, "/nonexistent") is None


def test_names_and_addresses_of_what_runs(engine: Any) -> None:
    engine.says("docker_network", f"bridge\n{NET}\n")
    end = {"Aliases": ["efc0"], "IPAddress": "172.19.0.8", "IPAMConfig": {"IPv4Address": "172.19.0.8"}}
    found = look(engine, project(), container({NET: end}), service())
    assert found["missing"] == []
    assert found["subnets"] is None
    assert found["holders"] == []
    assert found["attachments"] == [
        {
            "service": "server", "container": "marketplace-server-1", "network": NET, "attached": True,
            "names": ["marketplace-server-1", "efc0"], "wanted_names": ["server"], "address": "172.19.0.8",
            "wanted_address": "172.19.0.8", "left_by_us": False,
        }
    ]  # fmt: skip


def test_whose_doing_it_is_that_a_container_is_on_no_network(engine: Any, tmp_path: Path) -> None:
    engine.says("docker_network", f"{NET}\n")

    def ours(attempts: Any) -> bool:
        (tmp_path / "attempts.json").write_text(json.dumps({"attempts": attempts}))
        found = look(engine, project(), container({}), service(), str(tmp_path))["attachments"][0]
        assert found["attached"] is False
        return bool(found["left_by_us"])

    now = time.time()
    assert ours([{"action": "start:nginx reconnect:database,server", "at": now - 60}])
    assert not ours([{"action": "reconnect:server", "at": now - 90000}])
    assert not ours([{"action": "restart:server reconnect:nginx", "at": now}])
    assert not ours([{"action": 5}])


def test_a_project_network_that_is_gone_while_no_subnet_is_free(engine: Any) -> None:
    networks = [
        network(f"n{number:02}", subnet, **({"Labels": {"com.docker.compose.project": "other"}} if number == 3 else {}))
        for number, subnet in enumerate(LEFTOVERS)
    ]
    engine.does("docker_network", f"[ $2 = inspect ] && echo '{json.dumps(networks)}' || printf 'n01\\nn02\\n'")
    engine.does("docker_ps", "printf 'n00,n01\\n'")
    engine.does("docker_info", "echo null")
    found = look(engine, project(), {}, service("missing"))
    assert found["missing"] == [NET]
    subnets = found["subnets"]
    assert (subnets["needed"], subnets["free"], subnets["networks"]) == (1, 0, len(LEFTOVERS))
    assert [one["name"] for one in subnets["unused"]] == [f"n{n:02}" for n in range(2, len(LEFTOVERS)) if n != 3]
    assert subnets["unused_of_projects"] == ["n03"]
    # Nobody asks for it while all services run.
    assert look(engine, project(), {}, service())["subnets"] is None


def test_an_engine_that_does_not_tell_its_networks(engine: Any) -> None:
    found = look(engine, project(), {}, service("missing"))
    assert found["missing"] is None
    assert found["subnets"] is None


def test_who_listens_where_a_service_is_to_be_published(engine: Any) -> None:
    engine.says("docker_network", f"{NET}\n")
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        holder = look(engine, project(port), {}, service("exited"))["holders"][0]
        assert look(engine, project(port), {}, service("running"))["holders"] == []
    assert (holder["service"], holder["port"], holder["address"]) == ("server", port, "127.0.0.1")
    assert holder["pid"] == os.getpid()
    assert holder["since"].endswith("Z")
    assert not holder["proxy"]


@pytest.mark.parametrize(
    ("answer", "publisher", "known"),
    [("printf 'shop-web-1\\tshop\\tweb\\n'", "shop-web-1", True), ("true", None, True), ("exit 1", None, False)],
)
def test_a_proxy_of_the_engine_is_named_by_its_container(
    engine: Any, monkeypatch: pytest.MonkeyPatch, answer: str, publisher: str | None, known: bool
) -> None:
    held_by(monkeypatch, pid=7, parent=12)
    monkeypatch.setattr(_engine_process, "daemon_pid", lambda: 12)
    engine.does("docker_ps", answer)
    found = look(engine, project(8080), {}, service("exited"))["holders"][0]
    assert found["proxy"]
    assert (found["publisher"], found["publishers_known"]) == (publisher, known)
    assert found["kept_by_engine"] == (answer == "true")


@pytest.mark.parametrize(
    ("holder", "host", "kept", "proxy"),
    [
        ({"pid": 7, "parent": 12}, "", True, True),
        ({"pid": 7, "parent": 1}, "", False, True),
        # A daemon with another socket has a project of its own.
        ({"pid": 7, "parent": 12}, "unix:///run/user/1000/docker.sock", False, True),
        # userland-proxy: false
        ({"pid": 12, "parent": 1, "command": "dockerd"}, "", True, True),
        ({"pid": 12, "parent": 1, "command": "dockerd"}, "tcp://10.0.0.1:2375", False, False),
    ],
)
def test_only_what_the_daemon_that_is_asked_holds_is_kept_by_it(
    engine: Any, monkeypatch: pytest.MonkeyPatch, holder: dict[str, Any], host: str, kept: bool, proxy: bool
) -> None:
    held_by(monkeypatch, **holder)
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setattr(_engine_process, "daemon_pid", lambda: 12)
    engine.does("docker_ps", "true")
    found = look(engine, project(8080), {}, service("exited"))["holders"][0]
    assert (found["kept_by_engine"], found["proxy"]) == (kept, proxy)


def held_by(monkeypatch: pytest.MonkeyPatch, **holder: Any) -> None:
    found = {"command": "docker-proxy", "pid": 7, "parent": 1, **holder}
    monkeypatch.setattr(_host_ports, "holders", lambda wanted: [{**one, **found} for one in wanted])


def test_another_container_of_the_same_service_is_not_in_the_way(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held_by(monkeypatch)
    engine.does("docker_ps", "printf 'marketplace-server-2\\tmarketplace\\tserver\\n'")
    assert look(engine, project(8080), {}, service("exited"))["holders"] == []


def test_a_proxy_that_the_engine_has_just_started_is_asked_for_again(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its container is not called running before it."""
    held_by(monkeypatch)
    engine.does("docker_ps", "[ -e $0.asked ] && printf 'marketplace-server-1\\tmarketplace\\tserver\\n'; touch $0.asked")
    assert look(engine, project(8080), {}, service("restarting"))["holders"] == []


def test_a_proxy_that_ends_a_moment_later_is_in_nobodys_way(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([["docker-proxy"], []])
    monkeypatch.setattr(
        _host_ports,
        "holders",
        lambda wanted: [{**wanted[0], "command": command, "pid": 7, "parent": 1} for command in next(looks)],
    )
    engine.does("docker_ps", "true")
    assert look(engine, project(8080), {}, service("restarting"))["holders"] == []


def test_an_nginx_and_its_workers(tmp_path: Path) -> None:
    def process(pid: int, parent: int, title: str, cgroup: str, comm: str = "nginx") -> None:
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "comm").write_text(f"{comm}\n")
        (folder / "cmdline").write_bytes(title.encode() + b"\0\0")
        (folder / "stat").write_text(f"{pid} ({comm}) S {parent} 1 1 0")
        (folder / "cgroup").write_text(f"0::/system.slice/docker-{cgroup}.scope\n")

    process(10, 1, "nginx: master process nginx -c /etc/n.conf", "e" * 64)
    process(12, 10, "nginx: worker process", "e" * 64)
    process(11, 10, "nginx: worker process is shutting down", "e" * 64)
    process(20, 1, "nginx: master process nginx", "f" * 64)
    process(30, 1, "python3 nginx", "e" * 64, comm="python3")
    assert _look_network._nginx({"nginx": [{"Id": "e" * 64}]}, str(tmp_path)) == [
        {"service": "nginx", "container_id": "e" * 64, "pid": 10, "options": ["-c", "/etc/n.conf"], "workers": [12]}
    ]
