# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Choose the backup that a database is restored from: the newest that proves good, and the very file that will take its place.

It is unpacked beside the database, looked at as a whole, and kept there for an hour, so that whoever confirms the plan waits for nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _backup_shelf,
    _database_candidate,
    _database_dump,
    _database_files,
    _database_unpack,
    _sqlite_copy,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Questions
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_unpack import BadArchive, Bounds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    epoch_of,
    private_directory,
    read_json,
    remove,
    utc,
    write_json,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_damage import WITH_A_WORD
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored

SCRATCH = ".marketplace_restore"
# Where two databases are compared; beside the other, which is wiped at times.
COMPARED = ".marketplace_compare"
PLAN = "plan.json"
# As backup_create names an archive inside.
LABEL = "marketplace-db"
FORMAT = 1
KEPT_SECONDS = 3600.0
# Clocks differ; what is newer than this comes from a clock that is wrong, or from somebody who wants to be chosen first.
SKEW_SECONDS = 300.0
_ENDING = re.compile(r"(?:\.(?:db|sqlite3?|sql))?(?:\.(?:gz|zst))?\.gpg\Z", re.I)
_WALLETS = (".tar.gz.gpg", ".tar.gpg")
# The host has to be mended before any archive can be judged.
_OURS = ("no_space", "no_gpg", "no_unpacker", "slow_disk")


