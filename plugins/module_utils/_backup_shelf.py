# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The folder in which archives of one kind lie: their names, what lies beside each, and how one comes in or goes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    draft_of,
    put_in_place,
    remove,
    sync_directory,
    write_all,
)

SIDECARS = (".sha256", ".manifest.json")
# Unfinished archives, encrypted like the finished ones. On the same file system, so that finishing is a rename.
WORK = ".work"
# Names made elsewhere may leave out the seconds.
_STAMP = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)[T_-]?(\d\d)[:.-]?(\d\d)(?:[:.-]?(\d\d))?")
_FORM = "%Y%m%dT%H%M%SZ"
CHUNK = 1024 * 1024
_SIDECAR_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True)
class Kind:
    """How archives of one kind are named. ours tells the role and the time of one that this collection made; the first ending is the usual one."""

    name: str
    ours: re.Pattern[str]
    form: str
    pointer: str
    endings: tuple[str, ...]
    # Endings of archives made elsewhere that may be of this kind too.
    foreign: tuple[str, ...] = ()
    # The role of all of them, where there is but one. Then others give such names too, and only a manifest tells ours from theirs.
    role: str | None = None

    def name_of(self, role: str, epoch: float, ending: str = "") -> str:
        stamp = datetime.fromtimestamp(epoch, timezone.utc).strftime(_FORM)
        return self.form.format(role=role, stamp=stamp) + (ending or self.endings[0])

    def pointers(self, folder: str, role: str) -> list[str]:
        """Where the pointer to the newest archive may be: it ends as the archive does."""
        return [os.path.join(folder, self.pointer.format(role=role) + ending) for ending in self.endings]


WALLETS = Kind(
    "wallet",
    re.compile(r"marketplace-wallet-(?P<role>[A-Za-z0-9][A-Za-z0-9_.-]*)-(?P<stamp>\d{8}T\d{6}Z)\.tar\.gz\.gpg\Z"),
    "marketplace-wallet-{role}-{stamp}",
    "latest-{role}",
    (".tar.gz.gpg",),
)
DATABASE = Kind(
    "database",
    re.compile(r"marketplace-(?P<role>db)-(?P<stamp>\d{8}T\d{6}Z)\.db\.(?:gz|zst)\.gpg\Z"),
    "marketplace-db-{stamp}",
    "latest",
    (".db.gz.gpg", ".db.zst.gpg"),
    (".gpg",),
    role="database",
)


@dataclass(frozen=True)
class Archive:
    """One archive. role is None where the name does not tell, as with wallets' archives made elsewhere."""

    path: str
    role: str | None
    created: float
    bytes: int
    ours: bool = True


def pointed(folder: str, role: str, kind: Kind = WALLETS) -> str | None:
    """The archive that the role's pointer names; the newest, where there are two pointers."""
    found = [os.path.join(folder, os.readlink(one)) for one in kind.pointers(folder, role) if os.path.islink(one)]
    return max(found, default=None)


def _moment(stamp: str) -> float | None:
    """When a name says that it was made; the file's own time may be that of a copy."""
    found = _STAMP.search(stamp)
    if found is None:
        return None
    try:
        made = datetime.strptime("".join(found.groups("00")), "%Y%m%d%H%M%S")
        return made.replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def archives(folder: str, kind: Kind = WALLETS) -> list[Archive]:
    """Every archive of the folder, the newest first; pointers to them are none."""
    found = []
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    for name in names:
        path = os.path.join(folder, name)
        state = os.lstat(path) if name.endswith((*kind.endings, *kind.foreign)) and not name.startswith(".") else None
        if state is not None and stat.S_ISREG(state.st_mode):
            ours = kind.ours.match(name)
            created = _moment(ours["stamp"] if ours else name)
            role = kind.role or (ours["role"] if ours else None)
            made_here = ours is not None and (kind.role is None or os.path.lexists(path + SIDECARS[1]))
            found.append(Archive(path, role, state.st_mtime if created is None else created, state.st_size, made_here))
    return sorted(found, key=lambda one: (-one.created, one.path))


def manifest_beside(path: str) -> dict[str, Any] | None:
    """What was noted beside an archive. It is not proven as what lies in it is."""
    try:
        with open(path + SIDECARS[1], encoding="utf-8") as file:
            found = json.loads(file.read(_SIDECAR_LIMIT))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def sha256_of(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_beside(path: str) -> str | None:
    """The checksum noted when an archive was made, as sha256sum writes it."""
    try:
        with open(path + SIDECARS[0], encoding="ascii") as file:
            found = re.match(r"[0-9a-f]{64}\b", file.read(1024))
    except (OSError, ValueError):
        return None
    return found[0] if found else None


def intact(path: str) -> bool | None:
    """Whether an archive still is what it was; None where nobody noted what that is."""
    noted = sha256_beside(path)
    return None if noted is None else noted == sha256_of(path)


def put(draft: str, target: str, digest: str, manifest: dict[str, Any]) -> None:
    """Publish a finished archive: what lies beside it first, so that no archive is ever without."""
    _write(target + SIDECARS[0], f"{digest}  {os.path.basename(target)}\n".encode())
    _write(target + SIDECARS[1], (json.dumps(manifest, sort_keys=True, indent=1) + "\n").encode())
    put_in_place(draft, target)


def point(folder: str, role: str, target: str, kind: Kind = WALLETS) -> None:
    """Let the role's pointer name the newest archive, in one step. One that ends otherwise than the newest goes after that."""
    name = os.path.basename(target)
    for pointer in sorted(kind.pointers(folder, role), key=lambda one: not name.endswith(_ending(one, kind))):
        if not name.endswith(_ending(pointer, kind)):
            if os.path.islink(pointer):
                remove(pointer)
                sync_directory(folder)
        elif not (os.path.islink(pointer) and os.readlink(pointer) == name):
            draft = draft_of(pointer)
            remove(draft)
            os.symlink(name, draft)
            put_in_place(draft, pointer)


def _ending(path: str, kind: Kind) -> str:
    return next(ending for ending in kind.endings if path.endswith(ending))


def take_away(path: str) -> None:
    """The archive first: what lies beside none is swept by whoever comes next."""
    for name in (path, *(path + ending for ending in SIDECARS)):
        remove(name)
    sync_directory(os.path.dirname(path))


def sweep(folder: str, kind: Kind = WALLETS) -> None:
    """What a killed run has left: unfinished archives, drafts, and notes beside archives that never came. Only under our lock."""
    work = os.path.join(folder, WORK)
    for name in os.listdir(work) if os.path.isdir(work) else []:
        remove(os.path.join(work, name))
    for name in os.listdir(folder):
        whole = next((name[: -len(ending)] for ending in SIDECARS if name.endswith(ending)), None)
        orphan = whole is not None and kind.ours.match(whole) and not os.path.exists(os.path.join(folder, whole))
        draft = name.startswith((".marketplace-", ".latest")) and name.endswith(".new")
        if orphan or draft:
            remove(os.path.join(folder, name))


def _write(path: str, content: bytes) -> None:
    draft = draft_of(path)
    remove(draft)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        write_all(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    put_in_place(draft, path)
