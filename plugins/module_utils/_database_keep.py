# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Keep a copy of a database's files, all of the same moment, before anybody stops or mends anything.

A clean stop writes the -wal into the database, and stopping whoever holds a removed file destroys its last copy. So this comes first.
"""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_files
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import sentence_from
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_files import (
    COPY_SECONDS,
    DERIVED,
    FLOOR_BYTES,
    SUFFIXES,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    name_of_handle,
    open_regular,
    private_directory,
    read_json,
    remove,
    sync_directory,
    write_all,
    write_json,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored

FORMAT = 1


@dataclass(frozen=True)
class Source:
    """One file to be kept: where it is read, under which name it is kept, and what was in it."""

    path: str
    name: str
    sha256: str
    bytes: int
    state: tuple[int, ...] | None


def journal_path(state_dir: str, path: str) -> str:
    return os.path.join(state_dir, f"database_kept-{_database_files.named(path)}.json")


def noted(state_dir: str, path: str) -> dict[str, Any] | None:
    """What was kept the last time."""
    where = journal_path(state_dir, path)
    try:
        said = read_json(where)
        if said is not None and said.get("format") != FORMAT:
            raise ValueError("another format")
    except ValueError:
        raise NotRestored(
            "journal", f"{where} cannot be read, so nobody knows what was kept before: look at it, then move it away."
        ) from None
    return said


def preserve(path: str, keep_dirs: list[str], state_dir: str, dry: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Copies of the whole set, each equal to what it was taken from. The same set is kept once."""
    names = _names(path)
    if (rescued := _rescued(path, state_dir, names)) is not None:
        return rescued
    if not names:
        return {"changed": False, "kept": [], "kept_database": ""}
    sources = [_source(where, name) for name, where in names.items()]
    earlier = noted(state_dir, path)
    if earlier is not None and earlier["set"] == _set(sources):
        epoch, folder = int(earlier["epoch"]), str(earlier["folder"])
    else:
        earlier, epoch, folder = None, 0, _folder(path, keep_dirs, sum(one.bytes for one in sources))
        epoch = _fresh_epoch(folder, path)
    base = os.path.join(folder, f"{os.path.basename(path)}.CORRUPTED-{epoch}")
    missing = [one for one in sources if not _is_kept(base + one.name, one)]
    # The one that is written to; where a process holds a removed database, that is the one without a name.
    lives = next((one.name for one in reversed(sources) if "deleted" in one.name and one.name.endswith(".db")), "")
    result = {
        "changed": bool(missing),
        "kept": [
            {"source": one.path, "path": base + one.name, "sha256": one.sha256, "bytes": one.bytes, "new": one in missing}
            for one in sources
        ],
        # Without one there is none, whatever lay beside it; nor is a file of 0 bytes one.
        "kept_database": base + lives if any(one.name == lives and one.bytes for one in sources) else "",
    }
    if dry or (not missing and os.path.exists(f"{base}.sha256")):
        return result
    private_directory(state_dir)
    if not os.path.isdir(folder):
        private_directory(folder)
    if earlier is None:
        note = {
            "format": FORMAT,
            "epoch": epoch,
            "folder": folder,
            "set": _set(sources),
            "model": _database_files.model_of(names.get("", path)),
            "sources": [[one.path, one.sha256, list(one.state or ())] for one in sources],
        }
        write_json(journal_path(state_dir, path), note)
    for one in missing:
        _copy(one, base + one.name)
        tell(f"{one.path} ({one.sha256[:12]}) is kept as {base}{one.name}")
    lines = "".join(f"{one.sha256}  {os.path.basename(base)}{one.name}\n" for one in sources)
    _write(f"{base}.sha256", [lines.encode()])
    return result


def _names(path: str) -> dict[str, str]:
    """What is to be kept: the name it gets after the base, and where it is read.

    Nothing is an answer, too: what is gone, and held by nobody, can only come back from a backup.
    A process may hold files that have lost their names while others took these. Then there are two sets, and both are kept.
    """
    there = _database_files.present(path)
    held = {one.suffix: one for one in _database_files.deleted(path)}
    # A -wal without a name belongs to the database that has lost its own, where there is one, and else to the one that is here.
    ours = {} if "" in there and "" in held else held
    first = {suffix: there.get(suffix) or ours[suffix].path for suffix in SUFFIXES if suffix in there or suffix in ours}
    replaced = [suffix for suffix in held if suffix in there]
    if replaced:
        second = {
            suffix: held[suffix].path if suffix in held else there[suffix]
            for suffix in SUFFIXES
            if suffix in first or suffix in held
        }
        mark = f".deleted-{held[replaced[0]].pid}.db"
        first.update({mark + suffix: where for suffix, where in second.items()})
    return first


def lives_in(path: str, state_dir: str) -> str:
    """The kept copy that alone has what a process had in removed files, as long as nobody put any of it back; else nothing.

    With the process those files are gone, and what has a name looks whole again: an older moment.
    """
    rescued = _rescued(path, state_dir, _names(path))
    return str(rescued["kept_database"]) if rescued is not None else ""


