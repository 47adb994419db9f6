# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What the host itself knows: file systems, stopped processes, the kernel's word on memory, systemd's units."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

UNITS = ("docker.service", "docker.socket")
UNITS_QUESTION = ("systemctl", "show", "--property=Id,LoadState,ActiveState", *UNITS)

_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_OUT_OF_MEMORY = re.compile(r"oom-kill:.*|Task in \S+ killed as a result of limit.*")
_UPTIME = re.compile(r"^\[\s*(\d+\.\d+)\]")
_EPOCH = re.compile(r"^(\d{9,}\.\d+) ")


def unit_states(text: str) -> dict[str, str | None]:
    """The states of Docker's two units; None where there is no such unit (or no systemd)."""
    states: dict[str, str | None] = {"docker": None, "socket": None}
    for block in text.split("\n\n"):
        found = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        key = {"docker.service": "docker", "docker.socket": "socket"}.get(found.get("Id", ""))
        if key is not None and found.get("LoadState") != "not-found":
            states[key] = clean_line(found.get("ActiveState", ""), 40) or None
    return states


def would_be_awakened(units: dict[str, str | None]) -> bool:
    """Whether the mere question to the socket would start a daemon that is down."""
    return units["socket"] == "active" and units["docker"] in ("inactive", "failed")


def filesystem(path: str, purpose: str) -> dict[str, Any]:
    """Space and inodes below a path, counted as df counts them; nulls where the path cannot be asked."""
    found: dict[str, Any] = {
        "path": path,
        "mount": None,
        "purpose": purpose,
        "size_bytes": None,
        "available_bytes": None,
        "used_percent": None,
        "inodes_used_percent": None,
    }
    try:
        stat = os.statvfs(path)
        found["mount"] = mount_of(path)
    except OSError:
        return found
    used = stat.f_blocks - stat.f_bfree
    found["size_bytes"] = stat.f_blocks * stat.f_frsize
    found["available_bytes"] = stat.f_bavail * stat.f_frsize
    found["used_percent"] = _percent(used, used + stat.f_bavail)
    # Some file systems have no fixed number of inodes and say 0.
    found["inodes_used_percent"] = _percent(stat.f_files - stat.f_ffree, stat.f_files)
    return found


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole > 0 else None


def mount_of(path: str) -> str:
    """The mount point a path lies on."""
    here = os.path.realpath(path)
    while not os.path.ismount(here):
        here = os.path.dirname(here)
    return here


def engine_root(default: str = "/var/lib/docker", settings: str = "/etc/docker/daemon.json") -> str:
    """Where the engine keeps its data, for the time in which it does not say so itself."""
    try:
        with open(settings, encoding="utf-8") as file:
            told = json.load(file)
    except (OSError, ValueError):
        return default
    root = told.get("data-root") if isinstance(told, dict) else None
    return root if isinstance(root, str) and root.startswith("/") else default


def stopped_processes(proc: str = "/proc") -> dict[str, list[dict[str, Any]]]:
    """Processes halted by a signal (state T), by the id of the container they live in."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        try:
            with open(f"{proc}/{name}/stat", "rb") as file:
                stat = file.read().decode("utf-8", "replace")
            # The command is in brackets and may itself hold brackets.
            command, _bracket, rest = stat.partition("(")[2].rpartition(")")
            if rest.split()[0] != "T":
                continue
            with open(f"{proc}/{name}/cgroup", encoding="utf-8", errors="replace") as file:
                container = container_of(file.read())
        except (OSError, IndexError):
            continue  # it ended while we looked, or is not ours to see
        if container is not None:
            found.setdefault(container, []).append({"pid": int(name), "command": clean_line(command, 40)})
    return {container: sorted(those, key=lambda one: one["pid"]) for container, those in found.items()}


def live_containers(proc: str = "/proc") -> int:
    """How many containers live on without their daemon, by the shim that each of them has."""
    found = 0
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        try:
            with open(f"{proc}/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue  # it ended while we looked, or is not ours to see
        found += os.path.basename(words[0]).startswith(b"containerd-shim") and b"moby" in words
    return found


def container_of(cgroup: str) -> str | None:
    """The container id in a /proc/PID/cgroup: the innermost one, for engines that run inside a container."""
    for line in cgroup.splitlines():
        ids = _CONTAINER_ID.findall(line.rpartition(":")[2])
        if ids:
            return str(ids[-1])
    return None


def memory_kills(log: str, booted_at: float) -> list[dict[str, Any]]:
    """Each line in which the kernel says that it killed for memory, with the containers it names.

    Reads ``dmesg`` (seconds since boot) and ``journalctl --output=short-unix`` (seconds since 1970).
    """
    kills: list[dict[str, Any]] = []
    for line in log.splitlines():
        said = _OUT_OF_MEMORY.search(line)
        ids = _CONTAINER_ID.findall(said.group()) if said else []
        if said is None or not ids:
            continue
        since_boot, since_1970 = _UPTIME.match(line), _EPOCH.match(line)
        at = booted_at + float(since_boot.group(1)) if since_boot else float(since_1970.group(1)) if since_1970 else None
        kills.append({"at": at, "containers": sorted(set(ids)), "line": clean_line(said.group())})
    return kills


def memory_evidence(
    kills: Iterable[dict[str, Any]], container_id: str, started: float | None, finished: float | None, slack: float = 10.0
) -> str | None:
    """The kernel's line about this run of a container; a line about an earlier run proves nothing."""
    for kill in kills:
        if container_id not in kill["containers"]:
            continue
        at = kill["at"]
        if at is None or (
            (started is None or at >= started - slack)
            and (finished is None or finished < (started or 0) or at <= finished + slack)
        ):
            return str(kill["line"])
    return None


def booted_at(clock: float, proc: str = "/proc") -> float:
    with open(f"{proc}/uptime", encoding="ascii") as file:
        return clock - float(file.read().split()[0])


def boot_id(proc: str = "/proc") -> str | None:
    try:
        with open(f"{proc}/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def log_bytes(path: str | None) -> int | None:
    """The size of a container's log as it is written now; None where it cannot be seen."""
    try:
        return os.stat(path).st_size if path else None
    except OSError:
        return None
