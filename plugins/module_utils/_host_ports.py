# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Who on the host listens on a port, by the kernel's own tables."""

from __future__ import annotations

import os
import pwd
import re
import time
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_processes, _network_parse
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import utc
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import container_of
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

# A listener without a process is looked for again so long: whoever ends has lost the one before the other.
GONE_WITHIN, POLL_SECONDS = 0.5, 0.05

_SOCKET = re.compile(r"socket:\[(\d+)\]\Z")
_UNIT = re.compile(r"/([^/]+\.(?:service|scope|socket))(?:/|$)")


def holders(wanted: Iterable[dict[str, Any]], proc: str = "/proc") -> list[dict[str, Any]]:
    """For each wanted port the process that keeps it from being published; pid is null where the kernel shows no process."""
    wanted = list(wanted)
    deadline = time.monotonic() + GONE_WITHIN
    while True:
        found = _in_the_way(wanted, proc)
        owners = _owners({one["inode"] for one in found}, proc) if found else {}
        # Its process may have ended between the two looks: then the socket is gone as well.
        if all(one["inode"] in owners for one in found) or time.monotonic() >= deadline:
            return [{**one, **_who(owners.get(one["inode"]), proc)} for one in found]
        time.sleep(POLL_SECONDS)


def _in_the_way(wanted: list[dict[str, Any]], proc: str) -> list[dict[str, Any]]:
    """The first socket that listens where a port is to be published."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    sockets = {protocol: _sockets(protocol, proc) for protocol in ("tcp", "udp")}
    for one in wanted:
        for socket in sockets.get(one["protocol"], []):
            if socket["port"] == one["port"] and _network_parse.in_the_way(one, socket["address"]):
                found.setdefault(
                    (one["protocol"], one["port"]), {**one, "address": socket["address"], "inode": socket["inode"]}
                )
                break
    return list(found.values())


def _sockets(protocol: str, proc: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for table in (protocol, f"{protocol}6"):
        try:
            with open(f"{proc}/net/{table}", encoding="ascii", errors="replace") as file:
                found += _network_parse.listeners(file.read(), udp=protocol == "udp")
        except OSError:
            continue  # a kernel without IPv6
    return found


def _owners(inodes: set[int], proc: str) -> dict[int, int]:
    """The process behind each socket: the first one, which is the parent where several share it."""
    found: dict[int, int] = {}
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit()):
        try:
            handles = os.listdir(f"{proc}/{pid}/fd")
        except OSError:
            continue  # it ended while we looked, or is not ours to see
        for handle in handles:
            try:
                match = _SOCKET.match(os.readlink(f"{proc}/{pid}/fd/{handle}"))
            except OSError:
                continue
            if match is not None and int(match.group(1)) in inodes:
                found.setdefault(int(match.group(1)), pid)
    return found


def _who(pid: int | None, proc: str) -> dict[str, Any]:
    known: dict[str, Any] = {
        "pid": pid,
        "command": None,
        "user": None,
        "since": None,
        "unit": None,
        "container_id": None,
        "parent": None,
    }
    if pid is None:
        return known
    # Its arguments may hold a secret: the name of the program and of its unit say enough.
    known["command"] = clean_line(_text(f"{proc}/{pid}/comm").rstrip("\n"), 40) or None
    cgroup = _text(f"{proc}/{pid}/cgroup")
    known["container_id"] = container_of(cgroup)
    units = _UNIT.findall(cgroup)
    known["unit"] = clean_line(units[-1], 80) if units else None
    known["parent"] = _parent(pid, proc)
    started = _incident_processes.started_at(pid)
    known["since"] = utc(started) if started is not None else None
    try:
        uid = os.stat(f"{proc}/{pid}").st_uid
    except OSError:
        return known
    try:
        known["user"] = pwd.getpwuid(uid).pw_name
    except KeyError:
        known["user"] = str(uid)
    return known


def _parent(pid: int, proc: str) -> int | None:
    """Its parent: whether a proxy is the running daemon's, or one that died left it behind."""
    fields = _text(f"{proc}/{pid}/stat").rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 and fields[1].isdecimal() else None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""
