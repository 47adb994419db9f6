# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The containers of the daemon and the wallets: by Docker where it answers at once, else by the engine's own files.

Nothing here waits for a daemon that hangs, and nothing wakes one that is down.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _compose_engine,
    _compose_parse,
    _engine_files,
    _engine_process,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_processes as processes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import engine_root, would_be_awakened
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, clean_lines

DIRECTORY = "com.docker.compose.project.working_dir"
# Of several containers of one service the one that works speaks for it.
_BEST_FIRST = ("running", "restarting", "paused", "exited", "created", "dead")


@dataclass(frozen=True)
class Container:
    """As Docker or its files tell it; what they do not say is None or empty."""

    id: str
    name: str
    status: str
    started_at: str | None
    pid: int | None
    exit_code: int | None
    restart_count: int | None
    image: str
    address: str
    log_path: str
    working_dir: str
    upper_dir: str

    def as_dict(self) -> dict[str, Any]:
        shown = ("id", "name", "status", "started_at", "pid", "exit_code", "restart_count", "image")
        return {key: getattr(self, key) for key in shown}


@dataclass(frozen=True)
class Found:
    """by_service lacks a service without a container. known is false where neither Docker nor its files told anything."""

    by_service: dict[str, Container]
    known: bool
    through: str


def find(project_dir: str, services: list[str], timeout: float) -> Found:
    """One container for each service that has one."""
    said, through = None, "docker"
    if services and not _silent():
        said = _by_docker(time.monotonic() + timeout)
    if services and said is None:
        root = engine_root()
        said, through = _engine_files.notes(root), "files"
        if not said and not os.path.isdir(os.path.join(root, "containers")):
            return Found({}, False, "nothing")
    found: dict[str, list[Container]] = {}
    for one in _of_project(said or [], project_dir):
        labels = _dict(_dict(one, "Config"), "Labels")
        service = str(labels.get(_engine_files.SERVICE) or "")
        if service in services:
            found.setdefault(service, []).append(container(one))
    best = {name: min(those, key=lambda one: _BEST_FIRST.index(one.status)) for name, those in found.items()}
    return Found(best, bool(services), through)


def _by_docker(deadline: float) -> list[dict[str, Any]] | None:
    """Both questions within one time; None where they were not answered in it."""
    only = f"label={_engine_files.PROJECT}"
    listed = run(["docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", only], deadline - time.monotonic())
    ids = clean_lines(listed.out)
    if not listed.ok or not ids:
        return [] if listed.ok else None
    answer = run(["docker", "inspect", "--type", "container", *ids], max(0.0, deadline - time.monotonic()))
    if answer.timed_out or not answer.out:
        return None
    try:
        return _compose_parse.objects(answer.out)
    except _compose_parse.Unusable:
        return None


def _silent() -> bool:
    """Whether the question would be in vain, or would start a daemon that is down."""
    if would_be_awakened(_compose_engine.read_units()):
        return True
    pid = _engine_process.daemon_pid() if _engine_process.is_local() else None
    return pid is not None and _engine_process.state(pid) == "T"


def _of_project(containers: list[dict[str, Any]], project_dir: str) -> list[dict[str, Any]]:
    """Those that Compose made from this folder; where none says so (it was moved, or linked), all of the only project there is."""
    wanted = os.path.realpath(project_dir)
    labelled = [(one, _dict(_dict(one, "Config"), "Labels")) for one in containers]
    here = [one for one, labels in labelled if os.path.realpath(str(labels.get(DIRECTORY) or "/")) == wanted]
    projects = {str(labels.get(_engine_files.PROJECT)) for _one, labels in labelled if labels.get(_engine_files.PROJECT)}
    if here or len(projects) != 1:
        return here
    return [one for one, labels in labelled if labels.get(_engine_files.PROJECT)]


def container(one: dict[str, Any]) -> Container:
    """From what inspect says, or from the engine's note, which has the same parts."""
    state, config, network = _dict(one, "State"), _dict(one, "Config"), _dict(one, "NetworkSettings")
    identity = str(one.get("Id") or one.get("ID") or "")
    pid = state.get("Pid")
    pid = pid if isinstance(pid, int) and pid > 1 else None
    status = clean_line(str(state.get("Status") or ""), 20) or _status(state, pid, identity)
    exit_code, restarts = state.get("ExitCode"), one.get("RestartCount")
    return Container(
        id=identity,
        name=clean_line(str(one.get("Name") or "").lstrip("/"), 100),
        status=status if status in _BEST_FIRST else "dead",
        started_at=clean_line(str(state.get("StartedAt") or ""), 40) or None,
        pid=pid if status in ("running", "paused") else None,
        exit_code=exit_code if isinstance(exit_code, int) and status in ("exited", "dead", "restarting") else None,
        restart_count=restarts if isinstance(restarts, int) else None,
        image=clean_line(str(config.get("Image") or one.get("Image") or ""), 200),
        address=_address(network),
        log_path=str(one.get("LogPath") or ""),
        working_dir=str(config.get("WorkingDir") or "/"),
        upper_dir=str(_dict(_dict(one, "GraphDriver"), "Data").get("UpperDir") or ""),
    )


def _status(state: dict[str, Any], pid: int | None, identity: str) -> str:
    """The engine's note has flags only, and may be older than the process it speaks of."""
    if state.get("Dead") or state.get("RemovalInProgress"):
        return "dead"
    if state.get("Restarting"):
        return "restarting"
    if state.get("Running"):
        alive = pid is not None and processes.start_ticks(pid) is not None and _engine_files.lives_in(pid, identity)
        return "exited" if not alive else "paused" if state.get("Paused") else "running"
    return "created" if str(state.get("StartedAt") or "0001").startswith("0001") else "exited"


def _address(network: dict[str, Any]) -> str:
    if "host" in _dict(network, "Networks"):
        return "127.0.0.1"
    for key, shape in (("IPAddress", "{}"), ("GlobalIPv6Address", "[{}]")):
        for _name, one in sorted(_dict(network, "Networks").items()):
            found = clean_line(str(one.get(key) or ""), 60) if isinstance(one, dict) else ""
            if found:
                return shape.format(found)
    return ""


def _dict(one: dict[str, Any], key: str) -> dict[str, Any]:
    found = one.get(key)
    return found if isinstance(found, dict) else {}
