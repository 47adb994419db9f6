# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Archives of the wallets: stored by their own RPC, read while nothing writes to them, encrypted on the way, proven, then published.

Nothing of a wallet touches the disk of the backups in clear: files go from their folder through tar, gzip and gpg. What was read is
proven to be what was there by its hash before, on the way and after; the archive is opened again before anybody sees it.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Callable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _backup_retention,
    _backup_shelf,
    _backup_work,
    _gpg,
    _monero_wallet,
    _wallet_archive,
    _wallet_pack,
    _wallet_shelf,
    _wallet_source,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_shelf import WALLETS, Archive
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_work import NotBackedUp, Room
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Questions
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    IncidentError,
    epoch_of,
    sentence_for,
    utc,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_archive import CACHE, KEYS
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_source import Moving, NotThere, Print

ATTEMPTS = 5
# Between two attempts: a wallet that stores needs a moment.
PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Job:
    """One role's wallets. rpc is None where no wallet RPC runs on them."""

    role: str
    directory: str
    rpc: _monero_wallet.Wallet | None
    wallet: str = ""
    signer: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """What is the same for all roles."""

    site: str
    folder: str
    key: Key
    key_generation: str = "1"
    minimum_age: float = 900.0
    retention_days: float = 90.0
    keep_good: int = 3
    # Why nothing may be removed now; empty where it may.
    keep_all: str = ""
    timeout: float = 10.0
    store_timeout: float = 60.0
    seconds: float = 1800.0
    floor: int = 256 * 1024 * 1024
    allowed: Callable[[], bool] = field(default=lambda: True)

    @property
    def recipient(self) -> str:
        return self.key.recipient or "passphrase"


def backed_up(order: Order, jobs: list[Job], dry: bool = False) -> list[dict[str, Any]]:
    """All roles side by side; each has a result of its own, and one that fails takes none of the others with it."""
    if not order.key.passphrase and not order.key.recipient:
        raise IncidentError(
            "Wallets are backed up encrypted only: set marketplace_backup_passphrase, or marketplace_backup_recipient to a gpg key."
        )
    if not jobs:
        raise IncidentError("No role is named whose wallets are to be backed up: set marketplace_wallets.")
    if not dry:
        _backup_work.prepared(order.folder, WALLETS)
    room = Room(order.folder, order.floor)
    questions = Questions()
    for job in jobs:
        questions.ask(job.role, _role, order, job, room, dry)
    found = []
    with _backup_work.kept(order.allowed):
        for job in jobs:
            try:
                found.append(questions.answer(job.role, 2 * order.seconds + order.store_timeout + 60))
            except KeyError:
                found.append(_result(job, problem=f"The backup of {job.role} did not end within {2 * order.seconds:g} s."))
    return found


def _result(job: Job, **found: Any) -> dict[str, Any]:
    return {
        "role": job.role, "state": "failed", "path": None, "bytes": None, "sha256": None, "created": None, "age_seconds": None,
        "verified": None, "wallets": [], "notes": [], "problem": "", "seconds": 0.0, "retention": None, **found,
    }  # fmt: skip


def _role(order: Order, job: Job, room: Room, dry: bool) -> dict[str, Any]:
    began = time.monotonic()
    try:
        found = _Role(order, job, room).backup(dry)
    except (NotBackedUp, NotThere, _wallet_archive.BadArchive, IncidentError) as problem:
        found = _result(job, problem=f"{job.role}: {problem}")
    except Moving as moving:
        found = _result(
            job, problem=f"{job.role}: {moving} was written to each of the {ATTEMPTS} times it was read; try again later."
        )
    except _gpg.GpgProblem as problem:
        found = _result(job, problem=f"{job.role}: the archive {problem}.")
    except OSError as problem:
        found = _result(job, problem=f"{job.role}: {sentence_for(problem)}")
    found["seconds"] = round(time.monotonic() - began, 2)
    return found


