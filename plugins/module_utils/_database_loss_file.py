# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The file of what a restore has lost: written to its end before it gets its name, and sealed by gpg where it leaves the host."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _gpg
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import draft_of, put_in_place, remove

SEALED = ".gpg"
# The comparing is within it.
SEAL_SECONDS = 4 * 3600.0
OPEN = Key()


def new(path: str) -> IO[bytes]:
    remove(path)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")


def nowhere() -> IO[bytes]:
    return os.fdopen(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), "wb")


def seal_copy(path: str, sealed: str, seal: Key) -> None:
    draft = draft_of(sealed)
    with ExitStack() as stack:
        stack.callback(remove, draft)
        with through(new(draft), seal) as inlet, open(path, "rb") as source:
            shutil.copyfileobj(source, inlet, 1024 * 1024)
        put_in_place(draft, sealed)


@contextmanager
def through(file: IO[bytes], seal: Key) -> Iterator[IO[bytes]]:
    """What is written lies in the file when the block ends, through gpg where there is something to seal it with."""
    with file:
        if seal == OPEN:
            yield file
            file.flush()
        else:
            with _gpg.encrypting(file, seal, SEAL_SECONDS) as (inlet, stream):
                # Whatever gpg died of, its own verdict says it.
                with suppress(BrokenPipeError):
                    yield inlet
                    inlet.close()
                _gpg.sealed(stream, seal)
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            os.fsync(file.fileno())


def unused(path: str) -> str:
    """A list that is there is a record: another one gets a number."""
    whole, last = (path[: -len(SEALED)], SEALED) if path.endswith(SEALED) else (path, "")
    stem, ending = os.path.splitext(whole)
    return next(
        one for one in (path, *(f"{stem}.{number}{ending}{last}" for number in range(2, 10000))) if not os.path.lexists(one)
    )


def digest(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            found = hashlib.sha256()
            for chunk in iter(lambda: file.read(1024 * 1024), b""):
                found.update(chunk)
            return found.hexdigest()
    except FileNotFoundError:
        return None
