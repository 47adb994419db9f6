# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small durable files, and the words for what can go wrong with them.

This module is private to the collection.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from typing import Any, Iterator

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700
POLL_SECONDS = 0.05


class IncidentError(Exception):
    """One sentence for a person; the modules fail with it."""


def sentence_for(problem: OSError) -> str:
    """What an operating system error means for whoever reads it at night."""
    where = problem.filename or "a file"
    if problem.errno == errno.ENOSPC:
        return f"No space is left for {where}: free some there (df -h {where}), then run the same command again."
    if problem.errno == errno.EDQUOT:
        return f"The quota for {where} is used up: free some there, then run the same command again."
    if problem.errno in (errno.EACCES, errno.EPERM):
        return f"No permission for {where}: this needs its owner (on a marketplace host root: set ansible_become in the inventory)."
    if problem.errno == errno.EROFS:
        return f"The file system of {where} is read-only: remount it or choose another folder, then run the same command again."
    return f"Cannot use {where}: {problem.strerror or problem}."


def private_directory(path: str) -> None:
    """Make sure that path is a real folder of ours which nobody else can enter."""
    os.makedirs(path, mode=PRIVATE_DIRECTORY, exist_ok=True)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise IncidentError(f"{path} is not a folder: move it away, then run the same command again.")
    if found.st_uid != os.geteuid():
        raise IncidentError(f"{path} belongs to user id {found.st_uid}, not to us ({os.geteuid()}): give it back with chown.")
    if stat.S_IMODE(found.st_mode) != PRIVATE_DIRECTORY:
        os.chmod(path, PRIVATE_DIRECTORY)


def open_regular(path: str) -> int:
    """A regular file in a folder that somebody else writes to: no link is followed, and no pipe is waited for."""
    # What a process holds is named by a link, and that one is the kernel's.
    follow = 0 if path.startswith("/proc/") else os.O_NOFOLLOW
    try:
        handle = os.open(path, os.O_RDONLY | follow | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            raise OSError(errno.EINVAL, "it is a link, and none is followed here", path) from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return handle


def name_of_handle(handle: int) -> str:
    """A path by which another program of ours gets the very file that is open here, whatever its name has become."""
    return f"/proc/{os.getpid()}/fd/{handle}"


def stranger_on_the_way(folder: str) -> str | None:
    """The folder on the way to this one, or this one, in which somebody else could exchange what lies there; None where there is none."""
    ours = (0, os.geteuid())
    for path in (os.path.abspath(folder), os.path.realpath(folder)):
        while True:
            if os.path.lexists(path):
                state = os.stat(path)
                others = state.st_mode & stat.S_IWOTH or (
                    state.st_mode & stat.S_IWGRP and state.st_gid not in (0, os.getegid())
                )
                if (
                    state.st_uid not in ours
                    or os.lstat(path).st_uid not in ours
                    or (others and not state.st_mode & stat.S_ISVTX)
                ):
                    return path
            if path == os.path.dirname(path):
                break
            path = os.path.dirname(path)
    return None


def sync_directory(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]


@contextmanager
def naming(path: str) -> Iterator[None]:
    """An error of a file that is open already does not say which file; the sentence for a person has to."""
    try:
        yield
    except OSError as problem:
        problem.filename = problem.filename or path
        raise


def draft_of(path: str) -> str:
    """Always the same name: what a killed process left is overwritten by the next one."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")


def remove(path: str) -> None:
    """Remove a file that may be gone already."""
    with suppress(FileNotFoundError):
        os.unlink(path)


def write_draft(path: str, value: Any) -> str:
    """All of a new content for path that needs room on the disk; putting it in place needs none."""
    draft = draft_of(path)
    remove(draft)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
    with ExitStack() as half_written:
        half_written.callback(os.unlink, draft)
        with naming(path):
            try:
                write_all(handle, (json.dumps(value, sort_keys=True, indent=1) + "\n").encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        half_written.pop_all()
    return draft


def put_in_place(draft: str, path: str) -> None:
    os.rename(draft, path)
    sync_directory(os.path.dirname(path))


def write_json(path: str, value: Any) -> None:
    """Replace path in one step: a reader sees the old file or the new one, also after a power cut."""
    put_in_place(write_draft(path, value), path)


def forget(path: str) -> None:
    """Remove a journal whose work is done, and what a killed process had drafted of it."""
    remove(draft_of(path))
    if os.path.lexists(path):
        os.unlink(path)
        sync_directory(os.path.dirname(path))


def read_json(path: str) -> dict[str, Any] | None:
    """The object in path, None without the file; ValueError when it is something else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, encoding="utf-8") as source:
        found = json.load(source)
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no object")
    return found


def try_lock(path: str) -> int | None:
    """An open file with the lock on path, or None when somebody else has it. Closing it gives it back."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE_FILE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


@contextmanager
def locked(path: str, seconds: float) -> Iterator[int]:
    """Hold the lock on path; give up with a sentence when it stays taken."""
    deadline = time.monotonic() + seconds
    handle = try_lock(path)
    while handle is None:
        if time.monotonic() >= deadline:
            raise IncidentError(f"{path} has been locked by another process for {seconds:.0f} s: find it with fuser -v {path}.")
        time.sleep(POLL_SECONDS)
        handle = try_lock(path)
    try:
        yield handle
    finally:
        os.close(handle)


def utc(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch_of(text: str) -> float:
    """The time that utc() wrote; ValueError for anything else."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()


def clean(text: str, longest: int = 4000) -> str:
    """Text from outside without what could drive a terminal or break a line."""
    words = "".join(letter if letter.isprintable() else " " for letter in text)
    return words if len(words) <= longest else words[: longest - 1] + "…"
