# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The whole verdict over a SQLite database: its files, its -wal, its pages, its rows and who has it open.

Nothing here opens it. Copies are opened, and thrown away. Of a database in use a copy may be torn, so what is seen on one is never certain.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import time
from dataclasses import dataclass, replace
from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _sqlite_check,
    _sqlite_copy,
    _sqlite_damage,
    _sqlite_encrypted,
    _sqlite_header,
    _sqlite_holders,
    _sqlite_wal,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    IncidentError,
    open_regular,
    sentence_for,
    utc,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_copy import NoCopy, TooSlow
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_damage import Rules, Seen
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_header import Header

DAMAGE = ("stale_wal", "wal_damage", "page_damage", "btree_damage", "foreign_key_damage", "invariant_damage")
# No verdict on the bytes.
UNSURE = ("unfinished", "suspect")
# Some damage keeps questions from an answer that can be trusted. A suspect copy is whole, and not all was told of it.
ASKABLE = ("ok", "suspect", "locked", "foreign_key_damage", "invariant_damage", "deleted_but_open")
CHUNK = 1024 * 1024
# For a checkpoint to end.
PAUSE = 0.1


@dataclass(frozen=True)
class Options:
    """How to look. frozen: nobody can write, says the caller. copy=False: the file is the caller's own, and is examined where it lies."""

    check: str = "full"
    frozen: bool = False
    copy: bool = True
    key: str | None = None
    invariants: tuple[dict[str, str], ...] = ()
    queries: tuple[dict[str, str], ...] = ()
    scratch_dir: str = "/var/tmp"  # noqa: S108  a folder of its own is made there, with a name that nobody can guess
    tries: int = 3
    rows: int = 100
    copy_seconds: float = 60.0
    check_seconds: float = 600.0
    query_seconds: float = 10.0
    walk_seconds: float = 120.0
    lock_seconds: float = 2.0
    # Whether each page and value is walked even where SQLite finds nothing; None: where it is a copy, and only with full.
    records: bool | None = None

    def rules(self) -> Rules:
        records = self.check == "full" and (self.copy if self.records is None else self.records)
        return Rules(
            full=self.check == "full", invariants=self.invariants, queries=self.queries, rows=self.rows, key=self.key,
            check_seconds=self.check_seconds, query_seconds=self.query_seconds, walk_seconds=self.walk_seconds, records=records,
        )  # fmt: skip


def look(path: str, options: Options) -> dict[str, Any]:
    """Everything that is known of the database at this path."""
    began = time.monotonic()
    found = _empty(path)
    try:
        if options.copy:
            _look(path, options, found)
        else:
            _take(found, path, *_examined(path, path, None, options.rules()), options)
            found["certain"] = True
    except NoCopy as problem:
        found.update(state="unfinished" if isinstance(problem, TooSlow) else problem.state)
        found["sentences"].insert(0, str(problem))
    except (IncidentError, OSError) as problem:
        found["state"] = "unreadable"
        found["sentences"].insert(0, sentence_for(problem) if isinstance(problem, OSError) else str(problem))
        found["certain"] = options.frozen and _is_lost_on_disk(path)
    found["problem"] = found["sentences"][0] if found["state"] != "ok" and found["sentences"] else None
    found["seconds"] = round(time.monotonic() - began, 2)
    return found


def summary_of(path: str, key: str | None = None) -> dict[str, Any]:
    """What a manifest holds of an image that is the caller's own."""
    found = look(path, Options(check="quick", copy=False, key=key))
    names = (
        "bytes",
        "page_size",
        "page_count",
        "schema_version",
        "schema_sha256",
        "tables",
        "last_commit",
        "last_change_counter",
    )
    return {name: found[name] for name in names}


def _empty(path: str) -> dict[str, Any]:
    return {
        "path": path, "state": "suspect", "certain": False, "problem": None, "sentences": [], "tries": 0, "bytes": None, "queries": {},
        "damage": {"pages": [], "objects": [], "rows": {}, "foreign_keys": [], "messages": [], "more": False, "doubtful": False},
        "invariants": {}, "wal": None, "holders": [], "progress": None, "deleted": None, "tables": {}, "schema_version": None, "schema_sha256": None,
        "last_commit": None, "last_change_counter": None, "journal_mode": None, "page_size": None, "page_count": None,
        "freelist_pages": None, "encrypted": False, "lock_problem": None, "looks": [],
    }  # fmt: skip


