# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The engine's own notes of its containers, for the time in which no daemon answers: who lives, and where."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import dataclass
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_processes as processes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import container_of
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

# What the engine itself waits where a container says nothing.
STOP_TIMEOUT = 10.0
PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"


@dataclass(frozen=True)
class Living:
    """A container whose main process is alive. pid and started together name one process, also after pids were used again."""

    container_id: str
    name: str
    project: str
    service: str
    pid: int
    started: int
    address: str
    user: str
    stop_signal: int
    stop_timeout: float
    paused: bool
    # On each of its networks.
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    # Ports of the host that lead to it.
    published: tuple[int, ...] = ()

    @property
    def lives(self) -> bool:
        return processes.start_ticks(self.pid) == self.started

    def as_dict(self) -> dict[str, Any]:
        return {
            "service": self.service, "project": self.project, "container_id": self.container_id, "name": self.name, "pid": self.pid,
            "address": self.address, "user": self.user, "stop_timeout": self.stop_timeout, "paused": self.paused,
        }  # fmt: skip


def living(root: str) -> list[Living]:
    """Every container of the engine whose main process is alive; by the engine's notes, believed only where /proc agrees."""
    return [one for one in map(_living, notes(root)) if one is not None]


def notes(root: str) -> list[dict[str, Any]]:
    """What the engine has noted of each container, running or not."""
    folder = os.path.join(root, "containers")
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    found = [_note(os.path.join(folder, name, "config.v2.json")) for name in names]
    return [note for note in found if note]


def name_of(root: str, identity: str) -> str:
    """What a container is called, also one of no Compose project; empty where the engine has no note of it."""
    note = _note(os.path.join(root, "containers", identity, "config.v2.json"))
    return clean_line(str((note or {}).get("Name") or "").lstrip("/"), 100)


def service_of(root: str, identity: str) -> str:
    """The Compose service of a container, by its label; empty where it is none's."""
    note = _note(os.path.join(root, "containers", identity, "config.v2.json")) or {}
    return clean_line(str(_dict(_dict(note, "Config"), "Labels").get(SERVICE) or ""), 100)


def _note(path: str) -> dict[str, Any] | None:
    try:
        with open(path, encoding="utf-8") as file:
            note = json.load(file)
    except (OSError, ValueError):
        return None  # half created: nothing runs in it
    return note if isinstance(note, dict) else None


def _living(note: dict[str, Any]) -> Living | None:
    state, config = _dict(note, "State"), _dict(note, "Config")
    pid, identity = state.get("Pid"), str(note.get("ID") or "")
    if not isinstance(pid, int) or pid <= 1 or not identity:
        return None
    started = processes.start_ticks(pid)
    if started is None or not lives_in(pid, identity):
        return None
    labels = _dict(config, "Labels")
    timeout = config.get("StopTimeout")
    return Living(
        container_id=identity,
        name=clean_line(str(note.get("Name") or "").lstrip("/"), 100),
        project=clean_line(str(labels.get(PROJECT) or ""), 100),
        service=clean_line(str(labels.get(SERVICE) or ""), 100),
        pid=pid,
        started=started,
        address=_address(note),
        user=clean_line(str(config.get("User") or "root"), 100),
        stop_signal=signal_number(config.get("StopSignal")),
        stop_timeout=float(timeout) if isinstance(timeout, int) and timeout >= 0 else STOP_TIMEOUT,
        paused=state.get("Paused") is True,
        addresses=_of_networks(note, "IPAddress"),
        gateways=_of_networks(note, "Gateway"),
        published=_published(note),
    )


def lives_in(pid: int, identity: str) -> bool:
    """Whether a process is in that container: a pid alone may be somebody else's by now."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            return container_of(file.read()) == identity
    except OSError:
        return False


def _dict(note: dict[str, Any], key: str) -> dict[str, Any]:
    found = note.get(key)
    return found if isinstance(found, dict) else {}


def _of_networks(note: dict[str, Any], key: str) -> tuple[str, ...]:
    networks = _dict(_dict(note, "NetworkSettings"), "Networks")
    found = [str(one.get(key) or "") for _name, one in sorted(networks.items()) if isinstance(one, dict)]
    return tuple(clean_line(address, 60) for address in found if address)


def _address(note: dict[str, Any]) -> str:
    return next(iter(_of_networks(note, "IPAddress")), "")


def _published(note: dict[str, Any]) -> tuple[int, ...]:
    found: set[int] = set()
    for inside, bindings in _dict(_dict(note, "NetworkSettings"), "Ports").items():
        for one in bindings if str(inside).endswith("/tcp") and isinstance(bindings, list) else []:
            port = str(one.get("HostPort") or "") if isinstance(one, dict) else ""
            if port.isdecimal() and 0 < int(port) < 65536:
                found.add(int(port))
    return tuple(sorted(found))


def signal_number(text: Any) -> int:
    """SIGQUIT, QUIT and 3 are the same; nothing, or nonsense, is SIGTERM."""
    said = str(text or "").upper()
    if said.isdecimal() and 0 < int(said) < signal.NSIG:
        return int(said)
    real_time = re.fullmatch(r"(?:SIG)?RT(MIN\+|MAX-)(\d{1,2})", said)
    if real_time is not None:
        offset = int(real_time.group(2))
        number = signal.SIGRTMIN + offset if real_time.group(1) == "MIN+" else signal.SIGRTMAX - offset
        return number if signal.SIGRTMIN <= number <= signal.SIGRTMAX else int(signal.SIGTERM)
    found = getattr(signal, said if said.startswith("SIG") else f"SIG{said}", None)
    return int(found) if isinstance(found, signal.Signals) else int(signal.SIGTERM)


def signal_name(number: int) -> str:
    """SIGTERM; the number itself for one of the real-time signals, most of which have no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
