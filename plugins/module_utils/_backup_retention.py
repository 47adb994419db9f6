# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Which archives may go. Never the last good ones, whatever their age: backups may have been failing for as long as they are old."""

from __future__ import annotations

import os
import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_shelf, _wallet_archive
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_shelf import Archive
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import read_freezes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places, read_holds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_archive import BadArchive, manifest_problems

DAY = 86400.0


def forbidden(state_dir: str) -> str:
    """What on this host says that something is under way for which an old archive may be needed; empty where nothing does."""
    places = Places(state_dir=state_dir, lease_dir="")
    standing = [f"the hold '{one['name']}' stands" for one in read_holds(places)]
    standing += [f"the freeze '{one['name']}' stands" for one in read_freezes(places)]
    return standing[0] if standing else ""


def good(archive: Archive, key: Key) -> bool:
    """Unchanged since it was made, and opened to its end now; unchanged is enough where this host cannot open it by design."""
    if not _backup_shelf.intact(archive.path):
        return False
    try:
        return not any(manifest_problems(_wallet_archive.read(archive.path, key)))
    except BadArchive as problem:
        return problem.kind == "no_secret_key"


def tidied(folder: str, role: str, key: Key, days: float, keep_good: int, keep_all: str) -> dict[str, Any]:
    """Remove what is too old, as soon as enough others are proven good. Those made elsewhere are nobody's to remove."""
    ours = [one for one in _backup_shelf.archives(folder) if one.role == role]
    old = [one for one in ours if time.time() - one.created > days * DAY]
    found: dict[str, Any] = {"removed": [], "kept": len(ours), "why": ""}
    if not old:
        return found
    if keep_all:
        return {**found, "why": keep_all}
    proven: list[Archive] = []
    for one in ours:
        if len(proven) < max(1, keep_good) and good(one, key):
            proven.append(one)
    if len(proven) < max(1, keep_good):
        return {
            **found,
            "why": f"only {len(proven)} of {role}'s archives are proven good, and {max(1, keep_good)} have to stay",
        }
    for one in old:
        if one not in proven:
            _backup_shelf.take_away(one.path)
            found["removed"].append(os.path.basename(one.path))
    found["kept"] -= len(found["removed"])
    return found
