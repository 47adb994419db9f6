# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""A scratch copy of a SQLite database that is in use: taken of the whole set, never opened in place, wiped afterwards.

Opening a database writes beside it, and at times into it. So nothing but a copy is ever opened here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from typing import Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes, sentence_from
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    private_directory,
    sentence_for,
    try_lock,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_wal import read_index

SIDECARS = ("-wal", "-shm", "-journal")
PREFIX = "marketplace-sqlite-"
# A folder is made and locked in less.
YOUNG_SECONDS = 60.0
LOCK = ".lock"
# What stays free for others beside the copy.
FLOOR = 64 * 1024 * 1024

# The longest that the kernel gives two writes one time.
TICK = 0.02


class NoCopy(Exception):
    """There is nothing to copy, or no way to; the text is one sentence."""

    def __init__(self, state: str, sentence: str) -> None:
        super().__init__(sentence)
        self.state = state


class TooSlow(NoCopy):
    """It could have been copied, given more time."""

    def __init__(self, sentence: str) -> None:
        super().__init__("unreadable", sentence)


def check(path: str) -> int:
    """The size of the set; NoCopy says what is wrong with it."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise NoCopy("missing", f"{path} is not there: is marketplace_database_path right?") from None
    except OSError as problem:
        raise NoCopy("unreadable", sentence_for(problem)) from None
    if not stat.S_ISREG(found.st_mode):
        raise NoCopy("unreadable", f"{path} is no regular file: name the database itself.")
    if found.st_size == 0:
        raise NoCopy("empty", f"{path} is empty: it has not even the header of a database.")
    return found.st_size + sum(size_of(path + suffix) for suffix in SIDECARS)


def size_of(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


@contextlib.contextmanager
def scratch(parent: str) -> Iterator[str]:
    """A folder of our own, gone afterwards whatever happens; what killed runs left goes first."""
    if not os.path.isdir(parent):
        # Folders above it that are not there yet must not be open to everybody either.
        before = os.umask(0o077)
        try:
            private_directory(parent)
        finally:
            os.umask(before)
    _sweep(parent)
    folder = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
    handle = try_lock(os.path.join(folder, LOCK))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        if handle is not None:
            os.close(handle)


def forget(parent: str) -> None:
    """A folder for scratch copies that nobody needs any more, without what killed runs have left in it; one that is not empty stays."""
    if os.path.isdir(parent):
        _sweep(parent)
        with contextlib.suppress(OSError):
            os.rmdir(parent)


def _sweep(parent: str) -> None:
    for name in os.listdir(parent):
        folder = os.path.join(parent, name)
        if not name.startswith(PREFIX) or not _is_old_and_ours(folder):
            continue
        with contextlib.suppress(FileNotFoundError):  # another run wipes its own in this moment
            handle = try_lock(os.path.join(folder, LOCK))
            if handle is not None:
                try:
                    shutil.rmtree(folder)
                finally:
                    os.close(handle)


def _is_old_and_ours(folder: str) -> bool:
    """Others may have folders there too, and one that is being made has no lock yet."""
    try:
        found = os.lstat(folder)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and time.time() - found.st_mtime > YOUNG_SECONDS


def copy(path: str, folder: str, timeout: float) -> tuple[str, bool]:
    """The set in the folder, and whether the database stood still meanwhile: only a checkpoint writes to it.

    Without one between the two looks, what the -wal gained is whole transactions or no valid frame.
    """
    size = check(path)
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if free < size + FLOOR:
        raise NoCopy(
            "unreadable",
            f"A copy of {path} needs {human_bytes(size + FLOOR)}, and {folder} has {human_bytes(free)} free: make room or name another scratch_dir.",
        )
    # What is written within one tick of the clock has one time: only a time that is past proves that nothing was written since.
    if not _settled(path):
        time.sleep(2 * TICK)
    settled = _settled(path)
    before = _identity(path)
    target = os.path.join(folder, "copy.db")
    for suffix in ("", *SIDECARS):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target + suffix)
        if suffix and not os.path.lexists(path + suffix):
            continue
        done = run(["cp", "--reflink=auto", "--sparse=auto", "--no-dereference", "--", path + suffix, target + suffix], timeout)
        if not done.ok and (not suffix or os.path.lexists(path + suffix)):
            if done.timed_out:
                raise TooSlow(f"{path}{suffix} could not be copied to {folder} within {timeout:g} s: raise copy_timeout.")
            why = sentence_from(done.err) or "no reason given"
            raise NoCopy("unreadable", f"{path}{suffix} could not be copied to {folder}: {why}.")
        if done.ok:
            os.chmod(target + suffix, 0o600)
    return target, settled and _identity(path) == before


def _settled(path: str) -> bool:
    return time.time() - os.stat(path).st_mtime > TICK


def _identity(path: str) -> tuple[int, ...]:
    """Of the database, and of the beginning of its -wal and how much of it is in the database, which change when it is written to."""
    try:
        state = os.stat(path)
        with open(path + "-wal", "rb") as file:
            salt = int.from_bytes(file.read(32), "big")
    except FileNotFoundError:
        salt = 0
        state = os.stat(path)
    index = read_index(path + "-shm")
    done = (index.in_database, index.begun, int.from_bytes(index.salts, "big")) if index is not None else (0, 0, 0)
    return (state.st_ino, state.st_size, state.st_mtime_ns, salt, *done)
