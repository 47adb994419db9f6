# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Restore one Monero wallet: the smallest thing that helps, and only where it is proven whose keys are put where.

A cache holds the nonces of a multisig signing round that is under way. An older one would bring used nonces back, and signing twice with
one can give the key away: it comes from a backup only where the caller has proven that nothing was signed since.
"""

from __future__ import annotations

import glob
import os
import shutil
import time
from dataclasses import dataclass, field
from typing import Any, Callable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _wallet_archive,
    _wallet_files,
    _wallet_proof,
    _wallet_swap,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    epoch_of,
    private_directory,
    utc,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_archive import CACHE, KEYS, Listing
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_files import Files
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_proof import Copy, Place, Seen
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_restore_plan import LOST
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import Change, New, NotRestored, Original


@dataclass(frozen=True)
class Other:
    """The wallet of another signer. None as its password is that of the wallet that is restored."""

    role: str
    directory: str
    wallet: str
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Wanted:
    """What is to be restored from what, and what is known of whose it is."""

    state: str
    role: str
    directory: str
    wallet: str
    place: Place
    password: str = field(default="", repr=False)
    archive: str = ""
    key: Key = field(default_factory=Key)
    site: str = ""
    pin: str = ""
    address: str = ""
    others: tuple[Other, ...] = ()
    unknown_signer: bool = False
    nothing_signed_since: bool = False
    state_dir: str = "/var/lib/marketplace_incident"


def restore(wanted: Wanted, dry: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """What was done, or with dry would be; NotRestored where it must not be."""
    directory, wallet = wanted.directory, wanted.wallet
    files = _wallet_files.read(directory, wallet)
    if not os.path.isdir(directory):
        raise NotRestored(
            "missing", f"{directory} is not there: make it again as the wallet's container mounts it, then run this again."
        )
    if not dry:
        _nobody_has_it_open(files)
    earlier = _wallet_swap.begun(wanted.state_dir, directory, wallet)
    if earlier is None:
        return _asked(wanted, files, dry, tell)
    ended = _ended(wanted, earlier, dry, tell, resumed=True)
    if dry or wanted.state == "resumed":
        return ended
    # What was begun may be long ago, and not what is wrong now.
    try:
        asked = _asked(wanted, _wallet_files.read(directory, wallet), dry, tell)
    except NotRestored as refused:
        raise NotRestored(refused.kind, f"{refused} What an earlier restore had begun was ended before.") from None
    if not asked["changed"]:
        return ended
    both = {name: ended[name] + [one for one in asked[name] if one not in ended[name]] for name in ("did", "kept", "lost")}
    return {**asked, **both, "resumed": True}


def _asked(wanted: Wanted, files: Files, dry: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    if wanted.state == "resumed":
        return {
            "cache": "left", "signer": None, "archive": None, "lost": [], "did": [], "changed": False, "kept": [], "resumed": False,
        }  # fmt: skip
    plan = _Rescan(wanted, files) if wanted.state == "cache_parked" else _KeysFromBackup(wanted, files)
    return plan.carried_out(dry, tell)


def _ended(wanted: Wanted, change: Change, dry: bool, tell: Callable[[str], None], resumed: bool = False) -> dict[str, Any]:
    kept = _wallet_swap.kept_by(change)
    if not dry:
        kept = _wallet_swap.carry_out(change, wanted.state_dir, wanted.directory, wanted.wallet, tell)
    result = dict(change.note["result"])
    if resumed:
        result["did"] = [f"ended what an earlier restore had begun: {one}" for one in result["did"]]
    return {**result, "changed": True, "kept": kept, "resumed": resumed}


def _nobody_has_it_open(files: Files) -> None:
    inodes = {one.inode: one.path for one in (files.keys, files.cache) if one is not None}
    for pid, path in holders(inodes):
        raise NotRestored(
            "in_use",
            f"Process {pid} has {path} open: have it close the wallet, or stop its container, then run the same command again.",
        )


def holders(inodes: dict[tuple[int, int], str]) -> list[tuple[int, str]]:
    """Who has one of these files open, in whatever container. Monero's own lock is lost when a file is opened twice; an open file is not."""
    found = []
    for entry in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            state = os.stat(entry)
        except OSError:
            continue
        path = inodes.get((state.st_dev, state.st_ino))
        if path is not None:
            found.append((int(entry.split("/")[2]), path))
    return sorted(set(found))