def _entries(manifest: dict[str, Any] | None) -> list[dict[str, Any]]:
    """What a manifest says of each wallet, as far as it can be understood."""
    said = (manifest or {}).get("wallets")
    return [one for one in said if isinstance(one, dict)] if isinstance(said, list) else []


class _Role:
    """The backup of one role's wallets."""

    def __init__(self, order: Order, job: Job, room: Room) -> None:
        self._order, self._job, self._room = order, job, room
        self._notes = list(job.notes)
        self._newest = next((one for one in _backup_shelf.archives(order.folder) if one.role == job.role), None)
        self._before = _backup_shelf.manifest_beside(self._newest.path) if self._newest else None
        self._known = {one.get("name"): one for one in _entries(self._before)}

    def backup(self, dry: bool) -> dict[str, Any]:
        wallets = _wallet_source.names(self._job.directory)
        keys = _wallet_source.keys(self._job.directory, wallets)
        self._check_signer(keys)
        glance = _wallet_source.facts(self._job.rpc, self._order.timeout, brief=True) if self._job.rpc else {}
        found = self._fresh(keys, glance.get("height"))
        if dry:
            coming = [{"name": name, "keys_sha256": digest} for name, digest in keys.items()]
            done = found is not None and _backup_shelf.pointed(self._order.folder, self._job.role) == found["path"]
            return found if found and done else _result(self._job, state="would_be_made", notes=self._notes, wallets=coming)
        return self._tidied(found or self._made(wallets, glance))

    def _tidied(self, found: dict[str, Any]) -> dict[str, Any]:
        """The pointer and the retention, also where a killed run has left only these undone."""
        order, role = self._order, self._job.role
        _backup_shelf.point(order.folder, role, found["path"])
        try:
            found["retention"] = _backup_retention.tidied(
                order.folder, WALLETS, role, lambda one: _wallet_shelf.good(one, order.key), order.retention_days, order.keep_good,
                order.keep_all,
            )  # fmt: skip
        except OSError as problem:
            # The archive is there and proven: that nothing old could go does not undo it.
            found["notes"].append(f"{role}: old archives were not removed: {sentence_for(problem)}")
        return found

    def _check_signer(self, keys: dict[str, str]) -> None:
        wanted = self._job.signer.lower()
        if wanted and self._job.wallet in keys and keys[self._job.wallet] != wanted:
            self._notes.append(
                f"the keys of {self._job.role}'s {self._job.wallet} (sha256 {keys[self._job.wallet][:12]}…) are not the signer's that "
                f"marketplace_wallets pins ({wanted[:12]}…)"
            )

    def _fresh(self, keys: dict[str, str], height: int | None) -> dict[str, Any] | None:
        """An archive so young, of the same keys at the same height, that another one would hold nothing new."""
        newest, manifest = self._newest, self._before or {}
        if newest is None or not 0 <= time.time() - newest.created < self._order.minimum_age:
            return None
        same = (
            all(manifest.get(name) == said for name, said in self._same().items())
            and {name: one.get("keys_sha256") for name, one in self._known.items()} == keys
            and (height is None or height in [one.get("height") for one in self._known.values()])
            and _backup_shelf.intact(newest.path)
        )
        return self._said("fresh", newest, manifest, _backup_shelf.sha256_beside(newest.path)) if same else None

    def _same(self) -> dict[str, Any]:
        """What an archive of the same site, role and key says of itself."""
        return {
            "format": 1, "kind": "wallet", "site": self._order.site, "role": self._job.role,
            "key_generation": self._order.key_generation, "recipient": self._order.recipient,
        }  # fmt: skip

    def _stored(self) -> dict[str, Any]:
        if self._job.rpc is None:
            return {"state": "stopped"}
        found = _monero_wallet.store(self._job.rpc, self._order.timeout, self._order.store_timeout)
        if found["state"] not in _monero_wallet.SAFE:
            self._notes.append(
                f"{self._job.role}: its open wallet could not be stored ({found['detail']}), so the cache is an older one"
            )
        return found

    def _made(self, wallets: list[str], glance: dict[str, Any]) -> dict[str, Any]:
        stored, facts = self._stored(), glance
        if self._job.rpc and glance["height"] is not None:
            facts = _wallet_source.facts(self._job.rpc, self._order.timeout)
        for _attempt in range(ATTEMPTS - 1):
            try:
                return self._attempt(wallets, facts, stored)
            except Moving:
                time.sleep(PAUSE_SECONDS)
        return self._attempt(wallets, facts, stored)

    def _attempt(self, wallets: list[str], facts: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
        order, job = self._order, self._job
        files = {name: _wallet_source.prints(job.directory, name) for name in wallets}
        manifest = self._manifest(files, facts, stored)
        everything = [one for parts in files.values() for one in parts.values()]
        draft = _backup_work.draft_of(order.folder, job.role, WALLETS.endings[0])
        with self._room.taken(_wallet_pack.needed(everything)), ExitStack() as unpublished:
            unpublished.callback(_backup_work.discard, draft)
            _wallet_pack.pack(draft, manifest, job.role, everything, order.key, order.seconds)
            verified = _wallet_pack.proven(draft, manifest, job.role, everything, order.key, order.seconds)
            digest = _backup_shelf.sha256_of(draft)
            if not order.allowed():
                raise NotBackedUp("another run has this host now, or a hold was placed: nothing was published, run it again.")
            target = _backup_work.free_name(order.folder, WALLETS, job.role, epoch_of(manifest["created"]), WALLETS.endings[0])
            _backup_shelf.put(draft, target, digest, manifest)
            unpublished.pop_all()
        made = next(one for one in _backup_shelf.archives(order.folder) if one.path == target)
        return {**self._said("made", made, manifest, digest), "verified": verified}

    def _manifest(self, files: dict[str, dict[str, Print]], facts: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
        tools = {"collection": _backup_work.COLLECTION, "monero_wallet_rpc": facts.get("rpc_version"), "gpg": _gpg.version()}
        # Every wallet program holds a lock on the keys of the wallet that it has open.
        opened = _wallet_source.locked(self._job.directory, list(files))
        return {
            **self._same(),
            "created": utc(time.time()),
            "tools": tools,
            "wallets": [self._entry(name, parts, facts, stored, opened) for name, parts in files.items()],
        }

    def _entry(
        self, name: str, parts: dict[str, Print], facts: dict[str, Any], stored: dict[str, Any], opened: list[str]
    ) -> dict[str, Any]:
        keys, cache = parts[KEYS], parts.get(CACHE)
        if name in opened:
            consistent = "stored" if stored["state"] == "stored" and len(opened) == 1 else "unstored"
        else:
            consistent = "stopped" if self._job.rpc is None else "at_rest"
        # What only its RPC knows was learnt when it was the open one; that counts as long as its keys are the same.
        before = self._known.get(name, {})
        known = facts if opened == [name] else before if before.get("keys_sha256") == keys.sha256 else {}
        told = ("primary_address", "height", "restore_height", "highest_subaddress_index", "multisig")
        return {
            "name": name,
            "keys_sha256": keys.sha256,
            "keys_bytes": keys.size,
            "cache_sha256": cache.sha256 if cache else None,
            "cache_bytes": cache.size if cache else None,
            "consistent": consistent,
            **{fact: known.get(fact) for fact in told},
        }

    def _said(self, state: str, archive: Archive, manifest: dict[str, Any], digest: str | None) -> dict[str, Any]:
        return _result(
            self._job, state=state, path=archive.path, bytes=archive.bytes, sha256=digest, created=utc(archive.created),
            age_seconds=max(0, int(time.time() - archive.created)), wallets=manifest["wallets"], notes=self._notes,
        )  # fmt: skip
