# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Archives of wallets, `tar.gz.gpg`, read without trusting them: ours with their manifest, and those made elsewhere without one.

Everything streams: what is in memory is the list of members, and that has an end.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _gpg, _tar_stream
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    naming,
    private_directory,
    sync_directory,
    write_all,
)

MANIFEST = "manifest.json"
KEYS, CACHE, ADDRESS, OTHER = "keys", "cache", "address", "other"
SUFFIXES = {KEYS: ".keys", ADDRESS: ".address.txt"}
MANIFEST_LIMIT = 16 * 1024 * 1024
# What must stay free on a disk that something is unpacked to.
FLOOR_BYTES = 64 * 1024 * 1024


class BadArchive(Exception):
    """One sentence that names the archive, and the member if it is one.

    kind: missing, not_gpg, no_gpg, wrong_passphrase, no_passphrase, no_secret_key, damaged, too_slow, unsafe, too_big, no_space, other_role.
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True)
class Limits:
    """How much of an archive is looked at before it is given up."""

    bytes: int = 64 * 1024 * 1024 * 1024
    members: int = 50_000
    seconds: float = 1800.0


@dataclass(frozen=True)
class Member:
    """One file. role is empty in an archive of bare files; wallet is the name of the wallet it belongs to."""

    role: str
    file: str
    kind: str
    wallet: str
    bytes: int
    sha256: str
    mtime: int


@dataclass(frozen=True)
class Listing:
    """What is in an archive, read to its end and proven by gpg."""

    archive: str
    manifest: dict[str, Any] | None
    members: tuple[Member, ...]
    folders: tuple[str, ...] = field(default=())

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles whose files these say they are, by their folders and by the manifest."""
        named = {one.role for one in self.members} | set(self.folders) | {str((self.manifest or {}).get("role") or "")}
        return tuple(sorted(named - {""}))

    def wallet(self, name: str) -> dict[str, Member]:
        """The files of one wallet, by their kind."""
        return {one.kind: one for one in self.members if one.wallet == name and one.kind != OTHER}

    @property
    def wallets(self) -> tuple[str, ...]:
        """Names of the wallets whose keys are in it."""
        return tuple(sorted({one.wallet for one in self.members if one.kind == KEYS}))


def read(path: str, key: Key, limits: Limits | None = None) -> Listing:
    """All of it, to its last byte; nothing is written anywhere."""
    return _walked(path, key, limits or Limits(), lambda _role, _file: None)


def extract(path: str, into: str, key: Key, only: str, limits: Limits | None = None) -> Listing:
    """The files of one role, flat, each with mode 0600, into a private folder that must be empty. All of them, or none. Lists what is there.

    An archive of bare files is taken for that role's: whose they are only the signer can prove.
    """
    private_directory(into)
    if os.listdir(into):
        raise BadArchive("unsafe", f"{into} is not empty, so {path} is not unpacked there: name another folder.")
    with ExitStack() as undo:
        undo.callback(_emptied, into)
        listing = _walked(path, key, limits or Limits(), lambda role, file: _target(into, only, role, file))
        said = (listing.manifest or {}).get("role", only)
        if said != only or (listing.roles and only not in listing.roles):
            whose = clean_line(", ".join(listing.roles) or str(said), 200)
            raise BadArchive("other_role", f"{path} holds the files of {whose}, not of {only}: choose another archive.")
        if not any(one.role in ("", only) for one in listing.members):
            raise BadArchive("other_role", f"{path} holds no file of {only}: choose another archive.")
        sync_directory(into)
        undo.pop_all()
    if listing.manifest is None:
        # Wallets of two roles may have one name. Beside a manifest, another role's files are a problem that manifest_problems() tells.
        listing = replace(listing, members=tuple(one for one in listing.members if one.role in ("", only)))
    return listing


def _target(into: str, only: str, role: str, file: str) -> str | None:
    return os.path.join(into, file) if role in ("", only) and file != MANIFEST else None


