# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What the archives of the database are worth: from a glance at their names to an image restored into scratch and checked."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _backup_retention,
    _backup_shelf,
    _database_archive,
    _database_image,
    _sqlite_copy,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_shelf import DATABASE, Archive
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_archive import DUMP, IMAGE, Content
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import epoch_of, sentence_for, utc
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_archive import BadArchive

LISTING, CHECKSUM, FULL = "listing", "checksum", "full"
# That this host cannot open one is no judgement on it.
_UNKNOWN = ("no_secret_key", "no_passphrase", "no_gpg", "too_slow", "no_space")
ROLE = "database"
BESIDE = ".marketplace_backup"


@dataclass(frozen=True)
class Look:
    """How far archives are looked at, and with what."""

    key: Key
    verify: str = LISTING
    site: str = ""
    everything: bool = False
    seconds: float = 1800.0
    scratch_dir: str = _sqlite_copy.OURS
    database_key: str = field(default="", repr=False)
    invariants: tuple[dict[str, str], ...] = ()


def scratch_of(path: str, wanted: str) -> str:
    """What is in clear stays on the database's own disk, unless somebody wants it elsewhere or others could exchange it there."""
    return wanted or _sqlite_copy.place_for(path, BESIDE)


def looked(folder: str, look: Look) -> dict[str, Any]:
    """Archives newest first. With `full` they are restored into scratch back to the newest good one, and no further unless all are wanted."""
    found: list[dict[str, Any]] = []
    newest: dict[str, str] = {}
    for archive in _backup_shelf.archives(folder, DATABASE):
        one = _entry(archive, look, LISTING if newest and not look.everything else look.verify)
        found.append(one)
        if one["good"] and ROLE not in newest:
            newest[ROLE] = one["path"]
    pointer = _backup_shelf.pointed(folder, ROLE, DATABASE)
    there = pointer is not None and pointer in [one["path"] for one in found]
    return {"backups": found, "newest_good": newest, "latest": {ROLE: pointer} if there else {}}


def _entry(archive: Archive, look: Look, verify: str) -> dict[str, Any]:
    manifest = _backup_shelf.manifest_beside(archive.path)
    age = time.time() - archive.created
    one: dict[str, Any] = {
        "path": archive.path, "role": ROLE, "roles": [ROLE], "ours": archive.ours, "created": utc(archive.created),
        "age_seconds": int(age), "bytes": archive.bytes, "manifest": manifest, "sha256": _backup_shelf.sha256_beside(archive.path),
        "sha256_ok": None, "decrypts": None, "content_ok": None, "content": None, "good": None, "problem": "", "seconds": None,
        "wallets": [],
    }  # fmt: skip
    try:
        if verify != LISTING:
            one["sha256_ok"] = _backup_shelf.intact(archive.path)
        problems = list(outside_problems(archive, manifest, look.site))
        if one["sha256_ok"] is False:
            problems.append("it is not what it was when it was made: its sha256 differs from the one beside it")
        if problems:
            one.update(good=False, problem=f"{archive.path}: {'; '.join(problems)}.")
        elif verify == FULL:
            one.update(_restored(archive, manifest, look))
    except _sqlite_copy.NoCopy as problem:
        one.update(problem=str(problem))
    except OSError as problem:
        one.update(good=False, problem=sentence_for(problem))
    return one


def outside_problems(archive: Archive, manifest: dict[str, Any] | None, site: str) -> list[str]:
    """What forbids an archive before a byte of it is decrypted."""
    problems = []
    if archive.created > time.time() + _backup_retention.SLACK:
        problems.append(
            f"it says that it was made in the future ({utc(archive.created)}): a clock was wrong, this host's or its maker's, and nobody knows how old it is"
        )
    if manifest is None and archive.ours:
        problems.append(
            "its manifest cannot be understood, so that nobody knows whose it is: remove the manifest, or choose another archive"
        )
    if manifest is not None:
        if manifest.get("format") != 1 or manifest.get("kind") != "database" or not isinstance(manifest.get("image"), dict):
            problems.append("its manifest is of another kind or format")
        elif site and manifest.get("site") != site:
            problems.append(f"it is another site's ({clean_line(str(manifest.get('site')), 60)}, not {site})")
    return problems


