# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Let the planned image take the place of a database, so that a kill at any moment loses nothing and a rerun ends it.

The old files get another name in a folder of their own before they lose theirs; the -wal and its like go before the image comes, because
a database that opens beside another one's -wal is destroyed by it. The journal makes the change certain: after it a rerun does the rest.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Any, Callable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_files,
    _database_keep,
    _database_plan,
    _database_unsettled,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_files import SUFFIXES
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    forget,
    private_directory,
    read_json,
    remove,
    sync_directory,
    utc,
    write_json,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import KEPT, NotRestored

FORMAT = 1
DONE = "kept.json"
Tell = Callable[[str], None]


def journal_path(state_dir: str, path: str) -> str:
    return os.path.join(state_dir, f"database_restore-{_database_files.named(path)}.json")


def done_path(state_dir: str, path: str) -> str:
    return os.path.join(state_dir, f"database_restored-{_database_files.named(path)}.json")


def _read(where: str) -> dict[str, Any] | None:
    try:
        said = read_json(where)
        if said is not None and said.get("format") != FORMAT:
            raise ValueError("another format")
    except ValueError:
        raise NotRestored(
            "journal",
            f"{where} cannot be read, so nobody knows how far an earlier restore came: look at it, then move it away.",
        ) from None
    return said


def begun(state_dir: str, path: str) -> dict[str, Any] | None:
    """What an earlier call had settled and did not end."""
    return _read(journal_path(state_dir, path))


def done(state_dir: str, path: str) -> dict[str, Any] | None:
    """The last restore that came to its end."""
    return _read(done_path(state_dir, path))


def remember(state_dir: str, path: str, more: dict[str, Any]) -> None:
    """What became known of the last restore after its end."""
    write_json(done_path(state_dir, path), {**(done(state_dir, path) or {}), **more})


def restore(path: str, wanted: str, kept_database: str, state_dir: str, dry: bool, tell: Tell) -> dict[str, Any]:
    """What is asked for, where an earlier call has not done it already."""
    before = done(state_dir, path)
    same = before is not None and (before["plan"]["hash"], before["kept_database"]) == (wanted, kept_database)
    # What is gone once more needs the same once more.
    if before is not None and same and not _nothing(path):
        return _result(before, changed=False)
    saved = _database_plan.saved(path)
    problem = "there is none"
    if saved is not None:
        other = f"it is another one now ({saved['plan']['name']})"
        problem = other if saved["plan"]["hash"] != wanted else _database_plan.problem_with(path, saved) or ""
    if saved is None or problem:
        raise NotRestored(
            "changed" if "changed" in problem else "no_plan",
            f"The plan {wanted[:12]} does not count any more: {problem}. Make it anew, and confirm that one; nothing was changed.",
        )
    there = _database_files.inode_of(kept_database) is not None and os.path.getsize(kept_database) > 0
    if not there and (kept_database or not _nothing(path)):
        raise NotRestored(
            "missing",
            f"{kept_database or 'A kept copy'} is not there, and without a kept copy no database is replaced: preserve it first.",
        )
    _database_files.nobody_has_it_open(path)
    journal = _journal(path, saved, kept_database, state_dir, dry)
    if dry:
        return _result(journal, changed=True)
    began = time.monotonic()
    _settle(journal, path, state_dir)
    return carry_out(journal, path, state_dir, tell, began)


def _nothing(path: str) -> bool:
    """Gone, or a file of 0 bytes, and no process holds what had that name: there is nothing that a copy could be of."""
    gone = _database_files.inode_of(path) is None or os.path.getsize(path) == 0
    return gone and not any(one.suffix == "" for one in _database_files.deleted(path))


def _journal(path: str, saved: dict[str, Any], kept_database: str, state_dir: str, dry: bool) -> dict[str, Any]:
    kept_note = _database_keep.noted(state_dir, path)
    files = [_old(suffix, where, kept_note) for suffix, where in _database_files.present(path).items()]
    model, whose = _model(path, kept_note)
    return {
        "format": FORMAT,
        "at": utc(time.time()),
        "plan": saved["plan"],
        "image": _database_plan.image_of(path, saved),
        "inode": saved["image_state"][:2],
        "kept_database": kept_database,
        "folder": "" if dry else _fresh_folder(path),
        "files": files,
        "model": model,
        "did": [
            f"put the database of {saved['plan']['name']} in the place of {path}"
            + (", the files it had are kept" if files else ", where there was none"),
            *whose,
        ],
    }


