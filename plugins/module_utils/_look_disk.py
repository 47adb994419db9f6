# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What fills a disk that is nearly full: the folder with the most entries, and deleted files that are still held open.

Asked only where a disk is critical, and each question ends in a few seconds whatever the size of the disk.
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import container_of
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._look_mounts import Mount

WALK_SECONDS = 4.0
SCAN_SECONDS = 3.0
# A smaller file that is held open explains no full disk.
LARGE_BYTES = 16 * 1024 * 1024

_DELETED = " (deleted)"


@dataclass
class _Folder:
    path: str
    parent: int
    entries: int = 0


def crowded_folder(top: str, seconds: float = WALK_SECONDS) -> dict[str, Any] | None:
    """The deepest folder that holds more than half of what lies above it; what other file systems hold does not count."""
    folders, complete = _count(top, time.monotonic() + seconds)
    below: list[list[int]] = [[] for _folder in folders]
    totals = [folder.entries for folder in folders]
    # Every folder comes after the one it lies in.
    for number in range(len(folders) - 1, 0, -1):
        parent = folders[number].parent
        totals[parent] += totals[number]
        below[parent].append(number)
    if not totals or not totals[0]:
        return None
    here = 0
    while below[here]:
        largest = max(below[here], key=totals.__getitem__)
        if totals[largest] * 2 <= totals[here]:
            break
        here = largest
    return {"path": folders[here].path, "entries": totals[here], "complete": complete}


def _count(top: str, deadline: float) -> tuple[list[_Folder], bool]:
    """All folders of one file system with the number of their entries, level by level; and whether all were seen."""
    folders: list[_Folder] = []
    try:
        device = os.stat(top).st_dev
    except OSError:
        return folders, False
    waiting = deque([(top, 0)])
    while waiting:
        path, parent = waiting.popleft()
        here = _Folder(path, parent)
        folders.append(here)
        number = len(folders) - 1
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    here.entries += 1
                    if here.entries % 4096 == 0 and time.monotonic() > deadline:
                        return folders, False
                    if entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_dev == device:
                        waiting.append((entry.path, number))
        except OSError:
            continue  # it went while we looked
        if time.monotonic() > deadline:
            return folders, False
    return folders, True


def in_container(path: str, containers: Iterable[dict[str, Any]]) -> tuple[str, str] | None:
    """The service in whose writable layer a path lies, and what the path is called in there."""
    for container in containers:
        layers = (container.get("GraphDriver") or {}).get("Data") or {}
        upper = layers.get("UpperDir") if isinstance(layers, dict) else None
        labels = (container.get("Config") or {}).get("Labels") or {}
        service = labels.get("com.docker.compose.service")
        if isinstance(upper, str) and isinstance(service, str) and f"{path}/".startswith(f"{upper}/"):
            return clean_line(service, 100), path[len(upper) :] or "/"
    return None


def deleted_files(
    mounts: Iterable[str], table: Iterable[Mount], proc: str = "/proc", least: int = LARGE_BYTES, seconds: float = SCAN_SECONDS
) -> list[dict[str, Any]]:
    """Large files without a name that processes hold open: df counts them, du cannot see them. The largest first."""
    devices = _devices(mounts, table)
    deadline = time.monotonic() + seconds
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for name in sorted((name for name in os.listdir(proc) if name.isdigit()), key=int):
        if time.monotonic() > deadline:
            break
        for fd in _descriptors(f"{proc}/{name}/fd"):
            file = f"{proc}/{name}/fd/{fd}"
            try:
                target = os.readlink(file)
                if not target.endswith(_DELETED):
                    continue
                state = os.stat(file)
                if state.st_dev not in devices or not stat.S_ISREG(state.st_mode) or state.st_blocks * 512 < least:
                    continue
                holder = _holder(proc, name, fd)
            except (OSError, ValueError, IndexError):
                continue  # it ended while we looked
            # Who opened it lives longest; the others have it from there.
            known = found.get((state.st_dev, state.st_ino))
            if known is None or holder["since"] < known["since"]:
                found[state.st_dev, state.st_ino] = {
                    "mount": devices[state.st_dev],
                    "path": clean_line(target[: -len(_DELETED)], 300),
                    "bytes": state.st_blocks * 512,
                    **holder,
                }
    return sorted(found.values(), key=lambda one: -one["bytes"])


def _devices(mounts: Iterable[str], table: Iterable[Mount]) -> dict[int, str]:
    """Device numbers of files to the mount on which their blocks lie; a container's layers have a number of their own."""
    devices: dict[int, str] = {}
    for mount in mounts:
        try:
            devices[os.stat(mount).st_dev] = mount
        except OSError:
            continue
    for one in table:
        if one.upper:
            try:
                below = os.stat(one.upper).st_dev
            except OSError:
                continue
            if below in devices:
                devices[one.device] = devices[below]
    return devices


def _descriptors(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _holder(proc: str, pid: str, fd: str) -> dict[str, Any]:
    with open(f"{proc}/{pid}/stat", "rb") as file:
        command, _bracket, rest = file.read().decode("utf-8", "replace").partition("(")[2].rpartition(")")
    with open(f"{proc}/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
        container = container_of(file.read())
    with open(f"{proc}/{pid}/fdinfo/{fd}", encoding="ascii", errors="replace") as file:
        flags = int(next(line for line in file if line.startswith("flags:")).split()[1], 8)
    return {
        "pid": int(pid),
        "fd": int(fd),
        "command": clean_line(command, 40),
        "container_id": container,
        "appends": bool(flags & os.O_APPEND) and bool(flags & os.O_ACCMODE),
        "since": int(rest.split()[19]),
    }