def _look(path: str, options: Options, found: dict[str, Any]) -> None:
    found["holders"], found["progress"] = _sqlite_holders.holders(path), _sqlite_holders.progress(path)
    found["deleted"] = _sqlite_holders.deleted(found["holders"])
    header = _sqlite_header.look_at(path)
    gone = found["deleted"]
    if gone is not None:
        found["state"] = "deleted_but_open"
        found["sentences"].append(_deleted(path, found["holders"], gone, header))
        if "db" not in gone["files"]:
            _facts(found, path, header, _sqlite_wal.read(path + "-wal"))
        found["certain"] = True
        return
    if header.kind in ("missing", "unreadable", "empty"):
        found.update(
            state=header.kind,
            bytes=header.size,
            certain=header.kind != "unreadable" or (options.frozen and _is_lost_on_disk(path)),
        )
        found["sentences"].append(header.why)
        wal = _sqlite_wal.read(path + "-wal")
        if wal.valid_commits:
            found["sentences"].append(f"The -wal beside it holds {wal.valid_commits} commits: keep it.")
        found["wal"] = wal.facts()
        return
    found["bytes"] = _sqlite_copy.check(path)
    with _sqlite_copy.scratch(options.scratch_dir) as folder:
        if options.frozen:
            _frozen(path, folder, options, found)
        else:
            _live(path, folder, options, found)
    if found["state"] == "ok" and not options.frozen:
        _locked(path, options, found)


def _live(path: str, folder: str, options: Options, found: dict[str, Any]) -> None:
    """Damage is told when two whole copies show the same; a torn copy proves nothing."""
    before: Seen | None = None
    while found["tries"] < options.tries + (before is not None):
        found["tries"] += 1
        # Read first: what it knows to be committed is in the copy then.
        index = _sqlite_wal.read_index(path + "-shm")
        copied, still = _sqlite_copy.copy(path, folder, options.copy_seconds)
        if not still or _checkpointed(index, _sqlite_wal.read_index(path + "-shm")):
            time.sleep(PAUSE)
            found["sentences"] = [f"{path} was written to while it was copied, each time: no copy of it is whole."]
            continue
        header, wal, seen = _examined(copied, path, index, options.rules())
        found["looks"].append(seen.state)
        if seen.state not in DAMAGE or (before is not None and seen.same_as(before)):
            _take(found, path, header, wal, seen, options)
            found["certain"] = seen.state == "ok"
            return
        before = seen
    if before is not None:
        found["sentences"] = [
            f"A copy of {path} looks damaged, and no second one shows the same: freeze its writers to be certain.",
            *before.sentences,
        ]


def _checkpointed(before: _sqlite_wal.Index | None, after: _sqlite_wal.Index | None) -> bool:
    """Whether the -wal went on into the database: then the index of before does not go with the copy."""
    if before is None or after is None:
        return (before is None) != (after is None)
    return (before.salts, before.in_database, before.begun) != (after.salts, after.in_database, after.begun)


def _frozen(path: str, folder: str, options: Options, found: dict[str, Any]) -> None:
    """Two copies, the set unchanged by hash from before the first to behind the last."""
    began = digests(path)
    joined = ["-journal"] if _sqlite_copy.is_joined(path + "-journal") else []
    index = _sqlite_wal.read_index(path + "-shm")
    seen: list[Seen] = []
    whole = True
    while len(seen) < 2:
        found["tries"] += 1
        copied, _still = _sqlite_copy.copy(path, folder, options.copy_seconds)
        whole = whole and _without(joined, digests(copied)) == _without(joined, began)
        if seen and whole and seen[0].state == "ok":
            # The same bytes, and nothing wrong with them: there is no second opinion to be had.
            break
        # SQLite is asked once more. Pages are walked once more unless their bytes are the same by hash.
        walked = seen[0].walked if seen and whole else None
        header, wal, one = _examined(copied, path, index, replace(options.rules(), walked=walked))
        seen.append(one)
    found["looks"] = [one.state for one in seen]
    # Sound once is sound, where the other look only came to no end. Damage has to be seen twice.
    said = next((one for one in seen if one.state not in UNSURE), seen[0])
    _take(found, path, header, wal, said, options)
    same = all(one.same_as(said) for one in seen if one.state not in UNSURE)
    both = said.state == "ok" or all(one.same_as(said) for one in seen)
    whole = whole and digests(path) == began
    found["certain"] = whole and both and same and said.proven and said.state not in UNSURE
    if not whole:
        found["state"] = "changed" if found["state"] in (*DAMAGE, *UNSURE, "ok") else found["state"]
        found["sentences"].insert(0, f"{path} or a file beside it changed while it was looked at, though it is to be frozen.")
    elif not same:
        found["state"] = "disagree"
        found["sentences"].insert(0, "Two copies of the same bytes gave two verdicts: mistrust this host's memory or disk.")


