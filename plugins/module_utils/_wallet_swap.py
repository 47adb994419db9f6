# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Put files of one wallet in place of others, so that a kill at any moment loses nothing and a rerun ends it.

What is replaced lies in a folder of its own before anything changes; what replaces it lies ready on the same file system. The journal is
what makes the change certain: before it nothing has happened, after it a rerun does the rest without asking anybody.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from dataclasses import asdict, dataclass
from typing import Any, Callable

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    forget,
    private_directory,
    read_json,
    sync_directory,
    write_all,
    write_json,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_files import NotAWallet, read_file

KEPT = ".marketplace_kept"
# In a folder whose change came to its end.
DONE = "kept.json"
# Ends the name of a folder in which a change that nobody can end any more has kept something.
UNFINISHED = ".unfinished"
FORMAT = 1
# What must stay free where the new files are laid ready.
FLOOR_BYTES = 16 * 1024 * 1024
CONTEXT = "security.selinux"


class NotRestored(Exception):
    """Nothing was changed that a rerun would not find; the text is one sentence. kind says what stands in the way."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True)
class Original:
    """A file that is replaced or moved aside. Without a copy of it nothing happens to it."""

    path: str
    sha256: str
    kept: str
    goes: bool


@dataclass(frozen=True)
class New:
    """A file that takes its place: staged is where it lies ready; instead_of is the hash of what it may replace, None for nothing."""

    staged: str
    path: str
    sha256: str
    instead_of: str | None


@dataclass(frozen=True)
class Change:
    """All that happens to one wallet."""

    originals: tuple[Original, ...]
    new: tuple[New, ...]
    folder: str
    note: dict[str, Any]


def keep_root(directory: str) -> str:
    """Beside the wallets' folder, and in it where that is mounted by itself: only within one mount a move is one step."""
    real = os.path.realpath(directory)
    parent = os.path.dirname(real)
    mounted = real in _mount_points() or os.stat(parent).st_dev != os.stat(real).st_dev
    return os.path.join(real, KEPT) if mounted else os.path.join(parent, KEPT, os.path.basename(real))


