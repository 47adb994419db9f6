# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The files of one database, who has them open, and what still lives only behind an open file descriptor.

The folder belongs to the application's container: links are not followed, and nothing in it is opened as a database.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from typing import Any, Iterable, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _monero_files
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import open_regular
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored

# In this order: a copy that is torn by a kill has the database itself first.
SUFFIXES = ("", "-wal", "-shm", "-journal")
# Made anew from the others whenever the database is opened, so it does not tell one set from another.
DERIVED = "-shm"
DELETED = " (deleted)"
FLOOR_BYTES = 64 * 1024 * 1024
COPY_SECONDS = 3600.0
CHUNK = 1024 * 1024
# Of a disk that fails: the smallest that it reads or refuses.
BLOCK = 4096


@dataclass(frozen=True)
class Held:
    """A file of the set that has lost its name, and by which descriptor it can still be read."""

    suffix: str
    path: str
    pid: int
    inode: tuple[int, int]


def identity(path: str, follow: bool = False) -> tuple[int, ...] | None:
    """Changes with every write, also with one that keeps size and time."""
    try:
        state = os.stat(path) if follow else os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def content_identity(path: str) -> tuple[int, ...] | None:
    """As identity, without what another name or another owner changes."""
    found = identity(path)
    return None if found is None else found[:4]


def inode_of(path: str) -> tuple[int, int] | None:
    """A regular file's own; anything else is refused by its name, and nothing is None."""
    try:
        state = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(state.st_mode):
        raise NotRestored("changed", f"{path} is no regular file, and a database's files are: look at it (ls -l {path}).")
    return (state.st_dev, state.st_ino)


def present(path: str) -> dict[str, str]:
    """What of the set has a name, by its suffix."""
    return {suffix: path + suffix for suffix in SUFFIXES if inode_of(path + suffix) is not None}


def _descriptors() -> Iterator[tuple[int, str]]:
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended while we looked, or is a thread of the kernel's
            for number in os.listdir(f"/proc/{name}/fd"):
                yield int(name), f"/proc/{name}/fd/{number}"


def _same_folder(pid: int, folder: str, here: os.stat_result) -> bool:
    """Whether what a process calls folder, in its container, is the folder that is meant here."""
    try:
        there = os.stat(f"/proc/{pid}/root{folder}")
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def deleted(path: str) -> list[Held]:
    """Files of this database that were removed while a process had them open; each once."""
    names = {os.path.basename(path) + suffix: suffix for suffix in SUFFIXES}
    try:
        here = os.stat(os.path.dirname(path))
    except OSError:
        return []
    found: dict[tuple[int, int], Held] = {}
    for pid, entry in _descriptors():
        try:
            target = os.readlink(entry)
            if not target.endswith(DELETED) or os.path.basename(target[: -len(DELETED)]) not in names:
                continue
            state = os.stat(entry)
        except OSError:
            continue
        folder, name = os.path.split(target[: -len(DELETED)])
        if stat.S_ISREG(state.st_mode) and state.st_dev == here.st_dev and _same_folder(pid, folder, here):
            inode = (state.st_dev, state.st_ino)
            found.setdefault(inode, Held(names[name], entry, pid, inode))
    return sorted(found.values(), key=lambda one: (one.suffix, one.pid))


def holders(path: str, kept: Iterable[tuple[int, int]] = ()) -> list[dict[str, Any]]:
    """Every process that has a file of the set open, also one that has lost its name, or has another by now (kept)."""
    inodes = {inode: file for file in present(path).values() if (inode := inode_of(file)) is not None}
    inodes.update(dict.fromkeys(kept, path))
    inodes.update({one.inode: path + one.suffix for one in deleted(path)})
    ours = os.getpid()
    found: dict[int, str] = {}
    for pid, entry in _descriptors():
        if pid == ours or pid in found:
            continue
        with contextlib.suppress(OSError):
            state = os.stat(entry)
            if (state.st_dev, state.st_ino) in inodes:
                found[pid] = inodes[(state.st_dev, state.st_ino)]
    return [{**_monero_files.describe_holder(pid, None, {}), "path": file} for pid, file in sorted(found.items())]