def _emptied(folder: str) -> None:
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))


def _walked(path: str, key: Key, limits: Limits, target: Callable[[str, str], str | None]) -> Listing:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadArchive("missing", f"{path} is no file: name an archive.")
        with _gpg.decrypting(path, key, limits.seconds) as plain:
            try:
                listing = _Walk(path, limits, target).listing(_tar_stream.Gunzip(plain.read, limits.bytes))
            except _tar_stream.Broken as broken:
                # Where gpg itself could not go on, that is the reason, and not what was left for the others.
                plain.opened(limits.bytes)
                raise BadArchive("damaged", f"{path} {broken}: choose another archive.") from None
            plain.opened(limits.bytes)
    except FileNotFoundError as gone:
        if gone.filename != path:
            raise
        raise BadArchive("missing", f"{path} is not there: name an archive that is.") from None
    except _gpg.GpgProblem as problem:
        advice = "look at the passphrase" if problem.kind in ("wrong_passphrase", "no_passphrase") else "choose another archive"
        raise BadArchive(problem.kind, f"{path} {problem}: {advice}.") from None
    except _tar_stream.TooBig:
        raise BadArchive(
            "too_big", f"{path} unpacks to more than {human_bytes(limits.bytes)}, which no backup of wallets does."
        ) from None
    return listing


class _Walk:
    """One pass over an archive's members."""

    def __init__(self, path: str, limits: Limits, target: Callable[[str, str], str | None]) -> None:
        self._path, self._limits, self._target = path, limits, target
        self._seen: set[tuple[str, str]] = set()
        self._bare: bool | None = None
        self._manifest: dict[str, Any] | None = None

    def listing(self, source: _tar_stream.Gunzip) -> Listing:
        found: list[tuple[str, str, int, str, int]] = []
        folders: list[str] = []
        for entry, body in _tar_stream.entries(source):
            role, file = self._placed(entry)
            if entry.kind == _tar_stream.FOLDER:
                folders.append(role)
            elif (role, file) == ("", MANIFEST):
                self._manifest = self._read_manifest(entry, body)
            else:
                digest = self._taken(entry, body, self._target(role, file))
                found.append((role, file, entry.size, digest, entry.mtime))
        keys = {(role, file[: -len(SUFFIXES[KEYS])]) for role, file, *_rest in found if file.endswith(SUFFIXES[KEYS])}
        members = tuple(
            Member(role, file, *_kind(role, file, keys), bytes=size, sha256=digest, mtime=mtime)
            for role, file, size, digest, mtime in found
        )
        return Listing(self._path, self._manifest, members, tuple(folders))

    def _placed(self, entry: _tar_stream.Entry) -> tuple[str, str]:
        """Role and file of a member; whatever is not plainly a file in a role's folder is refused, by its name."""
        name = entry.name
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/"):
            raise self._unsafe(name, "has an absolute path")
        if ".." in parts:
            raise self._unsafe(name, "leads out of the archive")
        if entry.kind not in (_tar_stream.FILE, _tar_stream.FOLDER):
            raise self._unsafe(name, f"is a {entry.kind}")
        if entry.mode & 0o7000:
            raise self._unsafe(name, "has a setuid, setgid or sticky bit")
        folder = entry.kind == _tar_stream.FOLDER
        if len(parts) > (1 if folder else 2) or (not parts and not folder) or not all(_plain(part) for part in parts):
            raise self._unsafe(name, "has a name that no file of a wallet has")
        where = (parts[0] if parts else "", "") if folder else (parts[0] if len(parts) == 2 else "", parts[-1])
        if where in self._seen:
            raise self._unsafe(name, "is in it twice")
        if not folder and where != ("", MANIFEST):
            self._bare = not where[0] if self._bare is None else self._bare
            if self._bare != (not where[0]):
                raise self._unsafe(name, "lies bare beside folders, or the other way round")
        self._seen.add(where)
        if len(self._seen) > self._limits.members:
            raise BadArchive(
                "too_big", f"{self._path} has more than {self._limits.members} members, which no backup of wallets has."
            )
        return where

    def _unsafe(self, name: str, why: str) -> BadArchive:
        return BadArchive(
            "unsafe", f"{self._path} is refused: its member '{clean_line(name, 100)}' {why}. Choose another archive."
        )

    def _read_manifest(self, entry: _tar_stream.Entry, body: _tar_stream.Body) -> dict[str, Any]:
        if entry.size > MANIFEST_LIMIT:
            raise self._unsafe(MANIFEST, f"has {human_bytes(entry.size)}")
        try:
            found = json.loads(b"".join(body.chunks()))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self._unsafe(MANIFEST, "is no JSON object")
        return found

    def _taken(self, entry: _tar_stream.Entry, body: _tar_stream.Body, target: str | None) -> str:
        """The hash of a member; written on the way where it is wanted."""
        if entry.size > self._limits.bytes:
            raise _tar_stream.TooBig()
        digest = hashlib.sha256()
        with ExitStack() as stack:
            handle = None
            if target is not None:
                self._room(entry, os.path.dirname(target))
                handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                stack.callback(os.close, handle)
                stack.enter_context(naming(target))
            for chunk in body.chunks():
                digest.update(chunk)
                if handle is not None:
                    write_all(handle, chunk)
            if handle is not None:
                os.fsync(handle)
        return digest.hexdigest()

    def _room(self, entry: _tar_stream.Entry, folder: str) -> None:
        state = os.statvfs(folder)
        free = state.f_bavail * state.f_frsize
        if free - entry.size < FLOOR_BYTES:
            raise BadArchive(
                "no_space",
                f"{self._path} is not unpacked: its member '{clean_line(entry.name, 100)}' needs {human_bytes(entry.size)} in {folder}, where "
                f"{human_bytes(free)} are free and {human_bytes(FLOOR_BYTES)} must stay. Free some there.",
            )


