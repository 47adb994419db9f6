# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""A backup of the database: an image of one moment, checked, packed and encrypted on the way, opened again, then published.

The image lies in clear beside the database for as long as this takes, on the same disk as the database itself, and nowhere else.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Callable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _backup_retention,
    _backup_shelf,
    _backup_work,
    _database_archive,
    _database_image,
    _database_shelf,
    _gpg,
    _sqlite_copy,
    _sqlite_taken,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_shelf import DATABASE, Archive
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_work import NotBackedUp
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    IncidentError,
    epoch_of,
    sentence_for,
    utc,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_copy import NoCopy
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_damage import WITH_A_WORD, WRONG_VALUES
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_taken import Image, NoImage
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_archive import BadArchive

ROLE = "database"


@dataclass(frozen=True)
class Order:
    """What is wanted. heights asks the wallets how far they are, and may know nothing."""

    site: str
    path: str
    folder: str
    key: Key
    database_key: str = field(default="", repr=False)
    invariants: tuple[dict[str, str], ...] = ()
    compression: str = _database_archive.GZIP
    key_generation: str = "1"
    minimum_age: float = 900.0
    retention_days: float = 30.0
    keep_good: int = 3
    # Why nothing may be removed now; empty where it may.
    keep_all: str = ""
    scratch_dir: str = ""
    image_seconds: float = 300.0
    seconds: float = 1800.0
    floor: int = 256 * 1024 * 1024
    heights: Callable[[], dict[str, Any]] = field(default=dict)
    allowed: Callable[[], bool] = field(default=lambda: True)

    @property
    def scratch(self) -> str:
        return _database_shelf.scratch_of(self.path, self.scratch_dir)


def backed_up(order: Order, dry: bool = False) -> dict[str, Any]:
    """One archive, or why there is none."""
    if not order.key.passphrase and not order.key.recipient:
        raise IncidentError(
            "A database is backed up encrypted only: set marketplace_backup_passphrase, or marketplace_backup_recipient to a gpg key."
        )
    began = time.monotonic()
    backup = _Backup(order)
    try:
        found = backup.planned() if dry else backup.made()
    except (NotBackedUp, NoImage, NoCopy, BadArchive) as problem:
        found = _result(problem=f"database: {problem}")
    except _gpg.GpgProblem as problem:
        found = _result(problem=f"database: the archive {problem}.")
    except OSError as problem:
        found = _result(problem=f"database: {sentence_for(problem)}")
    found["seconds"] = round(time.monotonic() - began, 2)
    return found


def _result(**found: Any) -> dict[str, Any]:
    return {
        "role": ROLE, "state": "failed", "path": None, "bytes": None, "sha256": None, "created": None, "age_seconds": None,
        "verified": None, "manifest": None, "wallets": [], "notes": [], "problem": "", "seconds": 0.0, "image_seconds": None,
        "retention": None, **found,
    }  # fmt: skip