def nobody_has_it_open(path: str, kept: Iterable[tuple[int, int]] = ()) -> None:
    for one in holders(path, kept)[:1]:
        who = f"{one['command'] or 'a process'} (pid {one['pid']}"
        who += f", container {one['container']})" if one["container"] else ")"
        raise NotRestored(
            "in_use",
            f"{one['path']} is open in {who}: a database is not replaced under whoever writes to it. "
            "Stop that process or its container, then run the same command again.",
        )


def sha256(path: str) -> str:
    """In here, because the library knows the processor's own way, and takes a quarter of the time of sha256sum.

    Of a file with sectors that the disk cannot read, the sum of its readable copy.
    """
    try:
        return _sha256(path)
    except OSError as problem:
        if problem.errno != errno.EIO:
            raise
    digest = hashlib.sha256()
    for block in readable(path):
        digest.update(block)
    return digest.hexdigest()


def readable(path: str) -> Iterator[bytes]:
    """A file by blocks; one that the disk cannot read is zeros."""
    handle = open_regular(path)
    try:
        size = os.fstat(handle).st_size
        for start in range(0, size, BLOCK):
            length = min(BLOCK, size - start)
            try:
                block = os.pread(handle, length, start)
            except OSError as problem:
                if problem.errno != errno.EIO:
                    raise
                block = b""
            yield block.ljust(length, b"\0")
    finally:
        os.close(handle)


def _sha256(path: str) -> str:
    digest, buffer = hashlib.sha256(), bytearray(CHUNK)
    window = memoryview(buffer)
    with os.fdopen(open_regular(path), "rb", buffering=0) as file:
        while count := file.readinto(window):
            digest.update(window[:count])
    return digest.hexdigest()


def sync(path: str) -> None:
    """Onto the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def free_bytes(folder: str) -> int:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def no_space(what: str, needed: int, folder: str) -> NotRestored:
    return NotRestored(
        "no_space",
        f"{what} needs {human_bytes(needed)} in {folder}, where {human_bytes(free_bytes(folder))} are free and {human_bytes(FLOOR_BYTES)} "
        "must stay: free some there, then run the same command again.",
    )


def named(path: str) -> str:
    """A short name for whatever is noted about this database."""
    folder, name = os.path.split(path)
    return hashlib.sha256(os.path.join(os.path.realpath(folder), name).encode()).hexdigest()[:16]


def model_of(path: str) -> dict[str, Any] | None:
    """Owner, mode and extended attributes of a file, to be given to the one that takes its place."""
    try:
        state = os.stat(path)
        attributes = {name: os.getxattr(path, name).hex() for name in os.listxattr(path)}
    except FileNotFoundError:
        return None
    except OSError as problem:
        if problem.errno != errno.ENOTSUP:
            raise
        attributes = {}
    return {"uid": state.st_uid, "gid": state.st_gid, "mode": stat.S_IMODE(state.st_mode), "xattrs": attributes}


def like_model(target: str, inode: tuple[int, ...], model: dict[str, Any]) -> None:
    """By its handle: whoever owns the folder around it may put another file, or a link to one, under the name."""
    try:
        handle = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise NotRestored(
            "changed", f"{target} cannot be opened ({problem.strerror}), so nothing was replaced: look at it."
        ) from None
    try:
        state = os.fstat(handle)
        if (state.st_dev, state.st_ino) != inode:
            raise NotRestored(
                "changed", f"{target} is another file than the one that was checked, so nothing was replaced: look at it."
            )
        os.fchown(handle, int(model["uid"]), int(model["gid"]))
        os.fchmod(handle, int(model["mode"]))
        for name, value in model["xattrs"].items():
            try:
                os.setxattr(handle, str(name), bytes.fromhex(value))
            except OSError as none:
                if none.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EPERM):
                    raise
    finally:
        os.close(handle)
