# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""A whole, settled image of a database in a scratch folder: online where somebody has it open, a copy of its files where nobody has."""

from __future__ import annotations

# run_command belongs to AnsibleModule, of which the logic knows nothing.
# pylint: disable=ansible-bad-function
import json
import os
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_copy, _sqlite_holders, _sqlite_image
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import open_regular
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_copy import NoCopy

HEADER = b"SQLite format 3\0"
COPIES = 3


class NoImage(Exception):
    """One sentence on why there is no image."""


@dataclass(frozen=True)
class Image:
    """A file of ours. how is online or copied; seconds is how long the readers' lock was held, if it was."""

    path: str
    how: str
    seconds: float
    encrypted: bool


def in_use(path: str) -> bool:
    """Whether a process has the database open. Who cannot look at all of them takes it for open."""
    return os.geteuid() != 0 or bool(_sqlite_holders.holders(path))


def encrypted(path: str) -> bool:
    """No header of a plain database: SQLCipher's, or none at all."""
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read(len(HEADER)) != HEADER


def taken(path: str, folder: str, key: str, seconds: float, busy_seconds: float = 30.0) -> Image:
    """An image in the folder, without a -wal of its own."""
    try:
        _sqlite_copy.check(path)
    except NoCopy as problem:
        raise NoImage(str(problem)) from None
    sealed = encrypted(path)
    for _attempt in range(COPIES):
        if in_use(path):
            return _online(path, folder, key, seconds, busy_seconds, sealed)
        found = _copied(path, folder, key, seconds, sealed)
        if found is not None and not in_use(path):
            return found
    # Somebody writes to it whom we cannot see.
    return _online(path, folder, key, seconds, busy_seconds, sealed)


def _online(path: str, folder: str, key: str, seconds: float, busy_seconds: float, sealed: bool) -> Image:
    if sealed and not key:
        raise NoImage(
            f"{path} is encrypted and in use, so that it cannot be copied whole without its key: set marketplace_database_key, "
            "or stop the server first."
        )
    target = os.path.join(folder, "image.db")
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    order = {"source": path, "target": target, "key": key if sealed else "", "busy_seconds": busy_seconds}
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", _program()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with child:
        inlet, outlet = child.stdin, child.stdout
        if inlet is None or outlet is None:
            raise NoImage(f"{path}: no pipe to the program that makes its image.")
        with suppress(BrokenPipeError):  # that it ended is told by what it says
            inlet.write(json.dumps(order).encode() + b"\n")
            inlet.flush()
        late = not _said(child, seconds)
        answer = b"" if late else outlet.read(65536)
        with suppress(BrokenPipeError):
            inlet.close()
    if late:
        raise NoImage(f"The image of {path} was not made within {seconds:g} s: is its disk slow, or somebody holding a lock?")
    return Image(target, "online", _judged(path, answer), sealed)


def _said(child: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether it ended in time; one that did not is ended. What it says fits into a pipe."""
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        return False
    return True


def _judged(path: str, answer: bytes) -> float:
    try:
        found = json.loads(answer)
        problem, seconds = str(found["problem"]), found["seconds"]
    except (ValueError, KeyError, TypeError):
        raise NoImage(f"The program that makes the image of {path} ended without a word: look at memory and disk.") from None
    if problem.startswith("no sqlcipher3"):
        raise NoImage(
            f"{path} is encrypted and in use, and this host's Python has no sqlcipher3: pip install sqlcipher3-wheels, or stop the server first."
        )
    if "not a database" in problem:
        raise NoImage(f"{path} does not open: it is encrypted with another key than marketplace_database_key, or no database.")
    if problem:
        raise NoImage(f"{path} gave no image ({clean_line(problem, 200)}): look at it with playbooks/database.yml.")
    return float(seconds)


def _program() -> str:
    """The source of the module that is run by itself, as it was loaded: this may have come in an archive."""
    loader = getattr(_sqlite_image, "__loader__", None)
    source = loader.get_source(_sqlite_image.__name__) if loader is not None else ""
    return source if isinstance(source, str) else bytes(source).decode()


def _copied(path: str, folder: str, key: str, seconds: float, sealed: bool) -> Image | None:
    """Nobody has it open: its files are a whole set. None where they moved after all."""
    began = time.monotonic()
    try:
        target, still = _sqlite_copy.copy(path, folder, seconds)
    except NoCopy as problem:
        raise NoImage(str(problem)) from None
    if not still:
        return None
    if sealed and not key and any(_sqlite_copy.size_of(target + suffix) for suffix in ("-wal", "-journal")):
        raise NoImage(f"{path} is encrypted and has unfinished work beside it: set marketplace_database_key.")
    return Image(target, "copied", time.monotonic() - began, sealed)


def settled(image: Image, key: str) -> None:
    """One file: what a -wal holds is taken in, and the header says so."""
    if image.encrypted and not key:
        return
    try:
        sqlite: Any = _sqlite_image.library(key if image.encrypted else "")
    except ImportError:
        raise NoImage(
            "The image is encrypted, and this host's Python has no sqlcipher3: pip install sqlcipher3-wheels."
        ) from None
    try:
        with closing(sqlite.connect(image.path, isolation_level=None)) as database:
            _sqlite_image.unlocked(database, key if image.encrypted else "")
            # Without it a schema that only a newer SQLite can read would be in the way.
            database.execute("PRAGMA writable_schema=ON")
            mode = database.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    except sqlite.DatabaseError as problem:
        raise NoImage(
            f"The image cannot be read ({clean_line(str(problem), 200)}): the database is damaged; run playbooks/database.yml."
        ) from None
    left = [suffix for suffix in _sqlite_copy.SIDECARS if os.path.lexists(image.path + suffix)]
    if mode != "delete" or left:
        raise NoImage(
            f"The image did not become one file (journal_mode {mode}, {', '.join(left) or 'nothing'} beside it): run it again."
        )
    handle = os.open(image.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