class _Backup:
    def __init__(self, order: Order) -> None:
        self._order = order
        self._notes: list[str] = []

    def planned(self) -> dict[str, Any]:
        found = self._fresh()
        if found and _backup_shelf.pointed(self._order.folder, ROLE, DATABASE) == found["path"]:
            return found
        _sqlite_copy.check(self._order.path)
        return _result(state="would_be_made", notes=self._notes)

    def made(self) -> dict[str, Any]:
        order = self._order
        _backup_work.prepared(order.folder, DATABASE)
        # An image that a killed run has left in clear must not stay, also where there is nothing to do.
        _sqlite_copy.forget(order.scratch)
        found = self._fresh()
        if found is None:
            with _backup_work.kept(order.allowed):
                found = self._new()
        _backup_shelf.point(order.folder, ROLE, found["path"], DATABASE)
        try:
            good = _database_shelf.Good(
                order.key, order.key_generation, order.seconds, found["path"] if found["verified"] == "decrypted" else ""
            )
            found["retention"] = _backup_retention.tidied(
                order.folder, DATABASE, ROLE, good, order.retention_days, order.keep_good, order.keep_all, _database_shelf.sound
            )
        except OSError as problem:
            # The archive is there and proven: that nothing old could go does not undo it.
            found["notes"].append(f"database: old archives were not removed: {sentence_for(problem)}")
        return found

    def _same(self) -> dict[str, Any]:
        """What an archive of the same site and key says of itself."""
        order = self._order
        return {
            "format": 1, "kind": "database", "site": order.site, "key_generation": order.key_generation,
            "encrypted_with": order.key.recipient or "passphrase",
        }  # fmt: skip

    def _fresh(self) -> dict[str, Any] | None:
        """An archive so young that it counts as the backup that is asked for."""
        now = time.time()
        ours = (one for one in _backup_shelf.archives(self._order.folder, DATABASE) if one.ours)
        newest = next((one for one in ours if one.created <= now + _backup_retention.SLACK), None)
        if newest is None or now - newest.created >= self._order.minimum_age:
            return None
        manifest = _backup_shelf.manifest_beside(newest.path) or {}
        same = all(manifest.get(name) == said for name, said in self._same().items()) and _backup_shelf.intact(newest.path)
        return self._said("fresh", newest, manifest, _backup_shelf.sha256_beside(newest.path)) if same else None

    def _new(self) -> dict[str, Any]:
        order = self._order
        try:
            size = _sqlite_copy.check(order.path)
        except NoCopy as problem:
            raise NotBackedUp(str(problem)) from None
        with ExitStack() as stack:
            scratch = _scratch(stack, order, size)
            heights = order.heights()
            committed = _database_image.last_commit(order.path)
            # What is paid while the image is taken and checked is none of what it knows.
            created = utc(time.time())
            image = _sqlite_taken.taken(order.path, scratch, order.database_key, order.image_seconds)
            _sqlite_taken.settled(image, order.database_key)
            manifest = self._manifest(image, created, committed, heights)
            return {**self._published(image, manifest), "image_seconds": round(image.seconds, 3)}

    def _manifest(self, image: Image, created: str, committed: float, heights: dict[str, Any]) -> dict[str, Any]:
        order = self._order
        facts = _database_image.judged(image.path, order.database_key, order.invariants, image.encrypted)
        if facts["state"] == "encrypted":
            self._notes.append("database: it is encrypted and its key was not given, so that the image was not checked")
        elif facts["state"] in WRONG_VALUES:
            self._notes.append(
                f"database: the image is whole and holds what cannot be true ({facts['state']}: {_why(facts)}): a restore takes older ones first"
            )
        elif facts["state"] in WITH_A_WORD:
            self._notes.append(
                f"database: not all that is asked of the image could be told ({_why(facts)}): a restore takes those first of which all is known"
            )
        elif facts["state"] != "ok":
            raise NotBackedUp(
                f"{order.path} is damaged ({facts['state']}: {_why(facts)}): nothing was published, and older archives stay; run playbooks/database.yml."
            )
        compression = order.compression
        if not _database_archive.there(compression):
            self._notes.append(f"database: {compression} is not on this host, so gzip packed it")
            compression = _database_archive.GZIP
        return {
            **self._same(),
            "created": created,
            "image": {
                "bytes": os.stat(image.path).st_size,
                "sha256": _backup_shelf.sha256_of(image.path),
                **{name: facts[name] for name in _database_image.FACTS},
                "last_commit": utc(committed),
                "state": facts["state"],
                "made": image.how,
            },
            "wallets": heights,
            "compression": compression,
            "database_encrypted": image.encrypted,
            "tools": {"collection": _backup_work.COLLECTION, "gpg": _gpg.version(), "sqlite": _database_image.version()},
        }

    def _published(self, image: Image, manifest: dict[str, Any]) -> dict[str, Any]:
        order, ending = self._order, _database_archive.ENDINGS[manifest["compression"]]
        draft = _backup_work.draft_of(order.folder, ROLE, ending)
        room = _backup_work.Room(order.folder, order.floor)
        with room.taken(self._needed(manifest)), ExitStack() as unpublished:
            unpublished.callback(_backup_work.discard, draft)
            label = _database_archive.label_of(order.site, manifest["created"])
            _database_archive.pack(image.path, draft, label, manifest["compression"], order.key, order.seconds)
            verified = _verified(draft, manifest, order)
            digest = _backup_shelf.sha256_of(draft)
            if not order.allowed():
                raise NotBackedUp("another run has this host now, or a hold was placed: nothing was published, run it again.")
            target = _backup_work.free_name(order.folder, DATABASE, ROLE, epoch_of(manifest["created"]), ending)
            _backup_shelf.put(draft, target, digest, manifest)
            unpublished.pop_all()
        made = next(one for one in _backup_shelf.archives(order.folder, DATABASE) if one.path == target)
        return {**self._said("made", made, manifest, digest), "verified": verified}

    def _needed(self, manifest: dict[str, Any]) -> int:
        """As the newest archive was packed, and half as much again; without one, as if nothing could be packed."""
        size = int(manifest["image"]["bytes"])
        for one in _backup_shelf.archives(self._order.folder, DATABASE):
            before = (_backup_shelf.manifest_beside(one.path) or {}).get("image")
            if one.ours and isinstance(before, dict) and isinstance(before.get("bytes"), int) and before["bytes"] > 0:
                return min(size, int(1.5 * one.bytes / before["bytes"] * size)) + 1024 * 1024
        return size * 102 // 100 + 1024 * 1024

    def _said(self, state: str, archive: Archive, manifest: dict[str, Any], digest: str | None) -> dict[str, Any]:
        return _result(
            state=state, path=archive.path, bytes=archive.bytes, sha256=digest, created=utc(archive.created),
            age_seconds=max(0, int(time.time() - archive.created)), manifest=manifest, notes=self._notes,
        )  # fmt: skip


def _why(facts: dict[str, Any]) -> str:
    return clean_line("; ".join(facts["sentences"][:3]), 300)


def _scratch(stack: ExitStack, order: Order, size: int) -> str:
    """A folder for the image, gone afterwards with the one around it that this made."""
    stack.callback(_sqlite_copy.forget, order.scratch)
    folder = stack.enter_context(_sqlite_copy.scratch(order.scratch))
    free = _backup_work.free_bytes(folder)
    if free < size + _sqlite_copy.FLOOR:
        raise NotBackedUp(
            f"The image of {order.path} needs {human_bytes(size + _sqlite_copy.FLOOR)} in {order.scratch}, where {human_bytes(free)} are free: "
            "free some there, or set backup_scratch_dir."
        )
    return folder


def _verified(draft: str, manifest: dict[str, Any], order: Order) -> str:
    """decrypted, when what was put in came out; checksum, where the secret part of the key is not on this host, as it may be."""
    try:
        found = _database_archive.read(draft, order.key, None, manifest["image"]["bytes"], order.seconds)
    except BadArchive as problem:
        if problem.kind == "no_secret_key":
            return "checksum"
        raise
    if (found.bytes, found.sha256) != (manifest["image"]["bytes"], manifest["image"]["sha256"]):
        raise BadArchive(
            "damaged", f"{draft} does not hold what was put into it: it is not published; look at this host's memory and disk."
        )
    return "decrypted"
