# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""One look at what services store and may not: file systems that are full or read-only, files of a wrong owner."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _look_disk, _look_files, _look_mounts
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_engine import read_kernel_log
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import mount_of
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_parse import Declared
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

# From this share on it is worth to look what fills a disk.
NEARLY_FULL_PERCENT = 80.0
_MOST_DELETED = 20
# What an earlier run mended explains how a service ended for so long.
REMEMBERED_SECONDS = 3600.0


def look(
    disk: list[dict[str, Any]],
    declared: dict[str, Declared],
    by_service: dict[str, list[dict[str, Any]]] | None,
    *,
    sick: bool,
    database: str,
    timeout: float,
    state_dir: str,
) -> dict[str, Any]:
    table = _look_mounts.mounts()
    containers = [one for those in (by_service or {}).values() for one in those]
    binds = {name: binds_of(one, (by_service or {}).get(name, [])) for name, one in declared.items()}
    return {
        "crowded": _crowded(disk, containers),
        "deleted": _deleted(disk, table, containers),
        "read_only": _read_only(disk, table, binds, database, timeout),
        "closed": _closed(declared, by_service or {}, binds, database) if sick else {},
        "users": _users(disk, binds),
        "stale": _stale(by_service or {}),
        "mended": _mended(state_dir, time.time()),
    }


def binds_of(declared: Declared, containers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The folders and files of the host that a service sees: as its container has them, else as the Compose file asks."""
    for container in containers:
        return [
            {"source": str(one["Source"]), "writable": bool(one.get("RW"))}
            for one in container.get("Mounts") or []
            if one.get("Type") in ("bind", "volume") and str(one.get("Source") or "").startswith("/")
        ]
    return declared.binds


def _mounts_over(disk: list[dict[str, Any]], key: str) -> list[str]:
    return list(dict.fromkeys(one["mount"] for one in disk if one["mount"] and (one[key] or 0) >= NEARLY_FULL_PERCENT))


def _crowded(disk: list[dict[str, Any]], containers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for mount in _mounts_over(disk, "inodes_used_percent"):
        folder = _look_disk.crowded_folder(mount)
        if folder is None:
            continue
        service, inside = _look_disk.in_container(folder["path"], containers) or (None, None)
        inside = None if inside is None else clean_line(inside, 300)
        found.append({"mount": mount, **folder, "path": clean_line(folder["path"], 400), "service": service, "inside": inside})
    return found


def _deleted(
    disk: list[dict[str, Any]], table: list[_look_mounts.Mount], containers: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    full = _mounts_over(disk, "used_percent")
    if not full:
        return []
    services = {one.get("Id"): _service(one) for one in containers}
    return [
        {**one, "service": services.get(one["container_id"])} for one in _look_disk.deleted_files(full, table)[:_MOST_DELETED]
    ]


def _service(container: dict[str, Any]) -> str | None:
    name = ((container.get("Config") or {}).get("Labels") or {}).get("com.docker.compose.service")
    return clean_line(name, 100) if isinstance(name, str) else None


def _read_only(
    disk: list[dict[str, Any]],
    table: list[_look_mounts.Mount],
    binds: dict[str, list[dict[str, Any]]],
    database: str,
    timeout: float,
) -> list[dict[str, Any]]:
    """Only what somebody has to write to: a backup disk may be read-only on purpose."""
    found: list[dict[str, Any]] = []
    for mount in dict.fromkeys(one["mount"] for one in disk if one["mount"]):
        here = _look_mounts.mount_at(mount, table)
        if here is None or not here.read_only:
            continue
        writers = _writers(mount, binds)
        if mount == disk[0]["mount"]:
            writers = sorted(binds)
        if writers:
            found.append(
                {
                    "mount": mount,
                    "source": clean_line(here.source, 100),
                    "kind": here.kind,
                    "services": writers,
                    "database": [one for one in _set_of(database) if mount_of(one) == mount],
                }
            )
    if found:
        log = read_kernel_log(timeout)
        for one in found:
            one["why"] = _look_mounts.why_read_only(log or "", one["source"])
    return found


def _set_of(database: str) -> list[str]:
    """The database with those of its sidecars that are there."""
    return [path for suffix in _look_files.SIDECARS if database and os.path.isfile(path := database + suffix)]


def _writers(mount: str, binds: dict[str, list[dict[str, Any]]]) -> list[str]:
    return sorted(
        name for name, those in binds.items() if any(one["writable"] and mount_of(one["source"]) == mount for one in those)
    )


def _users(disk: list[dict[str, Any]], binds: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """Who writes to each disk that is nearly full: what is wrong with those may be the disk."""
    return {mount: _writers(mount, binds) for mount in _mounts_over(disk, "used_percent")}


def _closed(
    declared: dict[str, Declared],
    by_service: dict[str, list[dict[str, Any]]],
    binds: dict[str, list[dict[str, Any]]],
    database: str,
) -> dict[str, list[dict[str, Any]]]:
    """Files that a service's own user may not use, by service."""
    users: dict[str, tuple[int, int | None] | None] = {}
    for name, one in declared.items():
        told = [str((container.get("Config") or {}).get("User") or "") for container in by_service.get(name, [])]
        users[name] = _look_files.numeric_user(told[0] if told else one.user)
    found: dict[str, list[dict[str, Any]]] = {}
    for name, user in users.items():
        files = _look_files.closed_files(user, binds[name], database) if user is not None else []
        for file in files:
            file["others"] = sorted(
                other
                for other, uid in users.items()
                if uid and uid[0] not in (0, file["owner"]) and _reaches(binds[other], file["path"])
            )
        if files:
            found[name] = files
    return found


def _stale(by_service: dict[str, list[dict[str, Any]]], proc: str = "/proc") -> dict[str, list[str]]:
    """Folders which a running container may not write to only because their disk was read-only when it was started."""
    found: dict[str, list[str]] = {}
    for name, containers in by_service.items():
        for container in containers:
            state = container.get("State") or {}
            wanted = {one.get("Destination"): one.get("Source") for one in container.get("Mounts") or [] if one.get("RW")}
            if not wanted or not state.get("Running") or not state.get("Pid"):
                continue
            stale = [one for one in _look_mounts.mounts(proc, str(state["Pid"])) if one.point in wanted and one.closed_alone]
            if stale:
                found[name] = sorted({clean_line(str(wanted[one.point]), 300) for one in stale})
    return found


def _reaches(binds: list[dict[str, Any]], path: str) -> bool:
    return any(one["writable"] and f"{path}/".startswith(f"{one['source'].rstrip('/')}/") for one in binds)


def _mended(state_dir: str, clock: float) -> list[dict[str, Any]]:
    """When earlier runs of this hour began to mend disks or files, and for which service."""
    try:
        with open(os.path.join(state_dir, "attempts.json"), encoding="utf-8", errors="replace") as file:
            tried = json.load(file)["attempts"]
        steps = [(step.partition(":"), float(one["at"])) for one in tried for step in str(one["action"]).split()]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    recent = [(do, services, at) for (do, _colon, services), at in steps if 0 <= clock - at < REMEMBERED_SECONDS]
    found = [{"service": None, "at": at} for do, _services, at in recent if do == "remount"]
    return found + [
        {"service": clean_line(name, 100), "at": at} for do, names, at in recent if do == "own" for name in names.split(",")
    ]
