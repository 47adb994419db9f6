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
    name_of_handle,
    open_regular,
    private_directory,
    sentence_for,
    stranger_on_the_way,
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

# Where copies lie that may not lie beside the database.
OURS = "/var/lib/marketplace_incident/scratch"
# What ends a journal that is part of a transaction over several databases; before it lie the name of the file that joins them,
# the name's length and its checksum.
_JOINED = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_NAME_AT_MOST = 4096
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
    for suffix in SIDECARS:
        if os.path.lexists(path + suffix) and not _is_regular(path + suffix):
            raise NoCopy(
                "unreadable", f"{path}{suffix} is no regular file, which no SQLite made: look at it (ls -l {path}{suffix})."
            )
    return found.st_size + sum(size_of(path + suffix) for suffix in SIDECARS)


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return True  # gone meanwhile, as such files go


def size_of(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def place_for(path: str, name: str, ours: str = "") -> str:
    """A folder for what is taken out of a database: on its own disk, unless whoever has its folder could exchange what lies there."""
    folder = os.path.dirname(path)
    if folder and os.path.isdir(folder) and stranger_on_the_way(folder) is None:
        return os.path.join(folder, name)
    return os.path.join(OURS, ours) if ours else OURS


@contextlib.contextmanager
def scratch(parent: str) -> Iterator[str]:
    """A folder of our own, gone afterwards whatever happens; what killed runs left goes first.

    SQLite opens files by their names only. So nobody else may be able to give those names to other files.
    """
    stranger = stranger_on_the_way(parent)
    if stranger is not None:
        raise NoCopy(
            "unreadable",
            f"{parent} is no place for a copy: others can exchange what lies in {stranger} (ls -ld {stranger}); name another scratch_dir.",
        )
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


def wipe(folder: str) -> None:
    """A folder of ours with all in it; the one for such folders goes with the last of them."""
    if os.path.isdir(folder):
        shutil.rmtree(folder)
    if os.path.dirname(folder) == OURS:
        forget(OURS)


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
    settled = _settled(path)
    before = _identity(path)
    target = os.path.join(folder, "copy.db")
    for suffix in ("", *SIDECARS):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(target + suffix)
        _copy_one(path + suffix, target + suffix, folder, timeout, needed=not suffix)
    _set_apart(target + "-journal", os.path.dirname(path))
    return target, settled and _identity(path) == before


def _copy_one(source: str, target: str, folder: str, timeout: float, needed: bool) -> None:
    try:
        handle = open_regular(source)
    except FileNotFoundError as gone:
        if needed:
            raise NoCopy("missing", sentence_for(gone)) from None
        return
    except OSError as problem:
        raise NoCopy("unreadable", sentence_for(problem)) from None
    try:
        opened = name_of_handle(handle)
        done = run(["cp", "--reflink=auto", "--sparse=auto", "--", opened, target], timeout)
    finally:
        os.close(handle)
    if done.timed_out:
        raise TooSlow(f"{source} could not be copied to {folder} within {timeout:g} s: raise copy_timeout.")
    if not done.ok:
        why = (sentence_from(done.err) or "no reason given").replace(opened, source)
        raise NoCopy("unreadable", f"{source} could not be copied to {folder}: {why}.")
    os.chmod(target, 0o600)


def is_joined(journal: str) -> bool:
    """Whether a journal is part of a transaction over several databases: then its copy is not the same bytes."""
    with contextlib.suppress(OSError), os.fdopen(open_regular(journal), "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - len(_JOINED)))
        return file.read() == _JOINED
    return False


def _set_apart(journal: str, beside: str) -> None:
    """Where a copied journal names another file, SQLite would remove that one after it has put the pages back, wherever it lies.

    Without that file the transaction was committed, and the pages are not put back. It is looked for by its name in the application's
    world, and beside the database, as paths differ in containers.
    """
    try:
        handle = os.open(journal, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with os.fdopen(handle, "r+b") as file:
        size = os.fstat(handle).st_size
        if size < 16 or os.pread(handle, 8, size - 8) != _JOINED:
            return
        length = int.from_bytes(os.pread(handle, 4, size - 16), "big")
        name = os.fsdecode(os.pread(handle, length, size - 16 - length)) if 0 < length <= min(_NAME_AT_MOST, size - 16) else ""
        os.pwrite(handle, bytes(8), size - 8)
        file.flush()
    if name and "\0" not in name and not any(map(os.path.lexists, (name, os.path.join(beside, os.path.basename(name))))):
        os.unlink(journal)


def _settled(path: str) -> bool:
    """What is written within one tick of the clock has one time: only a time that is past proves that nothing was written since.

    A clock that was stepped back leaves times to come. They are as good where they stay: whatever is written gets another time.
    """
    seen = os.lstat(path).st_mtime_ns
    if time.time() - seen / 1e9 > TICK:
        return True
    time.sleep(2 * TICK)
    found = os.lstat(path).st_mtime_ns
    past = time.time() - found / 1e9
    return past > TICK or (past < -TICK and found == seen)


def _identity(path: str) -> tuple[int, ...]:
    """Of the database, and of the beginning of its -wal and how much of it is in the database, which change when it is written to."""
    state = os.lstat(path)
    try:
        with os.fdopen(open_regular(path + "-wal"), "rb") as file:
            salt = int.from_bytes(file.read(32), "big")
    except FileNotFoundError:
        salt = 0
    except OSError as problem:
        raise NoCopy("unreadable", sentence_for(problem)) from None
    index = read_index(path + "-shm")
    done = (index.in_database, index.begun, int.from_bytes(index.salts, "big")) if index is not None else (0, 0, 0)
    return (state.st_ino, state.st_size, state.st_mtime_ns, salt, *done)
