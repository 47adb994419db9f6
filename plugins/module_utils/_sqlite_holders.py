# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Who has a SQLite database open, with which locks, and who still has one open that is deleted. Reads /proc alone."""

from __future__ import annotations

import os
import pwd
import re
import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _engine_files, _incident_processes, _sqlite_wal
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import utc
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import container_of, engine_root
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

FILES = {"db": "", "wal": "-wal", "shm": "-shm", "journal": "-journal"}
GONE = " (deleted)"
# Bytes that SQLite locks: far behind the data in the database, and in the -shm.
PENDING, RESERVED, SHARED, SHARED_SIZE = 0x40000000, 0x40000001, 0x40000002, 510
WRITE_LOCK, CHECKPOINT_LOCK, RECOVER_LOCK, READ_LOCKS = 120, 121, 122, range(123, 128)
# A lock that keeps others from writing. An exclusive one keeps them from reading, too.
HEAVY = ("write", "exclusive", "reserved", "pending")
_LOCK = re.compile(r"^\d+: (?:POSIX|OFDLCK) +\S+ +(READ|WRITE) +(-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) (\d+) (\d+|EOF)", re.M)


def holders(path: str, proc: str = "/proc") -> list[dict[str, Any]]:
    """Each process with one of the files open, by its inode or by its name where it is deleted."""
    folder = _identity(os.path.dirname(path) or "/")
    there = {name: _identity(path + suffix) for name, suffix in FILES.items()}
    names = {os.path.basename(path) + suffix: name for name, suffix in FILES.items()}
    locked = _locks(proc)
    found = []
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit()):
        if pid == os.getpid():
            continue
        opened = _opened(pid, there, names, folder, proc)
        if opened:
            found.append(_holder(pid, opened, locked, proc))
    return found