def _old(suffix: str, where: str, kept_note: dict[str, Any] | None) -> dict[str, Any]:
    """A file that goes, with its checksum: that of the copy where it has not been written to since."""
    state = _database_files.identity(where)
    for source, digest, at in (kept_note or {}).get("sources", []):
        if source == where and state is not None and list(state) == at:
            return {"suffix": suffix, "source": where, "sha256": digest, "inode": list(state[:2])}
    inode = _database_files.inode_of(where)
    return {"suffix": suffix, "source": where, "sha256": _database_files.sha256(where), "inode": list(inode or ())}


def _model(path: str, kept_note: dict[str, Any] | None) -> tuple[dict[str, Any], list[str]]:
    """Whose the image will be, and a sentence where that is not who owns what lies there now.

    A file of root's in somebody's folder was put there by hand: given to root, the server could not write to its database.
    """
    there, of_folder = _database_files.model_of(path), _of_folder(path)
    noted = (kept_note or {}).get("model")
    if there is None:
        return noted or of_folder, []
    other = next((one for one in (noted, of_folder) if one and one["uid"] != 0), None)
    if there["uid"] != 0 or other is None:
        return there, []
    owner = {"uid": other["uid"], "gid": other["gid"]}
    return {**there, **owner}, [
        f"gave it to {owner['uid']}:{owner['gid']}, as what lay there was root's in a folder that is not"
    ]


def _of_folder(path: str) -> dict[str, Any]:
    """Nothing tells whose the database was: whoever owns the folder has to be able to open it."""
    state = os.stat(os.path.dirname(path))
    return {"uid": state.st_uid, "gid": state.st_gid, "mode": 0o600, "xattrs": {}}


def _fresh_folder(path: str) -> str:
    root = os.path.join(os.path.dirname(path), KEPT, os.path.basename(path))
    before = os.umask(0o077)
    try:
        private_directory(os.path.dirname(root))
        private_directory(root)
    finally:
        os.umask(before)
    for name in os.listdir(root):
        # Of a call that was killed before it came to its journal.
        if os.path.isdir(os.path.join(root, name)) and not os.listdir(os.path.join(root, name)):
            os.rmdir(os.path.join(root, name))
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    for number in range(1, 1000):
        folder = os.path.join(root, f"{stamp}-{os.getpid()}-{number}")
        if not os.path.lexists(folder):
            private_directory(folder)
            return folder
    raise NotRestored("changed", f"{root} is full of folders of this second: run the same command again.")


def _settle(journal: dict[str, Any], path: str, state_dir: str) -> None:
    """From here on the change is certain. The image is on the disk before."""
    _database_files.sync(journal["image"])
    sync_directory(os.path.dirname(journal["image"]))
    for folder in (journal["folder"], os.path.dirname(journal["folder"]), os.path.dirname(path)):
        sync_directory(folder)
    private_directory(state_dir)
    _database_unsettled.note(state_dir, path, "damaged", journal["kept_database"])
    write_json(journal_path(state_dir, path), journal)