def digests(path: str) -> dict[str, str]:
    """Of the set, read as bytes. The -shm is left out: it is an index of the -wal, and holds locks."""
    return {suffix: one for suffix in ("", "-wal", "-journal") for one in _digest(path + suffix)}


def _without(left_out: list[str], digests_of: dict[str, str]) -> dict[str, str]:
    return {suffix: one for suffix, one in digests_of.items() if suffix not in left_out}


def _is_lost_on_disk(path: str) -> bool:
    """Read once more: whether the disk itself refuses."""
    try:
        digests(path)
    except OSError as problem:
        return problem.errno == errno.EIO
    return False


def _digest(path: str) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError), os.fdopen(open_regular(path), "rb") as file:
        total = hashlib.sha256()
        for chunk in iter(lambda: file.read(CHUNK), b""):
            total.update(chunk)
        yield total.hexdigest()


def _examined(copied: str, path: str, index: _sqlite_wal.Index | None, rules: Rules) -> tuple[Header, _sqlite_wal.Wal, Seen]:
    header = _sqlite_header.look_at(copied)
    if header.kind == "database":
        _sqlite_check.play_back(copied)
        header = _sqlite_header.look_at(copied)
    header.path = path
    wal = _sqlite_wal.read(copied + "-wal", index)
    if wal.problem:
        wal.problem = wal.problem.replace(copied, path)
    if header.kind == "encrypted":
        return header, wal, _sqlite_encrypted.examine(copied, header, wal, rules)
    if header.kind != "database":
        why = (header.why or "").replace(copied, path)
        return header, wal, Seen(header, header.kind, [why])
    return header, wal, _sqlite_damage.examine(copied, header, wal, index, rules)


def _take(found: dict[str, Any], path: str, header: Header, wal: _sqlite_wal.Wal, seen: Seen, options: Options) -> None:
    found.update(state=seen.state, sentences=list(seen.sentences), damage=seen.damage(), invariants=seen.asked.invariants)
    found.update(tables=seen.asked.tables, schema_sha256=seen.asked.schema_sha256, encrypted=header.kind == "encrypted")
    found["queries"] = seen.asked.queries if seen.state in ASKABLE else {}
    _facts(found, path, seen.header, wal)
    if seen.asked.user_version is not None:
        found["schema_version"] = seen.asked.user_version
    if options.key is not None and header.kind == "database":
        found["sentences"].append("A key was given, and the database is not encrypted.")


def _facts(found: dict[str, Any], path: str, header: Header, wal: _sqlite_wal.Wal) -> None:
    size = found["bytes"]
    found.update(header.facts())
    found["bytes"] = size if size is not None else header.size
    found["wal"] = wal.facts()
    with contextlib.suppress(OSError):
        state = os.stat(path + "-wal") if wal.size and os.path.exists(path + "-wal") else os.stat(path)
        found["wal"]["age_seconds"] = round(max(0.0, time.time() - state.st_mtime), 1)
        found["last_commit"] = utc(state.st_mtime)


def _locked(path: str, options: Options, found: dict[str, Any]) -> None:
    one = _sqlite_holders.stuck(path, found["holders"], options.lock_seconds)
    if one is None:
        return
    who, locks = one
    found["holders"] = _sqlite_holders.holders(path) or found["holders"]
    what = "reading and writing" if {"exclusive", "pending"} & set(locks) else "writing"
    told = f"it holds a lock ({', '.join(locks)}) and commits nothing"
    found["lock_problem"] = f"{_sqlite_holders.sentence(who)} keeps everybody else from {what}: {told}."
    found["state"] = "locked"
    found["sentences"].insert(0, found["lock_problem"])


def _deleted(path: str, holders: list[dict[str, Any]], gone: dict[str, Any], header: Header) -> str:
    who = next(one for one in holders if one["pid"] == gone["pid"])
    beside = " and ".join(f"-{one}" for one in ("wal", "shm", "journal") if one in gone["files"])
    what = (
        f"The {beside} of {path} is deleted"
        if "db" not in gone["files"]
        else f"{path} is deleted{f' with its {beside}' if beside else ''}"
    )
    instead = "" if header.kind == "missing" or "db" not in gone["files"] else " Another file has its name now."
    return f"{what}, and lives only in {_sqlite_holders.sentence(who)}: stopping that destroys it.{instead}"
