# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The steps of a database's restore: keep what is there, choose a backup, let it take the place, say what is lost."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_files,
    _database_keep,
    _database_plan,
    _database_swap,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_plan import Question
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import private_directory, try_lock
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
    state_dir: str = "/var/lib/marketplace_incident"
    run_dir: str = "/run/marketplace_incident"

    @property
    def path(self) -> str:
        return self.question.path


def restore(wanted: Wanted, dry: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    _check(wanted.path)
    if wanted.state == "preserved":
        return _database_keep.preserve(wanted.path, list(wanted.keep_dirs), wanted.state_dir, dry, tell)
    earlier = _database_swap.begun(wanted.state_dir, wanted.path)
    if wanted.state == "planned":
        return _planned(wanted, earlier, dry)
    ended = None
    if earlier is not None:
        ended = {**_database_swap.expected(earlier), "changed": True}
        if not dry:
            ended = _database_swap.carry_out(earlier, wanted.path, wanted.state_dir, tell)
        ended.update(resumed=True, did=[f"ended what an earlier restore had begun: {one}" for one in ended["did"]])
    if wanted.state == "resumed":
        return {**(ended or {"changed": False, "did": [], "kept": [], "resumed": False}), "restored": _last(wanted)}
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


def _planned(wanted: Wanted, earlier: dict[str, Any] | None, dry: bool) -> dict[str, Any]:
    """What was begun is what is planned: it has its image, and is ended before anything else."""
    result: dict[str, Any] = {"changed": False, "begun": earlier is not None, "restored": _last(wanted)}
    if earlier is not None:
        return {**result, "plan": earlier["plan"]}
    with _alone(wanted):
        return {**result, "plan": _database_plan.make(wanted.question, dry)}


def _last(wanted: Wanted) -> dict[str, Any] | None:
    """The last restore that came to its end, and what was known when its backup was made."""
    last = _database_swap.done(wanted.state_dir, wanted.path)
    if last is None:
        return None
    plan = last["plan"]
    return {
        "plan": plan["hash"], "name": plan["name"], "at": last["done"], "kept_database": last["kept_database"],
        "created": plan["created"], "manifest": plan["manifest"],
    }  # fmt: skip


@contextmanager
def _alone(wanted: Wanted) -> Iterator[None]:
    """Two plans at once would write to the same scratch."""
    private_directory(wanted.run_dir)
    handle = try_lock(os.path.join(wanted.run_dir, f"database_plan-{_database_files.named(wanted.path)}.lock"))
    if handle is None:
        raise NotRestored(
            "busy", f"Another call is planning a restore of {wanted.path}: wait for it, then run the same command again."
        )
    try:
        yield
    finally:
        os.close(handle)
