# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""One look at what lies between the containers and before them: names, addresses, ports, subnets, the proxy's process."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _engine_process,
    _host_ports,
    _network_parse,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import container_of
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_parse import Project, objects
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, clean_lines

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_PUBLISHERS = f'{{{{.Names}}}}\t{{{{.Label "{_PROJECT}"}}}}\t{{{{.Label "{_SERVICE}"}}}}'
# The engine makes these itself, and they cannot be removed.
_PREDEFINED = ("bridge", "host", "none")
# An intent that an earlier run left behind is remembered for so long.
_REMEMBERED_SECONDS = 900.0


def look(
    project: Project,
    by_service: dict[str, list[dict[str, Any]]] | None,
    services: list[dict[str, Any]],
    timeout: float,
    state_dir: str,
) -> dict[str, Any] | None:
    """None where the engine did not say what runs."""
    if by_service is None:
        return None
    names = _network_names(timeout)
    missing = None if names is None else sorted(set(project.networks) - set(names))
    down = [one["name"] for one in services if one["wanted_containers"] > 0 and one["state"] not in (None, "running", "paused")]
    return {
        "attachments": _attachments(project, by_service, state_dir),
        "nginx": _nginx(by_service),
        "holders": _holders(project, down, timeout) if down else [],
        "names": names,
        "missing": missing,
        "subnets": _subnets(project, missing, timeout) if missing and down else None,
    }


def _network_names(timeout: float) -> list[str] | None:
    answer = run(["docker", "network", "ls", "--format", "{{.Name}}"], timeout)
    return clean_lines(answer.out) if answer.ok else None


def _attachments(project: Project, by_service: dict[str, list[dict[str, Any]]], state_dir: str) -> list[dict[str, Any]]:
    """Each running container at each network its service wants: is it there, and by which names do others find it?"""
    found: list[dict[str, Any]] = []
    for service, containers in sorted(by_service.items()):
        declared = project.services.get(service)
        for container in containers if declared is not None else ():
            if (container.get("State") or {}).get("Status") != "running":
                continue
            there = _network_parse.attachments(container)
            for network, wanted in declared.networks.items() if declared is not None else ():
                end = there.get(network) or {}
                found.append(
                    {
                        "service": service,
                        "container": str(container.get("Name") or "").lstrip("/"),
                        "network": network,
                        "attached": network in there,
                        "names": end.get("names") or [],
                        "wanted_names": [service, *wanted["aliases"]],
                        "address": end.get("address"),
                        "wanted_address": wanted["address"] or end.get("fixed_address"),
                        "left_by_us": network not in there and _was_reconnecting(service, state_dir),
                    }
                )
    return found


