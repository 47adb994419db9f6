# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The steps of a database's restore: keep what is there, choose a backup, let it take the place, say what is lost."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_compare,
    _database_files,
    _database_keep,
    _database_loss_file,
    _database_plan,
    _database_swap,
    _database_unsettled,
    _sqlite_copy,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_plan import Question
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import GpgProblem
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    epoch_of,
    private_directory,
    sentence_for,
    try_lock,
    utc,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_copy import NoCopy
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored

# What only looks, and so asks for no lease.
READING = ("planned",)


@dataclass(frozen=True)
class Wanted:
    """What is to be done, and with what."""

    state: str
    question: Question
    keep_dirs: tuple[str, ...] = ()
    plan: str = ""
    kept_database: str = ""
    priority_tables: tuple[str, ...] = ()
    loss_file: str = ""
    # Where two databases are copied to be compared; empty means beside the database.
    compare_dir: str = ""
    services: tuple[str, ...] = ()
    state_dir: str = "/var/lib/marketplace_incident"
    run_dir: str = "/run/marketplace_incident"

    @property
    def path(self) -> str:
        return self.question.path


def restore(wanted: Wanted, dry: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    _check(wanted.path)
    if wanted.state == "preserved":
        return _preserved(wanted, dry, tell)
    with _alone(wanted):
        return _done(wanted, dry, tell)


def _done(wanted: Wanted, dry: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    earlier = _database_swap.begun(wanted.state_dir, wanted.path)
    if wanted.state == "planned":
        return _planned(wanted, earlier, dry)
    if wanted.state == "compared":
        return _compared(wanted, earlier, dry)
    if wanted.state in ("reopening", "reopened"):
        return _opened(wanted, earlier, dry)
    ended = None
    if earlier is not None:
        ended = {**_database_swap.expected(earlier), "changed": True}
        if not dry:
            ended = _database_swap.carry_out(earlier, wanted.path, wanted.state_dir, tell)
        ended.update(resumed=True, did=[f"ended what an earlier restore had begun: {one}" for one in ended["did"]])
    if wanted.state == "resumed":
        if not dry:
            _database_plan.tidy(wanted.path)
        result = ended or {"changed": False, "did": [], "kept": [], "resumed": False}
        unsettled = _database_unsettled.standing(wanted.state_dir, wanted.path)
        if unsettled is not None and unsettled["stage"] == "damaged":
            unsettled["lives_in"] = _database_keep.lives_in(wanted.path, wanted.state_dir)
        return {**result, "restored": _last(wanted), "unsettled": unsettled}
    if ended is not None and (dry or ended["plan"]["hash"] == wanted.plan):
        return ended
    return _database_swap.restore(wanted.path, wanted.plan, wanted.kept_database, wanted.state_dir, dry, tell)


def _check(path: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isabs(path) or not os.path.isdir(folder):
        raise NotRestored(
            "missing", f"{folder or path} is not there: is marketplace_database_path right, and its disk mounted?"
        )
    try:
        state = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(state.st_mode):
        raise NotRestored("changed", f"{path} is no regular file: name the database itself (marketplace_database_path).")


def _preserved(wanted: Wanted, dry: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Noted before the first copy: from here on no look settles alone that the shop may open."""
    if not dry:
        _database_unsettled.note(wanted.state_dir, wanted.path, "damaged")
    result = _database_keep.preserve(wanted.path, list(wanted.keep_dirs), wanted.state_dir, dry, tell)
    # What is gone by now was kept by an earlier call, it may be.
    earlier = _database_unsettled.standing(wanted.state_dir, wanted.path) or {}
    result["kept_database"] = result["kept_database"] or earlier.get("kept_database", "")
    if not dry:
        _database_unsettled.note(wanted.state_dir, wanted.path, "damaged", result["kept_database"])
    return result


def _opened(wanted: Wanted, earlier: dict[str, Any] | None, dry: bool) -> dict[str, Any]:
    """reopening is noted before the freeze is lifted, so that whoever comes next starts what a kill left down."""
    if earlier is not None:
        raise NotRestored("begun", f"A restore of {wanted.path} was begun and not ended: end it first (state=resumed).")
    before = _database_unsettled.standing(wanted.state_dir, wanted.path)
    changed = before is not None if wanted.state == "reopened" else (before or {}).get("stage") != "reopening"
    if not dry and wanted.state == "reopened":
        _database_unsettled.settle(wanted.state_dir, wanted.path)
    elif not dry:
        _database_unsettled.note(wanted.state_dir, wanted.path, "reopening", services=wanted.services or None)
    return {"changed": changed, "did": [], "kept": [], "resumed": False}


def _planned(wanted: Wanted, earlier: dict[str, Any] | None, dry: bool) -> dict[str, Any]:
    """What was begun is what is planned: it has its image, and is ended before anything else."""
    result: dict[str, Any] = {"changed": False, "begun": earlier is not None, "restored": _last(wanted)}
    if earlier is not None:
        return {**result, "plan": earlier["plan"]}
    plan = _database_plan.make(wanted.question, dry)
    return {**result, "plan": {**plan, "compare_problem": _no_room_to_compare(wanted, plan, dry)}}


def _no_room_to_compare(wanted: Wanted, plan: dict[str, Any], dry: bool) -> str | None:
    """Told before the restore is confirmed: afterwards what is lost would be unknown."""
    image = int((plan.get("image") or {}).get("bytes") or 0)
    damaged = sum(os.path.getsize(one) for one in _database_files.present(wanted.path).values())
    folder = wanted.compare_dir or os.path.dirname(wanted.path)
    # In check mode the image that will lie there is gone again.
    free = max(0, _database_files.free_bytes(folder) - (image if dry and not wanted.compare_dir else 0))
    needed = damaged + image + 2 * _sqlite_copy.FLOOR
    if free >= needed:
        return None
    return (
        f"listing what is lost needs {human_bytes(needed)} in {folder}, where {human_bytes(free)} are free: "
        "free some, or name another folder (database_restore_compare_dir)"
    )


def _last(wanted: Wanted) -> dict[str, Any] | None:
    """The last restore that came to its end, and what was known when its backup was made."""
    last = _database_swap.done(wanted.state_dir, wanted.path)
    if last is None:
        return None
    plan = last["plan"]
    return {
        "plan": plan["hash"], "name": plan["name"], "at": last["done"], "kept_database": last["kept_database"],
        "created": plan["created"], "manifest": plan["manifest"], "state": (plan.get("image") or {}).get("state") or "ok",
    }  # fmt: skip


def _compared(wanted: Wanted, earlier: dict[str, Any] | None, dry: bool) -> dict[str, Any]:
    """The kept copy against what took its place. Both are copied once more: whatever is opened is written to."""
    if earlier is not None:
        raise NotRestored("begun", f"A restore of {wanted.path} was begun and not ended: end it first (state=resumed).")
    loss_file = wanted.loss_file or f"{wanted.kept_database or wanted.path}.loss.jsonl"
    told = _told(wanted, loss_file)
    if told is not None:
        return {"changed": False, "loss": {**told, "file": None, "sealed": None} if dry else told}
    if wanted.kept_database and not os.path.exists(wanted.kept_database):
        raise NotRestored(
            "missing", f"What is lost is not known: {wanted.kept_database} is not there any more; bring it back to know it."
        )
    own = f"{_database_plan.COMPARED}-{_database_files.named(wanted.path)}"
    parent = (
        os.path.join(wanted.compare_dir, own)
        if wanted.compare_dir
        else os.path.join(os.path.dirname(wanted.path), _database_plan.COMPARED)
    )
    try:
        found = _listed(wanted, loss_file, parent, dry)
    except (OSError, sqlite3.OperationalError) as problem:
        # As where the disk is full.
        why = sentence_for(problem) if isinstance(problem, OSError) else f"{parent}: {clean_line(str(problem), 120)}."
        raise NotRestored("unreadable", f"What is lost is not known: {why}") from None
    if not dry and _of_this_restore(wanted):
        sha256 = _database_loss_file.digest(found["loss"]["file"])
        told = {"asked": loss_file, "sha256": sha256, "loss": found["loss"]}
        _database_swap.remember(wanted.state_dir, wanted.path, {"compared": told})
    return found


def _listed(wanted: Wanted, loss_file: str, parent: str, dry: bool) -> dict[str, Any]:
    if not dry and not os.path.isdir(os.path.dirname(loss_file)):
        private_directory(os.path.dirname(loss_file))
    with ExitStack() as stack:
        _sqlite_copy.wipe(parent)  # of a call that was killed; the lock says that it is not at work any more
        stack.callback(_sqlite_copy.wipe, parent)
        folders = [os.path.join(parent, side) for side in ("kept", "restored")]
        for folder in folders:
            private_directory(folder)
        try:
            sides = [
                _sqlite_copy.copy(path, folder, _database_files.COPY_SECONDS) if path else ("", True)
                for path, folder in zip((wanted.kept_database, wanted.path), folders)
            ]
        except NoCopy as problem:
            why = str(problem).replace("another scratch_dir", "another folder (database_restore_compare_dir)")
            raise NotRestored("unreadable", f"There is nothing to compare: {why}") from None
        if not all(still for _copy, still in sides):
            raise NotRestored("changed", f"{wanted.path} is written to: compare it before anybody works with it again.")
        strange = _database_compare.without_a_strange_wal(sides[0][0]) if sides[0][0] else None
        try:
            found = _database_compare.compare(
                sides[0][0],
                sides[1][0],
                wanted.question.database_key,
                wanted.priority_tables,
                loss_file,
                folders[0],
                dry,
                wanted.question.key,
            )
        except GpgProblem as problem:
            raise NotRestored("unreadable", f"The list of what is lost {problem}.") from None
        except _database_compare.NotCompared as problem:
            raise NotRestored(
                "encrypted",
                f"What is lost is not known: {problem}. Where it is encrypted, give its key (marketplace_database_key) "
                "and install sqlcipher3 for the host's Python.",
            ) from None
    found["loss"].update(_moments(wanted), wal_left_out=strange)
    return found


def _of_this_restore(wanted: Wanted) -> bool:
    last = _database_swap.done(wanted.state_dir, wanted.path)
    return last is not None and last["kept_database"] == wanted.kept_database


def _told(wanted: Wanted, loss_file: str) -> dict[str, Any] | None:
    """What the first look after this restore listed. People settle rows by hand since: another look would take those for not lost."""
    last = _database_swap.done(wanted.state_dir, wanted.path) if _of_this_restore(wanted) else None
    told = (last or {}).get("compared")
    if (
        not told
        or told["asked"] != loss_file
        or not os.path.exists(told["loss"]["sealed"] or told["loss"]["file"])
        or _database_loss_file.digest(told["loss"]["file"]) != told["sha256"]
    ):
        return None
    found: dict[str, Any] = told["loss"]
    return found


def _moments(wanted: Wanted) -> dict[str, Any]:
    """The last commit of each side, and how far they are apart. A copy has the time of what it was taken from.

    Commits go into the -wal, where there is one; the database itself may have been written to by whatever has damaged it.
    """
    if not wanted.kept_database:
        return {"last_commit_kept": None, "last_commit_restored": None, "seconds_lost": None}
    wal = wanted.kept_database + "-wal"
    used = os.path.exists(wal) and os.path.getsize(wal) > 0
    kept = os.stat(wal if used else wanted.kept_database).st_mtime
    done = _database_swap.done(wanted.state_dir, wanted.path) if _of_this_restore(wanted) else None
    plan = done["plan"] if done is not None else {}
    restored = (plan.get("image") or {}).get("last_commit") or plan.get("created")
    try:
        apart = max(0, int(kept - epoch_of(str(restored))))
    except ValueError:
        restored, apart = None, None
    return {"last_commit_kept": utc(kept), "last_commit_restored": restored, "seconds_lost": apart}


@contextmanager
def _alone(wanted: Wanted) -> Iterator[None]:
    """A plan asks for no lease, and must not wipe the image that another call is just putting in place."""
    private_directory(wanted.run_dir)
    handle = try_lock(os.path.join(wanted.run_dir, f"database_plan-{_database_files.named(wanted.path)}.lock"))
    if handle is None:
        raise NotRestored(
            "busy", f"Another call is at work on a restore of {wanted.path}: wait for it, then run the same command again."
        )
    try:
        yield
    finally:
        os.close(handle)
