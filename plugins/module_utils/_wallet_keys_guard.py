# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Keep wallets' keys from being removed or replaced by the user whom they belong to, while that user goes on using them.

Measured with monero-wallet-rpc 0.18: it opens keys for writing, so that neither a read-only nor an immutable file (chattr +i) opens. So the
folder becomes root's, with the sticky bit, and the keys root's with the group's right to write: whoever runs the wallet RPC opens, stores
and makes wallets, and can remove or rename only what is its own. What was before is noted first, and given back.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Any, Sequence

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    IncidentError,
    forget,
    private_directory,
    read_json,
    write_json,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_files import KEYS

JOURNAL = "wallet_keys_guard.json"
GROUP_WRITES = stat.S_IRGRP | stat.S_IWGRP
GROUP_USES = GROUP_WRITES | stat.S_IXGRP


@dataclass
class Done:
    """What changed, and what could not be guarded."""

    changed: list[str]
    problems: list[str]


def _journal(state_dir: str) -> str:
    return os.path.join(state_dir, JOURNAL)


def _noted(state_dir: str) -> dict[str, Any]:
    path = _journal(state_dir)
    try:
        said = read_json(path) or {}
    except ValueError:
        said = {"paths": None}
    paths = said.get("paths", {})
    if not isinstance(paths, dict):
        raise IncidentError(f"{path} cannot be read, so nobody knows whose the keys were: look at it, then move it away.")
    return paths


def _mine(directory: str) -> list[str]:
    """The keys in the folder, then the folder itself: while only some are guarded, none is out of reach."""
    names = sorted(name for name in os.listdir(directory) if name.endswith(KEYS) and not name.startswith("."))
    return [*(os.path.join(directory, name) for name in names), directory]


def guard(directories: Sequence[str], state_dir: str, write: bool = True) -> Done:
    paths, problems = _noted(state_dir), []
    todo: list[str] = []
    for directory in directories:
        owner = os.stat(directory)
        if owner.st_uid == 0 and directory not in paths:
            problems.append(f"the keys in {directory} are not guarded: the folder is root's, and so is whoever uses it")
            continue
        todo += [path for path in _mine(directory) if _as_guarded(path) != _now(path)]
    if not todo:
        return Done([], problems)
    if write:
        private_directory(state_dir)
        for path in todo:
            # What was noted first is what it was: a second call must not take the guard for it.
            paths.setdefault(path, list(_now(path)))
        write_json(_journal(state_dir), {"paths": paths})
        for path in todo:
            _set(path, *_as_guarded(path))
    return Done(todo, problems)


def release(state_dir: str, write: bool = True) -> Done:
    """As it was, the folder first; what is gone or another file by now is left as it is."""
    paths = _noted(state_dir)
    if not paths and not os.path.lexists(_journal(state_dir)):
        return Done([], [])
    back = [path for path in sorted(paths, key=len) if os.path.lexists(path) and tuple(paths[path]) != _now(path)]
    if write:
        for path in back:
            uid, gid, mode = paths[path]
            _set(path, int(uid), int(gid), int(mode))
        forget(_journal(state_dir))
    return Done(back, [])


def _now(path: str) -> tuple[int, int, int]:
    state = os.lstat(path)
    if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
        raise IncidentError(
            f"{path} is neither a file nor a folder, and nothing of a wallet may be a link: look at it (ls -l {path})."
        )
    return state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)


def _as_guarded(path: str) -> tuple[int, int, int]:
    _uid, gid, mode = _now(path)
    if os.path.isdir(path):
        return 0, gid, mode | GROUP_USES | stat.S_ISVTX
    return 0, gid, mode | GROUP_WRITES


def _set(path: str, uid: int, gid: int, mode: int) -> None:
    """By a handle: the folder is another user's, who could put a link there in between."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        # Where rights are given they come before the owner changes, so that at no moment the wallet RPC has none.
        os.fchmod(handle, mode | stat.S_IMODE(os.fstat(handle).st_mode))
        os.fchown(handle, uid, gid)
        os.fchmod(handle, mode)
    finally:
        os.close(handle)
