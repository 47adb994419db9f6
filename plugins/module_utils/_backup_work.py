# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What all backups share while one is made: room on the disk, a lease that is kept, a draft until it is published."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from typing import Callable, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_shelf
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_shelf import Kind
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    IncidentError,
    private_directory,
    remove,
)

# Named in each manifest, so that whoever opens an old archive knows what made it.
COLLECTION = "0.4.0"
RENEW_SECONDS = 60.0


class NotBackedUp(Exception):
    """One sentence on why there is no new archive."""


class Room:
    """What is free on the disk of the backups, less what others of this run are about to write."""

    def __init__(self, folder: str, floor: int) -> None:
        self._folder, self._floor = folder, floor
        self._promised = 0
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, needed: int) -> Iterator[None]:
        """Room for an archive while it is written; then it is what it is."""
        with self._lock:
            free = free_bytes(self._folder) - self._promised
            if free - needed < self._floor:
                raise NotBackedUp(
                    f"The archive needs about {human_bytes(needed)} in {self._folder}, where {human_bytes(free)} are free and "
                    f"{human_bytes(self._floor)} must stay: free some there (df -h {self._folder})."
                )
            self._promised += needed
        try:
            yield
        finally:
            with self._lock:
                self._promised -= needed


def free_bytes(folder: str) -> int:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


@contextmanager
def kept(allowed: Callable[[], bool]) -> Iterator[None]:
    """Asked again and again, which renews the lease: an archive may take longer than it lasts."""
    over = threading.Event()

    def keep() -> None:
        # Whoever publishes asks once more, and takes a refusal for what it is.
        with suppress(IncidentError, OSError):
            while not over.wait(RENEW_SECONDS) and allowed():
                pass

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join(RENEW_SECONDS)


def work_of(folder: str) -> str:
    return os.path.join(folder, _backup_shelf.WORK)


def prepared(folder: str, kind: Kind) -> None:
    """The folders of the archives, without what a killed run has left in them."""
    private_directory(folder)
    private_directory(work_of(folder))
    _backup_shelf.sweep(folder, kind)


def draft_of(folder: str, role: str, ending: str) -> str:
    return os.path.join(work_of(folder), f"{role}{ending}.partial")


def discard(draft: str) -> None:
    remove(draft)


def free_name(folder: str, kind: Kind, role: str, created: float, ending: str) -> str:
    """A name is a second; two archives within one get two."""
    while os.path.lexists(path := os.path.join(folder, kind.name_of(role, created, ending))):
        created += 1
    return path