def _plain(part: str) -> bool:
    return part.isprintable() and "\\" not in part and part[0] not in ".-" and len(part.encode()) <= 200


def _kind(role: str, file: str, keys: set[tuple[str, str]]) -> tuple[str, str]:
    """What a file is to which wallet. A cache has no ending of its own: it is what lies beside its keys."""
    for kind, suffix in SUFFIXES.items():
        if file.endswith(suffix) and len(file) > len(suffix):
            return kind, file[: -len(suffix)]
    return (CACHE, file) if (role, file) in keys else (OTHER, "")


def manifest_problems(listing: Listing) -> Iterator[str]:
    """Where an archive's manifest and its files do not agree; a manifest is text from outside like everything else in it."""
    manifest = listing.manifest
    if manifest is None:
        return
    if manifest.get("format") != 1 or manifest.get("kind") != "wallet":
        yield "its manifest is of another format"
        return
    role, wallets = manifest.get("role"), manifest.get("wallets")
    if not isinstance(role, str) or not isinstance(wallets, list) or not all(isinstance(one, dict) for one in wallets):
        yield "its manifest does not say whose wallets it holds"
        return
    if any(one.role != role for one in listing.members):
        yield f"it holds files that are not {clean_line(role, 60)}'s, whose it says to be"
    named = {str(one.get("name")) for one in wallets}
    for missing in sorted(set(listing.wallets) - named):
        yield f"its manifest does not know the wallet {clean_line(missing, 60)}"
    for one in wallets:
        name, files = clean_line(str(one.get("name")), 60), listing.wallet(str(one.get("name")))
        for kind in (KEYS, CACHE):
            said, there = one.get(f"{kind}_sha256"), files.get(kind)
            if (there.sha256 if there else None) != said:
                yield f"its manifest says something else of the {kind} of {name} than what lies in it"
