# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Keep wallets' keys from being removed or replaced by the user whom they belong to, while that user goes on using them.

Measured with monero-wallet-rpc 0.18: it opens keys for writing, so that neither a read-only nor an immutable file (chattr +i) opens. So the
folder becomes root's, with the sticky bit, and the keys root's with the group's right to write: whoever runs the wallet RPC opens, stores
and makes wallets, and can remove or rename only what is its own. Its group is asked of its process, because a folder's may be another.
What was before is noted first, and given back.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from dataclasses import dataclass
from typing import Any, Callable, Sequence

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import container_of
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
# Whoever owns the folder may have given a file rights that root's would be to everybody.
FILE_RIGHTS, FOLDER_RIGHTS = 0o777, 0o3777


Groups = Callable[[str, int], "set[int] | None"]


NO_SHELLS = ("nologin", "false", "sync", "shutdown", "halt")


class _Unfit(Exception):
    """Guarded like this the keys would serve too few, or too many."""


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


def guard(directories: Sequence[str], state_dir: str, write: bool = True, groups_of: Groups | None = None) -> Done:
    """groups_of: whose groups decide, as whoever uses the keys has nothing but its group's rights while they are root's."""
    paths = _noted(state_dir)
    problems: list[str] = []
    todo: dict[str, int] = {}
    for directory in directories:
        owner = os.stat(directory)
        if directory in paths:
            todo.update(dict.fromkeys(_fit(directory, int(paths[directory][0]), problems), owner.st_gid))
            continue
        if owner.st_uid == 0:
            problems.append(f"the keys in {directory} are not guarded: the folder is root's, and so is whoever uses it")
            continue
        try:
            gid = _group(owner, (groups_of or groups_of_users)(directory, owner.st_uid))
        except _Unfit as why:
            problems.append(f"the keys in {directory} are not guarded: {why}")
            continue
        todo.update(dict.fromkeys(_fit(directory, owner.st_uid, problems), gid))
    todo = {path: gid for path, gid in todo.items() if _as_guarded(path, gid) != _now(path)}
    if not todo:
        return Done([], problems)
    if write:
        private_directory(state_dir)
        for path in todo:
            # What was noted first is what it was: a second call must not take the guard for it.
            paths.setdefault(path, list(_now(path)))
        write_json(_journal(state_dir), {"paths": paths})
        for path in todo:
            _set(path, *_as_guarded(path, todo[path]))
    return Done([*todo], problems)


def _fit(directory: str, owner: int, problems: list[str]) -> list[str]:
    """Of the folder's keys those that a wallet program can have made. Root's name is given to no other file."""
    found = []
    for path in _mine(directory):
        state = os.lstat(path)
        if stat.S_ISREG(state.st_mode) and (
            state.st_mode & ~FILE_RIGHTS & 0o7777 or state.st_nlink > 1 or state.st_uid not in (0, owner)
        ):
            problems.append(f"{path} is not guarded: no wallet program makes such a file (ls -l {path})")
        else:
            found.append(path)
    return found


def _group(owner: os.stat_result, groups: set[int] | None) -> int:
    """The group by which whoever uses the keys keeps its rights, and nobody else gets any."""
    if groups is None:
        raise _Unfit("no container runs that uses them as the user whose they are, so nobody knows its groups")
    shared = {gid: _others_in(gid, owner.st_uid) for gid in groups}
    fitting = [gid for gid, others in shared.items() if not others]
    if not fitting:
        names = ", ".join(sorted({name for others in shared.values() for name in others})) or "nobody"
        raise _Unfit(f"each group of whoever uses them has others in it ({names}), who could write them then")
    return owner.st_gid if owner.st_gid in fitting else min(fitting)


def _others_in(gid: int, uid: int) -> set[str]:
    """Accounts of this host that a group's rights are given to as well."""
    names = {one.pw_name for one in pwd.getpwall() if one.pw_gid == gid and one.pw_uid not in (0, uid)}
    if gid == 0:
        # Accounts that only stop the machine have it on some distributions.
        names -= {one.pw_name for one in pwd.getpwall() if os.path.basename(one.pw_shell) in NO_SHELLS}
    try:
        members = grp.getgrgid(gid).gr_mem
    except KeyError:
        members = []
    ours = {one.pw_name for one in pwd.getpwall() if one.pw_uid in (0, uid)}
    return names | (set(members) - ours)


def groups_of_users(directory: str, uid: int) -> set[int] | None:
    """The groups that all processes of this user have that see the folder from inside a container; None where there is none."""
    here, folders = container_of(_told("self", "cgroup")), _with_parents(directory)
    found: set[int] | None = None
    for pid in filter(str.isdigit, os.listdir("/proc")):
        said = dict(line.split(":", 1) for line in _told(pid, "status").splitlines() if ":" in line)
        if said.get("Uid", "").split()[1:2] != [str(uid)] or container_of(_told(pid, "cgroup")) in (None, here):
            continue
        if any(_inode(f"/proc/{pid}/root{place}") in folders for place in _mounts(_told(pid, "mountinfo"))):
            groups = {int(one) for one in [*said.get("Gid", "").split()[1:2], *said.get("Groups", "").split()]}
            found = groups if found is None else found & groups
    return found


def _told(pid: str, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _mounts(mountinfo: str) -> list[str]:
    return [line.split()[4] for line in mountinfo.splitlines() if len(line.split()) > 4]


def _with_parents(directory: str) -> set[tuple[int, int]]:
    path = os.path.realpath(directory)
    found = {_inode(path)}
    while path != "/":
        path = os.path.dirname(path)
        found.add(_inode(path))
    return {one for one in found if one is not None}


def _inode(path: str) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_dev, state.st_ino


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


def _as_guarded(path: str, gid: int) -> tuple[int, int, int]:
    _uid, _gid, mode = _now(path)
    if os.path.isdir(path):
        return 0, gid, mode | GROUP_USES | stat.S_ISVTX
    return 0, gid, mode | GROUP_WRITES


def _set(path: str, uid: int, gid: int, mode: int) -> None:
    """By a handle: the folder is another user's, who could put a link there in between."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        now = os.fstat(handle).st_mode
        rights = FILE_RIGHTS if stat.S_ISREG(now) else FOLDER_RIGHTS
        # Where rights are given they come before the owner changes, so that at no moment the wallet RPC has none.
        os.fchmod(handle, (mode | stat.S_IMODE(now)) & rights)
        os.fchown(handle, uid, gid)
        os.fchmod(handle, mode & rights)
    finally:
        os.close(handle)
