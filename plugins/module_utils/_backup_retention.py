# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Which archives may go. Never the last good ones, whatever their age: backups may have been failing for as long as they are old."""

from __future__ import annotations

import os
import time
from itertools import islice
from typing import Any, Callable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_shelf
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_shelf import Archive, Kind
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import read_freezes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places, read_holds

DAY = 86400.0
# By which clocks may differ.
SLACK = 300.0


def forbidden(state_dir: str) -> str:
    """What on this host says that something is under way for which an old archive may be needed; empty where nothing does."""
    places = Places(state_dir=state_dir, lease_dir="")
    standing = [f"the hold '{one['name']}' stands" for one in read_holds(places)]
    standing += [f"the freeze '{one['name']}' stands" for one in read_freezes(places)]
    return standing[0] if standing else ""


def tidied(
    folder: str,
    kind: Kind,
    role: str,
    good: Callable[[Archive], bool],
    days: float,
    keep_good: int,
    keep_all: str,
    sound: Callable[[Archive], bool] = lambda _archive: False,
) -> dict[str, Any]:
    """Remove what is too old, as soon as enough others are proven good. Those made elsewhere are nobody's to remove.

    One that says it was made in the future is neither: a clock was wrong, and nobody knows how old it is.
    """
    now = time.time()
    ours = [one for one in _backup_shelf.archives(folder, kind) if one.ours and one.role == role]
    old = [one for one in ours if now - one.created > days * DAY]
    found: dict[str, Any] = {"removed": [], "kept": len(ours), "why": ""}
    if not old:
        return found
    if keep_all:
        return {**found, "why": keep_all}
    proven: list[Archive] = []
    for one in ours:
        if len(proven) < max(1, keep_good) and one.created <= now + SLACK and _backup_shelf.intact(one.path) and good(one):
            proven.append(one)
    if len(proven) < max(1, keep_good):
        return {
            **found,
            "why": f"only {len(proven)} of {role}'s archives are proven good, and {max(1, keep_good)} have to stay",
        }
    # Of those that hold wrong values none stands for one that does not.
    past = (one for one in ours if one.created <= now + SLACK and sound(one))
    best = list(islice((one for one in past if one in proven or _backup_shelf.intact(one.path)), max(1, keep_good)))
    for one in old:
        if one not in proven and one not in best:
            _backup_shelf.take_away(one.path)
            found["removed"].append(os.path.basename(one.path))
    found["kept"] -= len(found["removed"])
    return found