def carry_out(journal: dict[str, Any], path: str, state_dir: str, tell: Tell, began: float | None = None) -> dict[str, Any]:
    """Every step can be done again."""
    began = time.monotonic() if began is None else began
    folder, inode = journal["folder"], tuple(journal["inode"])
    if _database_files.inode_of(path) != inode:
        if _database_files.inode_of(journal["image"]) != inode:
            raise NotRestored(
                "changed",
                f"{journal['image']}, which is to take the place of {path}, is gone: what was there lies in {folder}. "
                f"Look at both, then move {journal_path(state_dir, path)} away and plan anew.",
            )
        _database_files.nobody_has_it_open(path)
        _database_files.like_model(journal["image"], inode, journal["model"])
        _database_files.sync(journal["image"])
        for suffix in SUFFIXES:
            _keep(path + suffix, _kept_name(path, folder) + suffix, tell)
        sync_directory(folder)
        for suffix in SUFFIXES[1:]:
            remove(path + suffix)
        sync_directory(os.path.dirname(path))
        os.rename(journal["image"], path)
        sync_directory(os.path.dirname(path))
        tell(f"{path} is the database of {journal['plan']['name']} ({journal['plan']['image']['sha256'][:12]})")
    _nobody_came_between(journal, path, tell)
    journal = {**journal, "seconds": round(time.monotonic() - began, 2), "done": utc(time.time())}
    journal["files"] = journal["files"] + _others(journal, path)
    write_json(os.path.join(folder, DONE), {"kept": _kept(journal), "plan": journal["plan"], "at": journal["at"]})
    write_json(done_path(state_dir, path), journal)
    _database_unsettled.note(state_dir, path, "restored", journal["kept_database"])
    forget(journal_path(state_dir, path))
    _database_plan.wipe(path)
    return _result(journal, changed=True)


def _nobody_came_between(journal: dict[str, Any], path: str, tell: Tell) -> None:
    """Someone without a container may have opened the old database after the last look: their -wal lies beside the image then."""
    old = [(int(one["inode"][0]), int(one["inode"][1])) for one in journal["files"] if len(one["inode"]) == 2]
    _database_files.nobody_has_it_open(path, old)
    if _database_files.inode_of(path) != tuple(journal["inode"]):
        raise NotRestored("changed", f"{path} is not the image that took its place: look at it and at {journal['folder']}.")
    strange = [suffix for suffix in SUFFIXES[1:] if _database_files.inode_of(path + suffix) is not None]
    for suffix in strange:
        _keep(path + suffix, _kept_name(path, journal["folder"]) + suffix, tell)
    if strange:
        sync_directory(journal["folder"])
        for suffix in strange:
            remove(path + suffix)
        sync_directory(os.path.dirname(path))


def _kept_name(path: str, folder: str) -> str:
    return os.path.join(folder, os.path.basename(path))


def _keep(source: str, target: str, tell: Tell) -> None:
    """A second name for a file. One that came there since another was kept gets one, too: nothing goes without."""
    inode = _database_files.inode_of(source)
    if inode is None:
        return
    number, named = 1, target
    while (there := _database_files.inode_of(named)) not in (None, inode):
        number, named = number + 1, f"{target}.{number + 1}"
    if there == inode:
        return
    try:
        os.link(source, named)
    except OSError as problem:
        # Where a file system knows no second names, moving it is one step, too.
        if problem.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        os.rename(source, named)
    tell(f"{source} is kept as {named}")


def _others(journal: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """What was kept beside what was known when the change was settled."""
    known = {tuple(one["inode"]) for one in journal["files"]}
    found = []
    for name in sorted(os.listdir(journal["folder"])):
        where = os.path.join(journal["folder"], name)
        inode = _database_files.inode_of(where)
        if inode is None or inode in known or name == DONE or name.startswith("."):
            continue
        suffix = name[len(os.path.basename(path)) :]
        found.append({"suffix": suffix, "source": path + suffix, "sha256": _database_files.sha256(where), "inode": list(inode)})
    return found


def _kept(journal: dict[str, Any]) -> list[dict[str, Any]]:
    folder = journal["folder"]
    first = journal["files"][0] if journal["files"] else {"source": "", "suffix": ""}
    base = os.path.basename(first["source"].removesuffix(first["suffix"]))
    return [
        {
            "source": one["source"],
            "path": os.path.join(folder, base + one["suffix"]) if folder else None,
            "sha256": one["sha256"],
        }
        for one in journal["files"]
    ]


def expected(journal: dict[str, Any]) -> dict[str, Any]:
    """What the end of a restore that was begun will be."""
    return _result(journal, changed=True)


def _result(journal: dict[str, Any], changed: bool) -> dict[str, Any]:
    return {
        "changed": changed,
        "did": journal["did"] if changed else [],
        "kept": _kept(journal),
        "kept_database": journal["kept_database"],
        "image": journal["plan"]["image"],
        "plan": journal["plan"],
        "seconds": journal.get("seconds"),
        "restored_at": journal.get("done"),
        "resumed": False,
    }
