# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Unpack one encrypted archive of a database into a file: gpg and the unpacker side by side, no byte of it through us.

What comes out is bounded by the kernel, so that a small archive cannot fill the disk, and it counts for nothing before gpg has said its
last word. What the archive is, is seen in its first bytes: names lie.
"""

from __future__ import annotations

# run_command belongs to AnsibleModule, of which the logic knows nothing.
# pylint: disable=ansible-bad-function
import os
import resource
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_files, _gpg
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import GpgProblem, Key

POLL_SECONDS = 0.05
# How much an archive may hold, where nobody says it.
MOST_BYTES = 64 * 1024**3
LEAST_BYTES = 1024**3
MOST_TIMES = 100
_UNPACKERS = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))


class BadArchive(Exception):
    """kind as with _gpg, or too_big, no_space, no_unpacker, unreadable. The text is one sentence that names the archive."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True)
class Bounds:
    """What one archive may cost. No bytes given means those that its size allows."""

    bytes: int = 0
    seconds: float = 3600.0

    def most(self, packed: int) -> int:
        return self.bytes or min(MOST_BYTES, max(LEAST_BYTES, MOST_TIMES * packed))


def unpack(archive: str, target: str, key: Key, bounds: Bounds) -> tuple[float, str]:
    """The content of an archive as a new file, for its owner only. Returns the seconds it took, and what its maker has named it inside."""
    began = time.monotonic()
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        label = _unpack(archive, handle, os.path.dirname(target), key, bounds)
    except GpgProblem as problem:
        raise BadArchive(problem.kind, f"{archive} {problem}.") from None
    except OSError as problem:
        raise BadArchive("unreadable", f"{archive} cannot be read: {problem.strerror}.") from None
    finally:
        os.close(handle)
    return time.monotonic() - began, label


def _unpack(archive: str, handle: int, folder: str, key: Key, bounds: Bounds) -> str:
    reading, writing = socket.socketpair()
    with reading, writing, _gpg.decrypting(archive, key, bounds.seconds, writing.fileno()) as stream:
        writing.close()
        reading.settimeout(bounds.seconds)
        # A look that takes nothing away: the unpacker reads the same bytes again.
        first = reading.recv(4, socket.MSG_PEEK)
        reading.settimeout(None)
        if not first:
            stream.opened(1)
            raise BadArchive("damaged", f"{archive} holds nothing.")
        program = next((name for mark, name in _UNPACKERS if first.startswith(mark)), "cat")
        argv = ["cat"] if program == "cat" else [program, "-dc"]
        try:
            child = subprocess.Popen(argv, stdin=reading.fileno(), stdout=handle, stderr=subprocess.PIPE)
        except FileNotFoundError:
            raise BadArchive(
                "no_unpacker", f"{archive} is packed with {program}, which is not on this host: apt-get install {program}."
            ) from None
        reading.close()
        with child:
            most = bounds.most(os.path.getsize(archive))
            _bounded(child, most)
            problem = _watched(child, folder, time.monotonic() + bounds.seconds)
            said = child.stderr.read(4096) if child.stderr is not None else b""
        if problem is not None:
            raise problem
        size = os.fstat(handle).st_size
        if size >= most:
            raise BadArchive(
                "too_big", f"{archive} holds more than {human_bytes(most)}, the most that is unpacked of it (max_bytes)."
            )
        # gpg's word first: what is cut or altered looks to the unpacker like anything.
        stream.opened(1)
        if child.returncode != 0:
            why = clean_line(said.replace(b"\n", b" "), 200).strip() or f"it ended with {child.returncode}"
            raise BadArchive("damaged", f"{archive} is damaged or ends early: {program} could not unpack it ({why}).")
        return stream.label()


def _bounded(child: subprocess.Popen[bytes], most: int) -> None:
    """The kernel ends a child that writes more."""
    with suppress(ProcessLookupError):  # it was that fast
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (most, most))


def _watched(child: subprocess.Popen[bytes], folder: str, deadline: float) -> BadArchive | None:
    while child.poll() is None:
        if time.monotonic() > deadline:
            child.kill()
            return BadArchive("too_slow", f"Unpacking into {folder} took longer than it may (database_timeout).")
        if _database_files.free_bytes(folder) < _database_files.FLOOR_BYTES:
            child.kill()
            return BadArchive(
                "no_space",
                f"Unpacking into {folder} was given up: less than {human_bytes(_database_files.FLOOR_BYTES)} are left there; free some.",
            )
        try:
            child.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    return None