class _Rescan:
    """The same keys; the damaged cache is moved aside, and the wallet reads the chain again."""

    def __init__(self, wanted: Wanted, files: Files) -> None:
        self._wanted, self._files = wanted, files

    def carried_out(self, dry: bool, tell: Callable[[str], None]) -> dict[str, Any]:
        wanted, files = self._wanted, self._files
        result: dict[str, Any] = {"cache": "absent", "signer": None, "archive": None, "lost": [], "did": []}
        if files.keys is None:
            raise NotRestored(
                "keys", f"{wanted.directory}/{wanted.wallet}.keys is not there: its keys have to come from a backup."
            )
        if files.cache is None:
            return {**result, "changed": False, "kept": [], "resumed": False}
        seen = _proven({"own": Copy(files.keys.path, files.cache.path)}, wanted)["own"]
        if seen.keys != "open":
            found = _wallet_files.judged(files, wanted.pin, seen, {})
            raise NotRestored("keys", f"The keys do not open, so a rescan does not help: {'; '.join(found['evidence'])}.")
        if seen.cache_loads is None:
            raise NotRestored("unknown", f"Whether {files.cache.path} loads was not seen, so it stays where it is.")
        if seen.cache_loads:
            return {**result, "cache": "left", "changed": False, "kept": [], "resumed": False}
        result.update(
            cache="parked",
            lost=list(LOST),
            did=[f"moved the damaged cache of {wanted.wallet} aside; the wallet reads the chain again"],
        )
        if dry:
            kept = [{"source": files.cache.path, "path": None, "sha256": files.cache.sha256}]
            return {**result, "changed": True, "kept": kept, "resumed": False}
        moment = time.time()
        folder = _wallet_swap.fresh_folder(wanted.directory, wanted.wallet, _stamp(moment))
        parked = Original(files.cache.path, files.cache.sha256, wanted.wallet, goes=True)
        change = Change((parked,), (), folder, {"at": utc(moment), "state": wanted.state, "result": result})
        # The proof took its time.
        _nobody_has_it_open(_wallet_files.read(wanted.directory, wanted.wallet))
        _wallet_swap.settle(change, wanted.state_dir, wanted.directory, wanted.wallet)
        return _ended(wanted, change, False, tell)


