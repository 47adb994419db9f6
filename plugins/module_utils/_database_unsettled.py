# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""A note that the database does not agree with the chain yet, or that nobody knows: from when damage is kept until the shop is open.

No later look takes it away, however sound the database looks then: somebody restored or mended it. Only opening does.
"""

from __future__ import annotations

import os
import time
from typing import Any, Sequence

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_files
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    forget,
    private_directory,
    read_json,
    utc,
    write_json,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored

FORMAT = 1
STAGES = ("damaged", "restored", "reopening")


def note_path(state_dir: str, path: str) -> str:
    return os.path.join(state_dir, f"database_unsettled-{_database_files.named(path)}.json")


def standing(state_dir: str, path: str) -> dict[str, Any] | None:
    """One that cannot be read is a refusal: nobody knows then whether the shop may open."""
    where = note_path(state_dir, path)
    try:
        said = read_json(where)
        if said is not None and (said.get("format") != FORMAT or said.get("stage") not in STAGES):
            raise ValueError("another format")
    except ValueError:
        raise NotRestored(
            "journal",
            f"{where} cannot be read, so nobody knows whether the database was compared with the chain: look at it, "
            "then move it away; the shop stays closed.",
        ) from None
    return said


def note(
    state_dir: str, path: str, stage: str, kept_database: str | None = None, services: Sequence[str] | None = None
) -> bool:
    """Whether the note is another one now. Without a new kept copy it keeps the one it names, and so the services to start."""
    earlier = standing(state_dir, path) or {}
    wanted = {
        "stage": stage,
        "kept_database": earlier.get("kept_database", "") if kept_database is None else kept_database,
        # Else it was mended by hand, and the last restore that is known is another incident's.
        "by_restore": bool(earlier.get("by_restore")) if stage == "reopening" else stage == "restored",
        "services": earlier.get("services", []) if services is None else list(services),
    }
    if {name: earlier.get(name) for name in wanted} == wanted:
        return False
    private_directory(state_dir)
    write_json(note_path(state_dir, path), {"format": FORMAT, "at": utc(time.time()), **wanted})
    return True


def settle(state_dir: str, path: str) -> bool:
    """Whether there was a note. Asked for when the shop is open again, and by nobody else."""
    there = standing(state_dir, path) is not None
    forget(note_path(state_dir, path))
    return there
