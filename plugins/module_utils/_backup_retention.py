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
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import utc
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import read_freezes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places, read_holds

DAY = 86400.0
# By which clocks may differ.
SLACK = 300.0
# The share of the retention that one stretch without a backup counts for at most, and no less than a day.
COUNTED = 0.1


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
    found: dict[str, Any] = {"removed": [], "kept": len(ours), "why": ""}
    if not any(now - one.created > days * DAY for one in ours):
        return found
    if keep_all:
        return {**found, "why": keep_all}
    ages, gap = _ages([one for one in ours if one.created <= now + SLACK], now, max(DAY, COUNTED * days * DAY))
    old = [one for one in ours if ages.get(one.path, 0.0) > days * DAY]
    if not old:
        return {**found, "why": gap}
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


def _ages(past: list[Archive], now: float, longest: float) -> tuple[dict[str, float], str]:
    """How old each counts as, the newest first, and the newest gap between them.

    A clock that jumps ahead makes all of them old at once, and looks like a host that was off. So a gap counts for nothing while what was made
    since spans less than the longest that counts, and for no more than that ever: no jump takes what was made before it, and after a real
    pause backups go on as usual, so that what lies before it goes in its turn.
    """
    ages: dict[str, float] = {}
    age, last, gap = 0.0, now, ""
    for one in past:
        if last - one.created <= longest:
            age += last - one.created
        else:
            age = age + longest if now - last >= longest else 0.0
            gap = gap or (
                f"no backup was made between {utc(one.created)} and {utc(last)}, or the clock jumped: look at this host's clock; "
                "older ones go later"
            )
        ages[one.path], last = age, one.created
    return ages, gap