class _KeysFromBackup:
    """Keys of an archive in place of keys that are gone or damaged, when it is sure whose they are."""

    def __init__(self, wanted: Wanted, files: Files) -> None:
        self._wanted, self._files = wanted, files

    def carried_out(self, dry: bool, tell: Callable[[str], None]) -> dict[str, Any]:
        wanted = self._wanted
        scratch = _scratch(wanted.place.scratch_dir)
        try:
            listing = self._unpacked(scratch)
            return self._from(listing, scratch, dry, tell)
        finally:
            if os.path.isdir(scratch):
                shutil.rmtree(scratch)

    def _unpacked(self, scratch: str) -> Listing:
        wanted = self._wanted
        try:
            listing = _wallet_archive.extract(wanted.archive, scratch, wanted.key, wanted.role)
        except _wallet_archive.BadArchive as bad:
            raise NotRestored(bad.kind, str(bad)) from None
        said = listing.manifest or {}
        site = clean_line(str(said.get("site") or ""), 100)
        if listing.manifest is not None and wanted.site and site != wanted.site:
            raise NotRestored(
                "other_site", f"{wanted.archive} was made on {site}, not on {wanted.site}: choose one of this site."
            )
        for problem in _wallet_archive.manifest_problems(listing):
            raise NotRestored("damaged", f"{wanted.archive} is not what it says: {problem}. Choose another archive.")
        if wanted.wallet not in listing.wallets:
            there = clean_line(", ".join(listing.wallets), 300) or "no keys at all"
            raise NotRestored("not_in_archive", f"{wanted.archive} does not hold the wallet {wanted.wallet}; it holds {there}.")
        return listing

    def _from(self, listing: Listing, scratch: str, dry: bool, tell: Callable[[str], None]) -> dict[str, Any]:
        wanted, files = self._wanted, self._files
        members = listing.wallet(wanted.wallet)
        self._nobody_elses(members[KEYS].sha256)
        ours = os.path.join(scratch, members[KEYS].file)
        copies = {"archive": Copy(ours, files.cache.path if files.cache else None)}
        if files.copy is not None and files.keys is not None and files.keys.sha256 != members[KEYS].sha256:
            copies["live"] = Copy(files.copy.keys)
        for other in wanted.others:
            theirs = _wallet_files.read(other.directory, other.wallet).copy
            if theirs is not None:
                copies[f"of {other.role}"] = Copy(theirs.keys, password=other.password)
        seen = _proven(copies, wanted)
        archived, live = seen["archive"], seen.get("live")
        others = {other.role: seen.get(f"of {other.role}") for other in wanted.others}
        signer = self._signer(archived, live, others, members[KEYS].sha256)
        result = self._result(listing, members, archived, signer)
        if files.keys is not None and files.keys.sha256 == members[KEYS].sha256 and result["cache"] in ("left", "absent"):
            return {**result, "changed": False, "did": [], "kept": [], "lost": [], "resumed": False}
        if dry:
            kept = [
                {"source": one.path, "path": None, "sha256": one.sha256} for one in (files.keys, files.cache) if one is not None
            ]
            return {**result, "changed": True, "kept": kept, "resumed": False}
        change = self._change(members, scratch, result)
        _nobody_has_it_open(_wallet_files.read(wanted.directory, wanted.wallet))
        _wallet_swap.settle(change, wanted.state_dir, wanted.directory, wanted.wallet)
        return _ended(wanted, change, False, tell)

    def _nobody_elses(self, digest: str) -> None:
        """Whatever its name and password: keys that lie in another signer's folder are that signer's."""
        wanted = self._wanted
        own = os.path.realpath(os.path.join(wanted.directory, wanted.wallet) + _wallet_files.KEYS)
        for other in wanted.others:
            for path in sorted(glob.glob(os.path.join(glob.escape(other.directory), "*" + _wallet_files.KEYS))):
                if os.path.islink(path) or not os.path.isfile(path) or os.path.realpath(path) == own:
                    continue
                theirs = _wallet_files.read_file(path)
                if theirs is not None and theirs.sha256 == digest:
                    raise NotRestored(
                        "other_signer",
                        f"{wanted.archive}: the keys of {wanted.wallet} in it are the {other.role}'s ({path}, byte for byte), and not the "
                        f"{wanted.role}'s; for all signers of an escrow the address is the same, so it proves nothing. Nothing was done.",
                    )

    def _signer(self, archived: Seen, live: Seen | None, others: dict[str, Seen | None], digest: str) -> dict[str, Any]:
        """Whose keys the archive holds, and how that is known. The address is necessary and proves nothing."""
        wanted, where = self._wanted, f"{self._wanted.archive}: the keys of {self._wanted.wallet} in it"
        if archived.keys != "open":
            why = "cannot be read by Monero" if archived.keys == "damaged" else "do not open with the password given"
            raise NotRestored("keys", f"{where} {why}: choose another archive, or set the wallet's password.")
        known = {role: other for role, other in others.items() if other is not None and other.signer is not None}
        for role, other in known.items():
            if other.signer == archived.signer:
                raise NotRestored(
                    "other_signer",
                    f"{where} are the {role}'s, and not the {wanted.role}'s, though the address is the same: nothing was done.",
                )
        if wanted.address and archived.address != wanted.address:
            raise NotRestored(
                "other_signer",
                f"{where} have the address {archived.address}, and {wanted.address} is expected: nothing was done.",
            )
        if live is not None and live.keys == "open":
            same = live.signer is not None and live.signer == archived.signer
            raise NotRestored(
                "newer",
                f"{wanted.directory}/{wanted.wallet}.keys opens and is "
                + ("the same signer's as the archive's, and may be newer" if same else "another signer's than the archive's")
                + ": keys that are well are not overwritten.",
            )
        differs = sorted(known)
        if wanted.pin:
            if digest != wanted.pin.lower():
                raise NotRestored(
                    "other_signer",
                    f"{where} are not those that are pinned for the {wanted.role} ({wanted.pin[:12]}…, found {digest[:12]}…): choose another archive, "
                    "or correct the pin if the wallet's password was changed on purpose.",
                )
            return {"proven_by": "pin", "differs_from": differs}
        if _by_elimination(archived, known):
            return {"proven_by": "the other signers", "differs_from": differs}
        if wanted.unknown_signer:
            return {"proven_by": "confirmation", "differs_from": differs}
        raise NotRestored(
            "unknown_signer",
            f"{where} cannot be proven to be the {wanted.role}'s: nothing is pinned for it (marketplace_wallets[].signer), and not all other signers "
            "could be compared. Nothing was done.",
        )

    def _result(self, listing: Listing, members: dict[str, Any], archived: Seen, signer: dict[str, Any]) -> dict[str, Any]:
        wanted, files = self._wanted, self._files
        said = listing.manifest or {}
        if files.cache is not None and archived.cache_loads:
            cache, did = "left", "its cache, which loads with them, stayed"
        elif wanted.nothing_signed_since and CACHE in members and listing.manifest is not None:
            cache, did = "from_backup", "its cache came from the same archive, as nothing was signed since"
        elif files.cache is not None:
            cache, did = "parked", "its cache, which does not load with them, was moved aside; the wallet reads the chain again"
        else:
            cache, did = "absent", "it has no cache; the wallet reads the chain again"
        return {
            "cache": cache,
            "signer": signer,
            "archive": {
                "path": wanted.archive,
                "created": clean_line(str(said.get("created")), 40) if said.get("created") else None,
                "age_seconds": _age(said.get("created")),
                "manifest": listing.manifest is not None,
                "sha256": members[KEYS].sha256,
            },
            "lost": []
            if cache == "left"
            else list(LOST)
            if cache != "from_backup"
            else ["what the wallet learned since the backup"],
            "did": [f"put the keys of {wanted.wallet} from the archive in their place; {did}"],
        }

    def _change(self, members: dict[str, Any], scratch: str, result: dict[str, Any]) -> Change:
        wanted, files = self._wanted, self._files
        moment = time.time()
        folder = _wallet_swap.fresh_folder(wanted.directory, wanted.wallet, _stamp(moment))
        like = files.keys or files.cache
        model = like.path if like is not None else wanted.directory
        base = os.path.join(wanted.directory, wanted.wallet)
        originals, new = [], []
        if files.keys is not None:
            originals.append(Original(files.keys.path, files.keys.sha256, wanted.wallet + _wallet_files.KEYS, goes=False))
        if files.cache is not None and result["cache"] in ("parked", "from_backup"):
            originals.append(Original(files.cache.path, files.cache.sha256, wanted.wallet, goes=True))
        keys = members[KEYS]
        staged = _wallet_swap.stage(os.path.join(scratch, keys.file), folder, keys.file, model)
        new.append(New(staged, base + _wallet_files.KEYS, keys.sha256, files.keys.sha256 if files.keys else None))
        if result["cache"] == "from_backup":
            member = members[CACHE]
            staged = _wallet_swap.stage(os.path.join(scratch, member.file), folder, member.file, model)
            new.append(New(staged, base, member.sha256, None))
        return Change(tuple(originals), tuple(new), folder, {"at": utc(moment), "state": wanted.state, "result": result})


