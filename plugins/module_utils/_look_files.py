# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Files of a service which its own user may not use: their owner or their mode is wrong."""

from __future__ import annotations

import os
import stat
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

SIDECARS = ("", "-wal", "-shm")
# More entries than a folder of a service's data has on its first level.
ENTRIES = 2000

_READ, _WRITE, _ENTER = 4, 2, 1


def numeric_user(user: str | None) -> tuple[int, int | None] | None:
    """The user and group of a container, where both are numbers; names mean something only inside the image."""
    uid, _colon, gid = (user or "").partition(":")
    if not uid.isdecimal() or not (gid.isdecimal() or not gid):
        return None
    return int(uid), int(gid) if gid else None


def closed_files(user: tuple[int, int | None], binds: Iterable[dict[str, Any]], database: str) -> list[dict[str, Any]]:
    """What a user may not use of the folders it is given for writing: the folders, and the files on their first level.

    Not every folder or file in there has to be its own. Claimed is only what cannot be read; the database with its sidecars, which has
    to be written as well; and a folder whose entries are the user's own, so that it wrote there before.
    """
    set_of_database = {database + suffix for suffix in SIDECARS} if database else set()
    found: dict[str, dict[str, Any]] = {}
    for bind in binds:
        if not bind["writable"]:
            continue
        source = bind["source"]
        try:
            state = os.stat(source)
        except OSError:
            continue
        if not stat.S_ISDIR(state.st_mode):
            _judge(source, state, user, source in set_of_database, found)
            continue
        entries = _entries(source)
        writes_here = os.path.dirname(database) == source or any(one.st_uid == user[0] for _path, one in entries)
        if not _may(state, user, _READ | _ENTER | (_WRITE if writes_here else 0)):
            found[source] = _told(source, state, user, "u+rwx", True)
        for path, one in entries:
            _judge(path, one, user, path in set_of_database, found)
    return list(found.values())


def _judge(
    path: str, state: os.stat_result, user: tuple[int, int | None], ours: bool, found: dict[str, dict[str, Any]]
) -> None:
    if stat.S_ISREG(state.st_mode) and not _may(state, user, _READ | (_WRITE if ours else 0)):
        found[path] = _told(path, state, user, "u+rw", ours)


def _entries(folder: str) -> list[tuple[str, os.stat_result]]:
    found: list[tuple[str, os.stat_result]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if len(found) >= ENTRIES:
                    break
                found.append((entry.path, entry.stat(follow_symlinks=False)))
    except OSError:
        return found
    return sorted(found, key=lambda one: one[0])


def _may(state: os.stat_result, user: tuple[int, int | None], wanted: int) -> bool:
    uid, gid = user
    if uid == 0:
        return True
    if state.st_uid != uid and gid is None:
        # Which groups the user is in is not known: then only what nobody but the owner may is surely closed.
        return ((state.st_mode >> 3) | state.st_mode) & wanted == wanted
    shift = 6 if state.st_uid == uid else 3 if state.st_gid == gid else 0
    return (state.st_mode >> shift) & wanted == wanted


def _told(path: str, state: os.stat_result, user: tuple[int, int | None], mode: str, ours: bool) -> dict[str, Any]:
    group = "" if user[1] is None else f":{user[1]}"
    return {
        "path": clean_line(path, 300),
        "found": f"{state.st_uid}:{state.st_gid} {stat.S_IMODE(state.st_mode):04o}",
        "wanted": f"{user[0]}{group} {mode}",
        "owner": user[0],
        "group": user[1],
        "mode": mode,
        # Whether the service cannot do without it, or it only lies beside what is the service's.
        "needed": ours and clean_line(path, 300) == path and not (stat.S_ISREG(state.st_mode) and state.st_nlink > 1),
    }