def inside_problems(archive: Archive, content: Content, manifest: dict[str, Any] | None, site: str) -> list[str]:
    """Where what came out is not what its manifest says, or another site's."""
    problems = []
    said = (manifest or {}).get("image") or {}
    if manifest is not None and (content.bytes, content.sha256) != (said.get("bytes"), said.get("sha256")):
        problems.append("its manifest says something else of the image than what lies in it")
    if site and content.site and content.site != site:
        problems.append(f"inside it says that it is another site's ({clean_line(content.site, 60)}, not {site})")
    named = DATABASE.ours.match(os.path.basename(archive.path))
    if named and content.created and abs(_epoch(content.created) - archive.created) > _backup_retention.SLACK:
        problems.append(f"its name says another time than what lies in it ({clean_line(content.created, 40)})")
    return problems


def _epoch(text: str) -> float:
    try:
        return epoch_of(text)
    except ValueError:
        return 0.0


def most_of(archive: Archive, manifest: dict[str, Any] | None) -> int:
    """How much may come out of it: what its manifest says, if it says a size that can be."""
    said = ((manifest or {}).get("image") or {}).get("bytes")
    return (
        said if isinstance(said, int) and 0 < said <= _database_archive.MOST_BYTES else _database_archive.limit_of(archive.path)
    )


def _restored(archive: Archive, manifest: dict[str, Any] | None, look: Look) -> dict[str, Any]:
    """An archive as a restore takes it: into scratch, and there checked to its last page."""
    began = time.monotonic()
    with ExitStack() as stack:
        stack.callback(_sqlite_copy.forget, look.scratch_dir)
        folder = stack.enter_context(_sqlite_copy.scratch(look.scratch_dir))
        image = os.path.join(folder, "image.db")
        try:
            content = _database_archive.read(archive.path, look.key, image, most_of(archive, manifest), look.seconds)
        except BadArchive as problem:
            if problem.kind in _UNKNOWN:
                return {"problem": str(problem)}
            opened = problem.kind == "too_big"
            return {"decrypts": opened, "content_ok": False if opened else None, "good": False, "problem": str(problem)}
        decrypted = time.monotonic()
        problems = inside_problems(archive, content, manifest, look.site)
        state, sentences = "dump", ["It is an SQL dump, and only loading it tells what it is worth."]
        if content.form != DUMP:
            found = _database_image.judged(image, look.database_key, look.invariants, content.form != IMAGE)
            state, sentences = found["state"], found["sentences"]
        checked = time.monotonic()
    # suspect: its pages are whole, and not all that is asked of it could be told.
    if state not in ("ok", "dump", "encrypted", "suspect"):
        problems.append(f"the image in it is not sound ({state}: {clean_line('; '.join(sentences[:3]), 300)})")
    if content.form == DUMP and not content.whole:
        problems.append("the SQL dump in it ends early")
    known = state == "ok"
    return {
        "decrypts": True,
        "content": state,
        "content_ok": False if problems else True if known else None,
        "good": False if problems else True if known else None,
        "problem": f"{archive.path}: {'; '.join(problems)}."
        if problems
        else ""
        if known
        else f"{archive.path}: {sentences[0]}",
        "seconds": {"decrypt": round(decrypted - began, 2), "check": round(checked - decrypted, 2)},
    }


def sound(archive: Archive) -> bool:
    """Whether its manifest says that nothing was wrong with its image."""
    image = (_backup_shelf.manifest_beside(archive.path) or {}).get("image")
    return isinstance(image, dict) and image.get("state") == "ok"


class Good:
    """For the retention, whose archives are one for each hour: the first is opened now, or was when it was made in this run. Others are
    good when they are unchanged since they were proven with the same key; those of another key are opened."""

    def __init__(self, key: Key, key_generation: str, seconds: float, proven: str = "") -> None:
        self._key, self._generation, self._seconds = key, key_generation, seconds
        self._proven = proven
        self._any = False

    def __call__(self, archive: Archive) -> bool:
        manifest = _backup_shelf.manifest_beside(archive.path)
        if manifest is None or outside_problems(archive, manifest, ""):
            return False
        same = manifest.get("key_generation") == self._generation
        found = archive.path == self._proven or (self._any and same) or self._opens(archive, manifest)
        self._any = self._any or found
        return found

    def _opens(self, archive: Archive, manifest: dict[str, Any]) -> bool:
        try:
            content = _database_archive.read(archive.path, self._key, None, most_of(archive, manifest), self._seconds)
        except BadArchive as problem:
            return problem.kind == "no_secret_key"
        return not inside_problems(archive, content, manifest, "")