def _scratch(folder: str) -> str:
    """A folder for what is in the archive. What a killed call has left there is removed."""
    private_directory(folder)
    for name in os.listdir(folder):
        pid = name.rpartition("archive-")[2]
        if name.startswith("archive-") and not os.path.isdir(f"/proc/{pid}"):
            shutil.rmtree(os.path.join(folder, name))
    return os.path.join(folder, f"archive-{os.getpid()}")


def _by_elimination(archived: Seen, known: dict[str, Seen]) -> bool:
    """All other signers of the same escrow are known, differ from one another, and from this one: then it is the one that is left."""
    total = (archived.multisig or {}).get("total")
    if archived.signer is None or not isinstance(total, int) or len(known) != total - 1:
        return False
    same = all(other.address == archived.address and other.multisig == archived.multisig for other in known.values())
    return same and len({other.signer for other in known.values()}) == len(known)


def _proven(copies: dict[str, Copy], wanted: Wanted) -> dict[str, Seen]:
    try:
        return _wallet_proof.look(copies, wanted.password, wanted.place)
    except _wallet_proof.NoProof as problem:
        raise NotRestored("no_proof", f"Nothing was done, as it could not be proven whose keys these are. {problem}") from None


def _age(created: Any) -> int | None:
    try:
        return max(0, int(time.time() - epoch_of(str(created))))
    except ValueError:
        return None


def _stamp(moment: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
