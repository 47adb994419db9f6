# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Pack files of wallets into one encrypted archive, and prove it by opening it again."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from contextlib import suppress
from typing import Any, BinaryIO

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _backup_work,
    _gpg,
    _wallet_archive,
    _wallet_source,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import GpgProblem, Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import remove
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_archive import BadArchive, Limits
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_source import Moving, Print


class _Hashing:
    """A file that is hashed by whoever reads it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self.digest.update(chunk)
        return chunk


def needed(files: list[Print]) -> int:
    """Wallets are encrypted by themselves, so packing saves nothing; each has a header beside its content."""
    return sum(one.size + 2048 for one in files) * 102 // 100 + 1024 * 1024


def member_name(role: str, one: Print) -> str:
    return f"{role}/{os.path.basename(one.path)}"


def pack(draft: str, manifest: dict[str, Any], role: str, files: list[Print], key: Key, seconds: float) -> None:
    """Write the archive, durable; Moving when a file is not what it was when it was looked at."""
    remove(draft)
    handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as target, _gpg.encrypting(target, key, seconds) as (inlet, stream):
        try:
            # Whatever gpg died of, its own verdict says it.
            with suppress(BrokenPipeError):
                _fill(inlet, manifest, role, files)
                inlet.close()
            _gpg.sealed(stream, key)
        except GpgProblem as problem:
            if _backup_work.free_bytes(os.path.dirname(draft)) < 1024 * 1024:
                raise GpgProblem("no_space", f"found no space left in {os.path.dirname(draft)}") from problem
            raise
        os.fsync(handle)
    for one in files:
        _wallet_source.still(one)


def _fill(inlet: Any, manifest: dict[str, Any], role: str, files: list[Print]) -> None:
    # A wallet's files are encrypted, also those without a password: packing them would only cost time.
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=0, fileobj=inlet, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        raw = (json.dumps(manifest, sort_keys=True, indent=1) + "\n").encode()
        archive.addfile(_member(_wallet_archive.MANIFEST, len(raw), 0), io.BytesIO(raw))
        for one in files:
            with _wallet_source.reading(one.path, one.state) as file:
                source = _Hashing(file)
                try:
                    archive.addfile(_member(member_name(role, one), one.size, one.mtime), source)
                except OSError as short:
                    if short.errno is not None:
                        raise
                    raise Moving(one.path) from None  # tarfile's word for a file that ended early
            if source.digest.hexdigest() != one.sha256:
                raise Moving(one.path)


def _member(name: str, size: int, mtime: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, mtime, 0o600
    return info


def proven(draft: str, manifest: dict[str, Any], role: str, files: list[Print], key: Key, seconds: float) -> str:
    """decrypted, when all that was read is in it; checksum, where the secret part of the key is not on this host, as it may be."""
    try:
        found = _wallet_archive.read(draft, key, Limits(seconds=seconds))
    except BadArchive as problem:
        if problem.kind == "no_secret_key":
            return "checksum"
        raise
    there = {f"{one.role}/{one.file}": one.sha256 for one in found.members}
    if there != {member_name(role, one): one.sha256 for one in files} or found.manifest != manifest:
        raise BadArchive(
            "damaged", f"{draft} does not hold what was put into it: it is not published; look at this host's memory and disk."
        )
    return "decrypted"