def _mount_points() -> set[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return {line.split(" ")[4].replace("\\040", " ") for line in file}


def journal_path(state_dir: str, directory: str, wallet: str) -> str:
    named = hashlib.sha256(f"{os.path.realpath(directory)}\0{wallet}".encode()).hexdigest()[:16]
    return os.path.join(state_dir, f"backup_restore-{named}.json")


def begun(state_dir: str, directory: str, wallet: str) -> Change | None:
    """What an earlier call had settled and did not end."""
    path = journal_path(state_dir, directory, wallet)
    try:
        said = read_json(path)
        if said is None:
            return None
        if said.get("format") != FORMAT:
            raise ValueError("another format")
        return Change(
            tuple(Original(**one) for one in said["originals"]),
            tuple(New(**one) for one in said["new"]),
            str(said["folder"]),
            dict(said["note"]),
        )
    except (ValueError, KeyError, TypeError):
        raise NotRestored(
            "journal", f"{path} cannot be read, so nobody knows how far an earlier restore came: look at it, then move it away."
        ) from None


def is_begun(state_dir: str, directory: str, wallet: str) -> bool:
    """Whether an earlier call has not come to its end, readable or not."""
    return os.path.exists(journal_path(state_dir, directory, wallet))


def fresh_folder(directory: str, wallet: str, stamp: str) -> str:
    """Where originals and new files of this change lie. What a call that came to no journal had laid ready is taken away."""
    root = os.path.join(keep_root(directory), wallet)
    before = os.umask(0o077)
    try:
        private_directory(root)
    finally:
        os.umask(before)
    for name in os.listdir(root):
        _tidied(os.path.join(root, name))
    # One that is there belongs to another change, maybe to one that this call has just ended.
    named = os.path.join(root, f"{stamp}-{os.getpid()}")
    folder, number = named, 1
    while os.path.lexists(folder):
        folder, number = f"{named}-{number}", number + 1
    private_directory(os.path.join(folder, "new"))
    os.chmod(folder, 0o700)
    return folder


def _tidied(folder: str) -> None:
    """What was kept may be the only copy there is, so only what came from an archive goes."""
    if not os.path.isdir(folder) or folder.endswith(UNFINISHED) or os.path.exists(os.path.join(folder, DONE)):
        return
    new = os.path.join(folder, "new")
    if os.path.isdir(new):
        shutil.rmtree(new)
    if os.listdir(folder):
        os.rename(folder, folder + UNFINISHED)
    else:
        os.rmdir(folder)


def stage(source: str, folder: str, name: str, like: str) -> str:
    """A copy that lies ready, with owner, mode and SELinux context of the file (or folder) it is to be like."""
    free = os.statvfs(folder)
    size = os.path.getsize(source)
    if free.f_bavail * free.f_frsize - size < FLOOR_BYTES:
        raise NotRestored(
            "no_space",
            f"{human_bytes(size)} for {name} need room in {folder}, where {human_bytes(free.f_bavail * free.f_frsize)} are free: free some there.",
        )
    target = os.path.join(folder, "new", name)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(source, "rb") as there:
            for chunk in iter(lambda: there.read(1024 * 1024), b""):
                write_all(handle, chunk)
        state = os.stat(like)
        os.fchown(handle, state.st_uid, state.st_gid)
        # Readable for its owner only, whatever the damaged one was.
        os.fchmod(handle, 0o600)
        _context(like, target)
        os.fsync(handle)
    finally:
        os.close(handle)
    sync_directory(os.path.dirname(target))
    return target


def _context(like: str, target: str) -> None:
    """A folder's context is not one for files there: the system gives the new file its own then."""
    if os.path.isdir(like):
        return
    try:
        os.setxattr(target, CONTEXT, os.getxattr(like, CONTEXT))
    except OSError as none:
        if none.errno not in (errno.ENODATA, errno.ENOTSUP, errno.EPERM):
            raise


def settle(change: Change, state_dir: str, directory: str, wallet: str) -> None:
    """From here on the change is certain."""
    private_directory(state_dir)
    sync_directory(change.folder)
    sync_directory(os.path.dirname(change.folder))
    said = {
        "format": FORMAT,
        "originals": [asdict(one) for one in change.originals],
        "new": [asdict(one) for one in change.new],
        "folder": change.folder,
        "note": change.note,
    }
    write_json(journal_path(state_dir, directory, wallet), said)


def kept_by(change: Change) -> list[dict[str, str]]:
    """Where each original is when the change is done."""
    return [
        {"source": one.path, "path": os.path.join(change.folder, one.kept), "sha256": one.sha256} for one in change.originals
    ]


def carry_out(change: Change, state_dir: str, directory: str, wallet: str, tell: Callable[[str], None]) -> list[dict[str, str]]:
    """Every step can be done again. Returns what is kept, and where."""
    kept = kept_by(change)
    if os.path.exists(os.path.join(change.folder, DONE)):
        # Killed when only the journal was left to be removed; the wallet may have been at work since.
        forget(journal_path(state_dir, directory, wallet))
        return kept
    for one in change.originals:
        _keep(one, change.folder, tell)
    for one in change.originals:
        if one.goes:
            _drop(one)
    sync_directory(directory)
    for new in change.new:
        _place(new, tell)
    sync_directory(directory)
    if os.path.isdir(os.path.join(change.folder, "new")):
        shutil.rmtree(os.path.join(change.folder, "new"))
    write_json(os.path.join(change.folder, DONE), {"kept": kept, "note": change.note})
    forget(journal_path(state_dir, directory, wallet))
    return kept


def _digest(path: str) -> str | None:
    try:
        found = read_file(path)
    except NotAWallet as other:
        raise NotRestored("changed", str(other)) from None
    return found.sha256 if found else None


def _keep(one: Original, folder: str, tell: Callable[[str], None]) -> None:
    kept = os.path.join(folder, one.kept)
    there = _digest(kept)
    if there is None:
        if _digest(one.path) != one.sha256:
            raise NotRestored(
                "changed", f"{one.path} has changed since it was looked at: something writes to it; stop that first."
            )
        os.link(one.path, kept)
        sync_directory(folder)
        tell(f"{one.path} ({one.sha256[:12]}) is kept as {kept}")
    elif there != one.sha256:
        raise NotRestored("changed", f"{kept} is not what was kept there: {one.path} stays as it is; look at both.")


def _drop(one: Original) -> None:
    """Only what is kept goes; what came in its place since is nobody's to remove."""
    if _digest(one.path) == one.sha256:
        os.unlink(one.path)


def _place(new: New, tell: Callable[[str], None]) -> None:
    there = _digest(new.path)
    if there == new.sha256:
        return
    if there != new.instead_of:
        raise NotRestored("changed", f"{new.path} has changed since it was looked at: something writes to it; stop that first.")
    os.rename(new.staged, new.path)
    tell(f"{new.path} ({new.sha256[:12]}) is in its place")