@dataclass(frozen=True)
class Question:
    """What may be restored from what."""

    path: str
    directory: str = ""
    archive: str = ""
    key: Key = field(default_factory=Key)
    site: str = ""
    database_key: str = field(default="", repr=False)
    invariants: tuple[dict[str, str], ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    # Where the image is made; empty means where it is looked for when the plan is carried out.
    scratch: str = ""

    @property
    def folder(self) -> str:
        return self.scratch or scratch_of(self.path)


class NoGoodBackup(NotRestored):
    """No archive can be restored from; why of each."""

    def __init__(self, kind: str, sentence: str, rejected: list[dict[str, Any]]) -> None:
        super().__init__(kind, sentence)
        self.rejected = rejected


class _Rejected(Exception):
    """Not this one."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def scratch_of(path: str) -> str:
    """On the database's own file system, so that taking its place is one step."""
    return os.path.join(os.path.dirname(path), SCRATCH)


def checked_in(path: str) -> str:
    """The same for who only looks: a plan that waits for its word is not their business, and the shop may be at work beside it."""
    return _sqlite_copy.place_for(path, f"{SCRATCH}-check", f"restore-check-{_database_files.named(path)}")


def name_of(archive: str) -> str:
    return _ENDING.sub("", os.path.basename(archive))


def archives(directory: str) -> list[tuple[str, float]]:
    """Every archive of a database in the folder and when it was made, the newest first; pointers to them are none."""
    try:
        os.listdir(directory)
    except OSError as problem:
        raise NoGoodBackup(
            "missing", f"The backups' folder {directory} cannot be read: {problem.strerror}. Is it mounted?", []
        ) from None
    found = _backup_shelf.archives(directory, _backup_shelf.DATABASE)
    return [(one.path, one.created) for one in found if not one.path.endswith(_WALLETS)]


def _made(path: str) -> float:
    """By its name; the file's own time may be that of a copy."""
    stamp = _backup_shelf._moment(os.path.basename(path))
    return os.lstat(path).st_mtime if stamp is None else stamp


def saved(path: str) -> dict[str, Any] | None:
    """The plan that was made last, with its image still as it was and not too old."""
    folder = scratch_of(path)
    try:
        plan = read_json(os.path.join(folder, PLAN))
    except (ValueError, OSError):
        return None
    if plan is None or plan.get("format") != FORMAT or not isinstance(plan.get("image_file"), str):
        return None
    return plan


def image_of(path: str, plan: dict[str, Any]) -> str:
    return os.path.join(scratch_of(path), os.path.basename(plan["image_file"]))


def wipe(path: str) -> None:
    _sqlite_copy.wipe(scratch_of(path))
    _sqlite_copy.wipe(checked_in(path))


def tidy(path: str) -> None:
    """An image that nobody can put in place any more is a database in clear, and room that others need."""
    _sqlite_copy.wipe(checked_in(path))
    earlier = saved(path)
    if earlier is None or problem_with(path, earlier) is not None:
        wipe(path)


def make(question: Question, dry: bool) -> dict[str, Any]:
    """The plan, its image lying ready. In check mode the image is gone afterwards."""
    if question.archive and not os.path.lexists(question.archive):
        raise NoGoodBackup("missing", f"{question.archive} is not there: name an archive that is.", [])
    candidates = [(question.archive, _made(question.archive))] if question.archive else archives(question.directory)
    if not candidates:
        raise NoGoodBackup(
            "no_good_backup", f"No backup of a database is in {question.directory} (*.db.gz.gpg, *.sql.gz.gpg).", []
        )
    asked = _asked(question, candidates)
    earlier = saved(question.path)
    if earlier is not None and _still_counts(question, earlier, asked):
        return {**earlier["plan"], "age_seconds": _age(earlier["made"])}
    if dry:
        question = replace(question, scratch=checked_in(question.path))
    _sqlite_copy.wipe(question.folder)
    private_directory(question.folder)
    with ExitStack() as half_made:
        half_made.callback(_sqlite_copy.wipe, question.folder)
        plan = _made_new(question, candidates, asked)
        if not dry:
            half_made.pop_all()
    return plan


def _asked(question: Question, candidates: list[tuple[str, float]]) -> str:
    """Of all that the choice depends on: another answer to it makes another plan."""
    parts = [
        question.path, question.site, [list(one) for one in candidates], [_database_files.identity(path) for path, _at in candidates],
        [_database_files.identity(path + ending) for path, _at in candidates for ending in _backup_shelf.SIDECARS],
        list(question.invariants), hashlib.sha256(question.database_key.encode()).hexdigest() if question.database_key else "",
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _still_counts(question: Question, earlier: dict[str, Any], asked: str) -> bool:
    return earlier.get("asked") == asked and problem_with(question.path, earlier) is None


def problem_with(path: str, earlier: dict[str, Any]) -> str | None:
    """Why a saved plan may not be carried out any more."""
    if not 0 <= time.time() - float(earlier["at"]) <= KEPT_SECONDS:
        return f"the plan is older than {KEPT_SECONDS / 60:.0f} minutes"
    found = _database_files.identity(image_of(path, earlier))
    if found is None:
        return f"{image_of(path, earlier)} is not there any more"
    if list(found) != earlier["image_state"]:
        return f"{image_of(path, earlier)} has changed since it was looked at"
    return None


def _made_new(question: Question, candidates: list[tuple[str, float]], asked: str) -> dict[str, Any]:
    rejected: list[dict[str, Any]] = []
    for archive, made in candidates:
        try:
            return _prepared(question, archive, made, rejected, asked, bool(question.archive))
        except (_Rejected, BadArchive) as bad:
            if bad.kind in _OURS:
                raise NoGoodBackup(bad.kind, str(bad), rejected) from None
            rejected.append({"path": archive, "kind": bad.kind, "problem": str(bad)})
    # One that is whole is better than none, where a person says so, though values in it are wrong or unknown.
    for archive, made in candidates:
        if any(one["path"] == archive and one["kind"] in WITH_A_WORD for one in rejected):
            others = [one for one in rejected if one["path"] != archive]
            return _prepared(question, archive, made, others, asked, True)
    kinds = {one["kind"] for one in rejected}
    more = f" (and {len(rejected) - 1} older ones are no better)" if len(rejected) > 1 else ""
    raise NoGoodBackup(
        next(iter(kinds)) if len(kinds) == 1 else "no_good_backup",
        f"No backup can be restored from: {rejected[0]['problem'].rstrip('.')}{more}. Nothing was changed.",
        rejected,
    )


def _prepared(
    question: Question, archive: str, made: float, rejected: list[dict[str, Any]], asked: str, wrong_values: bool
) -> dict[str, Any]:
    manifest = _manifest(question, archive, made)
    said = (manifest or {}).get("image")
    size = said.get("bytes") if isinstance(said, dict) else None
    folder = question.folder
    needed = size if isinstance(size, int) else os.path.getsize(archive)
    for place in (folder, os.path.dirname(question.path)):  # a look elsewhere promises no room on the database's own disk
        if _database_files.free_bytes(place) - needed < _database_files.FLOOR_BYTES:
            raise NoGoodBackup("no_space", str(_database_files.no_space(f"Unpacking {archive}", needed, place)), rejected)
    image = os.path.join(folder, "image.db")
    for suffix in (*_database_files.SUFFIXES, ".sql"):
        remove(image + suffix)
    hashing = Questions()
    hashing.ask("archive", _database_files.sha256, archive)
    took, label = _database_unpack.unpack(archive, image, question.key, question.bounds)
    _check_label(question, archive, made, label)
    seconds = {"decrypt": round(took, 2)}
    began = time.monotonic()
    try:
        verdict = _looked_at(question, archive, image, hashing, wrong_values)
    finally:
        # What is refused is wiped; nobody may still be reading it then.
        for name in ("image", "on_disk"):
            with suppress(KeyError, NotRestored, OSError):
                hashing.answer(name, question.bounds.seconds)
    try:
        hashing.answer("on_disk", question.bounds.seconds)
    except KeyError:
        raise BadArchive("slow_disk", f"{image} was not written to the disk in time (database_timeout).") from None
    try:
        digests = {name: str(hashing.answer(name, question.bounds.seconds)) for name in ("archive", "image")}
    except KeyError:
        raise BadArchive("too_slow", f"{archive} was not read to its end in time (database_timeout).") from None
    seconds["rules"] = round(verdict["rules_seconds"], 2)
    seconds["check"] = round(time.monotonic() - began - verdict["rules_seconds"], 2)
    noted = _backup_shelf.sha256_beside(archive)
    if noted is not None and noted != digests["archive"]:
        raise _Rejected("damaged", f"{archive} is not what was written: its checksum differs from the one in {archive}.sha256.")
    if verdict["from"] != "dump" and isinstance(said, dict) and said.get("sha256") not in (None, digests["image"]):
        raise _Rejected("damaged", f"{archive} does not hold the database that its manifest names: the checksums differ.")
    return _kept(question, archive, made, manifest, verdict, digests, seconds, rejected, asked)


def _manifest(question: Question, archive: str, made: float) -> dict[str, Any] | None:
    manifest = _backup_shelf.manifest_beside(archive)
    moments = [made]
    if manifest is not None:
        if manifest.get("format") != 1 or manifest.get("kind") != "database":
            raise _Rejected("damaged", f"{archive}.manifest.json is none of a database's backup.")
        site = clean_line(str(manifest.get("site") or ""), 100)
        if question.site and site != question.site:
            raise _Rejected("other_site", f"{archive} was made on {site or 'an unnamed site'}, not on {question.site}.")
        try:
            moments.append(epoch_of(str(manifest.get("created"))))
        except ValueError:
            raise _Rejected("damaged", f"{archive}.manifest.json does not say when the backup was made.") from None
    if max(moments) > time.time() + SKEW_SECONDS:
        raise _Rejected(
            "from_future", f"{archive} says to be made at {utc(max(moments))}, which is yet to come: a clock is wrong."
        )
    return manifest


def _check_label(question: Question, archive: str, made: float, label: str) -> None:
    """What only a holder of the key could write: whose it is, and when it was made. A name or a manifest may be anybody's."""
    words = label.split(" ")
    if len(words) != 3 or words[0] != LABEL:
        return
    site = clean_line(unquote(words[1]), 100)
    if question.site and site != question.site:
        raise _Rejected("other_site", f"{archive} says inside that it was made on {site}, not on {question.site}.")
    try:
        apart = abs(epoch_of(words[2]) - made)
    except ValueError:
        return
    if apart > SKEW_SECONDS:
        raise _Rejected("damaged", f"{archive} says inside that it was made at {words[2]}, and not when its name says.")


def _looked_at(question: Question, archive: str, image: str, hashing: Questions, wrong_values: bool) -> dict[str, Any]:
    kind = _database_candidate.kind_of(image)
    if kind == "empty":
        raise _Rejected("not_a_database", f"{archive} holds an empty file.")
    if kind == "dump":
        _played(question, archive, image)
    hashing.ask("image", _database_files.sha256, image)
    # The disk has time now, and none while customers wait for the swap. What it could not write is known here, and only here.
    hashing.ask("on_disk", _database_files.sync, image)
    found = _database_candidate.look(image, question.database_key, list(question.invariants), question.bounds.seconds)
    if found["state"] not in ("ok", "encrypted", *(WITH_A_WORD if wrong_values else ())):
        why = "; ".join(one.rstrip(".") for one in found["sentences"][:3]) or found["state"]
        raise _Rejected(found["state"], f"{archive} opens, and the database in it is not sound ({found['state']}): {why}.")
    return {"state": found["state"], "summary": found["summary"], "from": kind, "rules_seconds": found["rules_seconds"]}


def _played(question: Question, archive: str, image: str) -> None:
    """SQL as text, made a database in its place."""
    text = f"{image}.sql"
    os.rename(image, text)
    try:
        _database_dump.play(text, image, question.bounds.most(os.path.getsize(archive)), question.bounds.seconds)
    except _database_dump.BadDump as bad:
        raise _Rejected(bad.kind, f"{archive} {bad}.") from None
    finally:
        os.unlink(text)


def _kept(
    question: Question,
    archive: str,
    made: float,
    manifest: dict[str, Any] | None,
    verdict: dict[str, Any],
    digests: dict[str, str],
    seconds: dict[str, float],
    rejected: list[dict[str, Any]],
    asked: str,
) -> dict[str, Any]:
    """Note the plan beside its image."""
    folder, now = question.folder, time.time()
    named = {"path": question.path, "archive": digests["archive"], "image": digests["image"], "name": name_of(archive)}
    identity = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()
    said = (manifest or {}).get("image")
    summary = {
        **verdict["summary"],
        "state": verdict["state"],
        "sha256": digests["image"],
        "last_commit": said.get("last_commit") if isinstance(said, dict) else None,
    }
    plan = {
        "hash": identity,
        "archive": archive,
        "archive_sha256": digests["archive"],
        "name": name_of(archive),
        "created": utc(made),
        "age_seconds": _age(made),
        # Nobody can say that what is encrypted is whole.
        "good": None if verdict["state"] == "encrypted" else verdict["state"] == "ok",
        "rejected": rejected,
        "image": summary,
        "manifest": manifest,
        "seconds": seconds,
    }
    target = os.path.join(folder, f"image-{identity[:12]}.db")
    os.rename(os.path.join(folder, "image.db"), target)
    saved_plan = {
        "format": FORMAT,
        "at": now,
        "made": made,
        "asked": asked,
        "image_file": os.path.basename(target),
        "image_state": list(_database_files.identity(target) or ()),
        "plan": plan,
    }
    write_json(os.path.join(folder, PLAN), saved_plan)
    return plan


def _age(made: float) -> int:
    return max(0, int(time.time() - made))