def _opened(
    pid: int, there: dict[str, tuple[int, int] | None], names: dict[str, str], folder: tuple[int, int] | None, proc: str
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    base = f"{proc}/{pid}/fd"
    try:
        handles = os.listdir(base)
    except OSError:
        return found  # it ended while we looked, or is not ours to see
    for handle in handles:
        try:
            link = os.readlink(f"{base}/{handle}")
            if not link.startswith("/"):
                continue
            state = os.stat(f"{base}/{handle}")
        except OSError:
            continue
        inode = (state.st_dev, state.st_ino)
        name = next((one for one, known in there.items() if known == inode), None)
        deleted = False
        if name is None and link.endswith(GONE) and state.st_nlink == 0:
            # Its name is that in its own view of the files: the folder there must be the same one.
            name = names.get(os.path.basename(link[: -len(GONE)]))
            inside = _identity(f"{proc}/{pid}/root{os.path.dirname(link[: -len(GONE)])}")
            deleted = name is not None and folder is not None and inside == folder
            name = name if deleted else None
        if name is not None:
            found.append({"file": name, "deleted": deleted, "path": f"{base}/{handle}", "inode": inode})
    return found


def _holder(pid: int, opened: list[dict[str, Any]], locked: list[dict[str, Any]], proc: str) -> dict[str, Any]:
    inodes = {one["inode"]: one["file"] for one in opened}
    cgroup = _text(f"{proc}/{pid}/cgroup")
    started = _incident_processes.started_at(pid)
    container = container_of(cgroup)
    return {
        "pid": pid,
        "command": clean_line(_text(f"{proc}/{pid}/comm").rstrip("\n"), 40) or None,
        "user": _user(pid, proc),
        "since": utc(started) if started is not None else None,
        "start_ticks": _incident_processes.start_ticks(pid),
        "ancestors": list(_incident_processes.ancestors(pid))[1:],
        "container_id": container,
        "container": (_engine_files.name_of(engine_root(), container) or None) if container else None,
        "service": (_engine_files.service_of(engine_root(), container) or None) if container else None,
        "files": sorted({one["file"] for one in opened}),
        "deleted": any(one["deleted"] for one in opened),
        "deleted_files": {one["file"]: one["path"] for one in reversed(opened) if one["deleted"]},
        "locks": sorted({name for lock in locked for name in _names(lock, pid, inodes)}),
    }


def _locks(proc: str) -> list[dict[str, Any]]:
    found = []
    for kind, pid, major, minor, inode, first, last in _LOCK.findall(_text(f"{proc}/locks", 1 << 24)):
        found.append({
            "write": kind == "WRITE", "pid": int(pid), "device": (int(major, 16), int(minor, 16)), "inode": int(inode),
            "first": int(first), "last": int(last) if last != "EOF" else 1 << 62,
        })  # fmt: skip
    return found


def _names(lock: dict[str, Any], pid: int, inodes: dict[tuple[int, int], str]) -> list[str]:
    # Some file systems give the kernel's locks another device number than a look at the file: the process settles it.
    if lock["pid"] not in (pid, -1):
        return []
    file = next((name for (_device, inode), name in inodes.items() if inode == lock["inode"]), None)
    covers = range(lock["first"], min(lock["last"], SHARED + SHARED_SIZE) + 1)
    if file == "shm":
        found = [("write", WRITE_LOCK), ("checkpoint", CHECKPOINT_LOCK), ("recover", RECOVER_LOCK)]
        told = [name for name, byte in found if lock["write"] and byte in covers]
        return told + ["read"] * any(byte in covers for byte in READ_LOCKS)
    if file == "db":
        told = [name for name, byte in (("pending", PENDING), ("reserved", RESERVED)) if lock["write"] and byte in covers]
        return told + ([("exclusive" if lock["write"] else "shared")] if SHARED in covers or SHARED + 1 in covers else [])
    return []


def deleted(found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The process whose handles still lead to a deleted database or -wal; the one with the database first."""
    gone = [one for one in found if one["deleted_files"].keys() & {"db", "wal"}]
    gone.sort(key=lambda one: ("db" not in one["deleted_files"], -len(one["deleted_files"]), one["pid"]))
    return {"pid": gone[0]["pid"], "files": dict(gone[0]["deleted_files"])} if gone else None


def stuck(
    path: str, found: list[dict[str, Any]], seconds: float, pause: float = 0.1
) -> tuple[dict[str, Any], list[str]] | None:
    """Who keeps others from writing for all of these seconds without committing anything meanwhile."""
    suspects = {(one["pid"], one["start_ticks"]) for one in found if set(one["locks"]) & set(HEAVY)}
    until = time.monotonic() + seconds
    before = progress(path)
    while suspects and time.monotonic() < until:
        time.sleep(pause)
        found = holders(path)
        suspects &= {(one["pid"], one["start_ticks"]) for one in found if set(one["locks"]) & set(HEAVY)}
        if progress(path) != before:
            return None
    return next(((one, one["locks"]) for one in found if (one["pid"], one["start_ticks"]) in suspects), None)


def progress(path: str) -> str | None:
    """Another one after every commit: from the count in the -shm, or the database's own time where there is none."""
    index = _sqlite_wal.read_index(path + "-shm")
    try:
        return f"{index.salts!r} {index.changes}" if index is not None else f"{os.stat(path).st_mtime_ns}"
    except OSError:
        return None


def sentence(one: dict[str, Any]) -> str:
    """sqlite3 (pid 4121, user deploy, container x, since …)"""
    where = f", container {one['container'] or one['container_id'][:12]}" if one["container_id"] else ""
    since = f", since {one['since']}" if one["since"] else ""
    return f"{one['command'] or 'a process'} (pid {one['pid']}, user {one['user'] or 'unknown'}{where}{since})"


def _user(pid: int, proc: str) -> str | None:
    try:
        uid = os.stat(f"{proc}/{pid}").st_uid
    except OSError:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _text(path: str, most: int = 65536) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(most)
    except OSError:
        return ""
