# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What an image of the database is worth, and what a manifest says of it. The image is a file of our own, examined in place."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_candidate

FACTS = ("page_size", "page_count", "schema_version", "schema_sha256", "tables")


def judged(
    path: str, key: str, invariants: tuple[dict[str, str], ...], sealed: bool, seconds: float = 1800.0
) -> dict[str, Any]:
    """As a restore judges it, by integrity_check, foreign keys and what must hold; what is encrypted and has no key here is `encrypted`."""
    found = _database_candidate.look(path, key if sealed else "", list(invariants), seconds)
    facts = {name: found["summary"].get(name) for name in FACTS}
    # Where it lies for now helps nobody.
    sentences = [one.replace(path, "the image") for one in found["sentences"]] or [found["state"]]
    return {"state": found["state"], "sentences": sentences, **facts}


def last_commit(path: str) -> float:
    """When the database was last written to, by its own time and its -wal's."""
    times = [os.stat(path).st_mtime]
    if os.path.exists(path + "-wal"):
        times.append(os.stat(path + "-wal").st_mtime)
    return min(max(times), time.time())


def version() -> str:
    return sqlite3.sqlite_version