def _rescued(path: str, state_dir: str, names: dict[str, str]) -> dict[str, Any] | None:
    """What was kept through whoever held it; that process has ended since, and what is left has not been touched."""
    earlier = noted(state_dir, path)
    if earlier is None or not any(str(where).startswith("/proc/") for where, _sha, _state in earlier["sources"]):
        return None
    here = {name: where for name, where in names.items() if not name.endswith(DERIVED)}
    if not earlier["set"].keys() - here.keys():
        return None  # all of it is there, or is still held
    if "" in here and not all(_database_files.sha256(where) == earlier["set"].get(name) for name, where in here.items()):
        return None  # somebody wrote to it, or put something else there
    base = os.path.join(str(earlier["folder"]), f"{os.path.basename(path)}.CORRUPTED-{int(earlier['epoch'])}")
    kept = [(name, digest, base + name) for name, digest in earlier["set"].items()]
    lives = next((name for name in reversed(earlier["set"]) if "deleted" in name and name.endswith(".db")), "")
    if not all(os.path.lexists(target) and _database_files.sha256(target) == digest for _name, digest, target in kept):
        return None
    return {
        "changed": False,
        "kept": [
            {"source": path + name, "path": target, "sha256": digest, "bytes": os.path.getsize(target), "new": False}
            for name, digest, target in kept
        ],
        "kept_database": base + lives,
    }


def _source(path: str, name: str) -> Source:
    before = _database_files.identity(path, follow=True)
    digest = _database_files.sha256(path)
    if before is None or _database_files.identity(path, follow=True) != before:
        raise _moving(path)
    return Source(path, name, digest, before[2], before)


def _moving(path: str) -> NotRestored:
    return NotRestored("changed", f"{path} was written to while it was kept: freeze whoever writes to it, then run this again.")


def _set(sources: list[Source]) -> dict[str, str]:
    return {one.name: one.sha256 for one in sources if not one.name.endswith(DERIVED)}


def _folder(path: str, keep_dirs: list[str], needed: int) -> str:
    folders = keep_dirs or [os.path.dirname(path)]
    for folder in folders:
        if _database_files.free_bytes(folder) - needed >= FLOOR_BYTES:
            return folder
    raise _database_files.no_space(f"A copy of {path} and of what lies beside it", needed, folders[0])


def _fresh_epoch(folder: str, path: str) -> int:
    epoch, name = int(time.time()), os.path.basename(path)
    there = os.listdir(folder) if os.path.isdir(folder) else []
    while any(one.startswith(f"{name}.CORRUPTED-{epoch}") for one in there):
        epoch += 1
    return epoch


def _is_kept(target: str, one: Source) -> bool:
    if _database_files.inode_of(target) is None:
        return False
    if os.path.getsize(target) == one.bytes and _database_files.sha256(target) == one.sha256:
        return True
    if one.name.endswith(DERIVED):
        return True  # of the same set; the database's users write to it at any time
    raise NotRestored(
        "changed", f"{target} is not what was kept there any more: move it away, then run the same command again."
    )


def _copy(one: Source, target: str) -> None:
    """By handles: the folder may be the application's, and what has a name there may be another file in the next moment."""
    draft = f"{target}.partial"
    remove(draft)  # of a run that was killed; the lock says that it is not at work any more
    handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        why = _filled(one.path, handle)
        if why:
            raise NotRestored("no_space" if "space" in why else "unreadable", f"cp of {one.path} to {target} failed: {why}.")
        os.fsync(handle)
        same = _database_files.sha256(name_of_handle(handle)) == one.sha256
        if not same or _database_files.identity(one.path, follow=True) != one.state:
            raise _moving(one.path)
        made = os.fstat(handle)
        if _database_files.inode_of(draft) != (made.st_dev, made.st_ino):
            raise NotRestored(
                "changed", f"{draft} is not the file that was made there: look at who writes to {os.path.dirname(draft)}."
            )
    except (NotRestored, OSError):
        remove(draft)
        raise
    finally:
        os.close(handle)
    os.rename(draft, target)
    sync_directory(os.path.dirname(target))


def _filled(path: str, target: int) -> str:
    """Why the file could not be copied into the open one, in cp's words; empty where it was."""
    source = open_regular(path)
    try:
        names = {name_of_handle(source): path, name_of_handle(target): "the copy"}
        copied = run(["cp", "--reflink=auto", "--sparse=auto", "--preserve=timestamps", "--", *names], COPY_SECONDS)
        if copied.ok:
            return ""
        if os.strerror(errno.EIO) in copied.err.decode(errors="replace"):
            # What the disk still gives is worth more than nothing.
            os.ftruncate(target, 0)
            os.lseek(target, 0, os.SEEK_SET)
            for block in _database_files.readable(name_of_handle(source)):
                write_all(target, block)
            state = os.fstat(source)
            os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
            return ""
        why = sentence_from(copied.err) or "no end in time"
        for opened, name in names.items():
            why = why.replace(opened, name)
        return why
    finally:
        os.close(source)


def _write(path: str, content: Iterable[bytes]) -> None:
    draft = f"{path}.partial"
    remove(draft)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        for block in content:
            write_all(handle, block)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.rename(draft, path)
    sync_directory(os.path.dirname(path))
