# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""A wallet's files as they lie on the host, and who holds them. Reads; nothing here opens a wallet or touches a lock.

Monero locks the .keys file of an open wallet. The kernel frees that lock when its process ends, so that it always means a live one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _engine_files
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_processes as processes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import container_of, engine_root
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_processes import stat_fields

KEYS = ".keys"
# Of a store that did not end, and of an attempt to open a cache that could not be read.
LEFTOVERS = (".new", ".unportable")
# A directory may hold a wallet for each escrow; a keys file is a few thousand bytes.
MOST_FILES = 20000
KEYS_BYTES = 1024 * 1024
LOCKS = "/proc/locks"
_LOCK = re.compile(r"^\d+: (?:FLOCK|POSIX|OFDLCK) +\S+ +\S+ (-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ")
_LOGIN = re.compile(r"monero-wallet-rpc\.\d+\.login")


@dataclass(frozen=True)
class Lock:
    """A lock of the kernel's; the pid is -1 where the kernel does not say whose it is."""

    pid: int
    device: tuple[int, int]
    inode: int


def locks(text: str) -> list[Lock]:
    """The locks in /proc/locks; those that only wait for one are no locks."""
    found = []
    for line in text.splitlines():
        said = _LOCK.match(line)
        if said:
            found.append(Lock(int(said[1]), (int(said[2], 16), int(said[3], 16)), int(said[4])))
    return found


def read_locks() -> list[Lock]:
    try:
        with open(LOCKS, encoding="ascii", errors="replace") as file:
            return locks(file.read())
    except OSError:
        return []


def holder(path: str, known: list[Lock]) -> int | None:
    """The process that has this file locked."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    for lock in known:
        if lock.inode != state.st_ino:
            continue
        if lock.pid > 0 and (lock.device == (os.major(state.st_dev), os.minor(state.st_dev)) or _has_open(lock.pid, state)):
            return lock.pid
        if lock.pid <= 0:
            return next((pid for pid in _pids() if _has_open(pid, state)), None)
    return None


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _has_open(pid: int, state: os.stat_result) -> bool:
    """Some file systems give the kernel's locks another device number than a look at the file."""
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                there = os.stat(f"/proc/{pid}/fd/{name}")
                if (there.st_dev, there.st_ino) == (state.st_dev, state.st_ino):
                    return True
    except OSError:
        return False
    return False


def describe_holder(pid: int, container_id: str | None, names: dict[str, str]) -> dict[str, Any]:
    """Who it is, for a person. ours is None where it is not known which container the wallet RPC has."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            inside = container_of(file.read())
    except OSError:
        inside = None
    words = processes.arguments(pid)
    return {
        "pid": pid,
        "command": clean_line(os.path.basename(words[0]) if words and words[0] else "", 60),
        "container": None
        if inside is None
        else names.get(inside) or _engine_files.name_of(engine_root(), inside) or inside[:12],
        "ours": None if container_id is None else inside == container_id,
    }


def look(
    directory: str,
    wallet: str,
    *,
    container_id: str | None = None,
    names: dict[str, str] | None = None,
    known: list[Lock] | None = None,
    pids: list[int] | None = None,
) -> dict[str, Any] | None:
    """The directory of one wallet RPC: what is open in it, and the files of the wanted (else of the open) wallet.

    pids are the RPC's processes. One that opens a wallet a second time has it open without the lock: closing any descriptor of a file
    gives up all of a process's locks of the kind that some builds take.
    """
    try:
        entries = sorted(os.listdir(directory))[:MOST_FILES]
    except OSError:
        return None
    held = {}
    known = read_locks() if known is None else known
    inodes = {lock.inode for lock in known}
    for name in entries:
        path = os.path.join(directory, name)
        if name.endswith(KEYS) and _inode(path) in inodes:
            pid = holder(path, known)
            if pid is not None and stat_fields(pid) is not None:
                held[name[: -len(KEYS)]] = describe_holder(pid, container_id, names or {})
    own = [name for name, who in held.items() if who["ours"] is not False]
    if not own and pids:
        opened = _open_inodes(pids)
        own = [
            name[: -len(KEYS)] for name in entries if name.endswith(KEYS) and _identity(os.path.join(directory, name)) in opened
        ]
    shown = wallet or (own[0] if own else next(iter(held), ""))
    return {
        "directory": directory,
        "wallet": shown or None,
        "open_wallet": own[0] if own else None,
        "keys": _file(os.path.join(directory, shown + KEYS), hashed=True) if shown else None,
        "cache": _file(os.path.join(directory, shown)) if shown else None,
        "address_file": shown + ".address.txt" in entries if shown else None,
        "leftovers": [name for name in entries if name.endswith(LEFTOVERS)],
        "login_files": [os.path.join(directory, name) for name in entries if _LOGIN.fullmatch(name)],
        # Another wallet of the same directory, held by somebody else, keeps nobody from this one.
        "lock": held.get(shown),
        "locked": sorted(held),
    }


def _open_inodes(pids: list[int]) -> set[tuple[int, int] | None]:
    found: set[tuple[int, int] | None] = set()
    for pid in pids:
        with contextlib.suppress(OSError):  # it ended while we looked
            found.update(_identity(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd"))
    return found - {None}


def _identity(path: str) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _file(path: str, hashed: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"exists": False, "size": None, "mtime": None}
    if hashed:
        found["sha256"] = None
    try:
        state = os.lstat(path)
    except OSError:
        return found
    if stat.S_ISREG(state.st_mode):
        found.update(exists=True, size=state.st_size, mtime=state.st_mtime)
        if hashed and state.st_size <= KEYS_BYTES:
            found["sha256"] = _sha256(path)
    return found


def _sha256(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read(KEYS_BYTES)).hexdigest()
    except OSError:
        return None


def login_files(folders: list[str]) -> list[str]:
    """Files in which a wallet RPC that was given no login keeps the one it made up; below 0.18.3.4 one that is left blocks a start."""
    found = []
    for folder in folders:
        with contextlib.suppress(OSError):
            found += [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if _LOGIN.fullmatch(name)]
    return found


def changed_at(path: str | None) -> float | None:
    try:
        return os.stat(path).st_mtime if path else None
    except OSError:
        return None