def _was_reconnecting(service: str, state_dir: str) -> bool:
    """Whether one of our own runs was about to do it: a container off its network may also have been isolated by a person."""
    try:
        with open(os.path.join(state_dir, "attempts.json"), encoding="utf-8", errors="replace") as file:
            tried = json.load(file)
        return any(
            time.time() - float(one["at"]) < _REMEMBERED_SECONDS
            for one in tried["attempts"]
            for step in str(one["action"]).split()
            if step.startswith("reconnect:") and service in step.partition(":")[2].split(",")
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _nginx(by_service: dict[str, list[dict[str, Any]]], proc: str = "/proc") -> list[dict[str, Any]]:
    """The nginx masters in running containers, with their workers: a reload changes the workers and nothing else."""
    owners = {str(one.get("Id")): service for service, containers in by_service.items() for one in containers}
    masters: dict[int, dict[str, Any]] = {}
    workers: list[tuple[int, int]] = []
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        try:
            with open(f"{proc}/{name}/comm", "rb") as file:
                if file.read(16).strip() != b"nginx":
                    continue
            with open(f"{proc}/{name}/cmdline", "rb") as file:
                title = file.read(4096).replace(b"\0", b" ").decode("utf-8", "replace")
            with open(f"{proc}/{name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
            with open(f"{proc}/{name}/cgroup", encoding="utf-8", errors="replace") as file:
                container = container_of(file.read())
        except (OSError, IndexError, ValueError):
            continue  # it ended while we looked, or is not ours to see
        if container in owners and title.startswith("nginx: master process"):
            masters[int(name)] = {
                "service": owners[str(container)],
                "container_id": container,
                "pid": int(name),
                "options": _network_parse.nginx_options(title),
                "workers": [],
            }
        elif "shutting down" not in title:
            workers.append((parent, int(name)))
    for parent, worker in sorted(workers):
        if parent in masters:
            masters[parent]["workers"].append(worker)
    return [masters[pid] for pid in sorted(masters)]


def _holders(project: Project, down: list[str], timeout: float) -> list[dict[str, Any]]:
    """Who listens where a service that does not run is to be published."""
    wanted = [{"service": name, **port} for name in down for port in project.services[name].ports]
    deadline = time.monotonic() + _host_ports.GONE_WITHIN
    while True:
        found = _with_publishers(project, _host_ports.holders(wanted) if wanted else [], timeout)
        # The engine starts a proxy before the container runs, and ends it after it: for a moment it is nobody's.
        nobodys = [one for one in found if one["proxy"] and one["publishers_known"] and one["publisher"] is None]
        if not nobodys or time.monotonic() >= deadline:
            return found
        time.sleep(_host_ports.POLL_SECONDS)


def _with_publishers(project: Project, holders: list[dict[str, Any]], timeout: float) -> list[dict[str, Any]]:
    """Each with the container it listens for, without those that do so for the service itself."""
    found: list[dict[str, Any]] = []
    daemon = _engine_process.daemon_pid() if _engine_process.is_local() else None
    for one in holders:
        # Without its userland proxy the daemon itself listens.
        own = daemon is not None and daemon in (one["pid"], one["parent"])
        one["proxy"] = one["command"] == "docker-proxy" or own
        publishers = _publishers(one, timeout) if one["proxy"] else []
        if any((other, service) == (project.name, one["service"]) for _name, other, service in publishers or []):
            continue  # another container of the same service
        one["publisher"] = publishers[0][0] if publishers else None
        one["publishers_known"] = publishers is not None
        one["kept_by_engine"] = own and publishers == []
        found.append(one)
    return found


def _publishers(holder: dict[str, Any], timeout: float) -> list[tuple[str, str, str]] | None:
    wanted = f"publish={holder['port']}/{holder['protocol']}"
    answer = run(["docker", "ps", "--filter", wanted, "--format", _PUBLISHERS], timeout)
    if not answer.ok:
        return None
    rows = [line.split("\t") for line in answer.out.decode("utf-8", "replace").splitlines()]
    return [(clean_line(row[0], 80), row[1], row[2]) for row in rows if len(row) == 3]


def _subnets(project: Project, missing: list[str], timeout: float) -> dict[str, Any] | None:
    """Whether the engine has a subnet left for the networks that are to be made, and which networks nobody uses."""
    needed = [name for name in missing if project.networks[name]]
    listed = run(["docker", "network", "ls", "--quiet", "--no-trunc"], timeout)
    ids = clean_lines(listed.out) if listed.ok else []
    told = run(["docker", "network", "inspect", *ids], timeout * 2) if ids else listed
    # A stopped container holds its network too, and only here it is listed.
    used = run(["docker", "ps", "--all", "--no-trunc", "--format", "{{.Networks}}"], timeout)
    pools = run(["docker", "info", "--format", "{{json .DefaultAddressPools}}"], timeout)
    if not (needed and ids and told.ok and used.ok and pools.ok):
        return None
    try:
        networks = objects(told.out)
        taken = [str(block.get("Subnet")) for one in networks for block in (one.get("IPAM") or {}).get("Config") or []]
        with open("/proc/net/route", encoding="ascii", errors="replace") as file:
            taken += _network_parse.routes(file.read())
        settings = json.loads(pools.out)
    except (OSError, ValueError):
        return None
    held = {name for line in clean_lines(used.out, limit=4000) for name in line.split(",")}
    # An external network has no label and, while the stack is down, no container; it is the project's all the same.
    held |= {*project.networks, *(name for one in project.services.values() for name in one.networks)}
    idle = sorted((one for one in networks if _is_idle(one, held)), key=lambda one: str(one.get("Created")))
    return {
        "needed": len(needed),
        "free": _network_parse.free_subnets(settings, taken, len(needed)),
        "networks": len(networks),
        # The oldest first: what was made a moment ago may be about to be used.
        "unused": [{"name": str(one["Name"]), "id": str(one["Id"])} for one in idle if not _owner(one)],
        "unused_of_projects": [clean_line(str(one["Name"]), 80) for one in idle if _owner(one)],
    }


def _is_idle(network: dict[str, Any], held: set[str]) -> bool:
    return (
        network.get("Name") not in (*_PREDEFINED, *held)
        and network.get("Driver") == "bridge"
        and network.get("Scope") == "local"
        and not network.get("Containers")
    )


def _owner(network: dict[str, Any]) -> str | None:
    owner = (network.get("Labels") or {}).get(_PROJECT)
    return str(owner) if owner else None
