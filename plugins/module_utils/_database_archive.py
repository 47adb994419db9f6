# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Archives of the database, `db.gz.gpg` and the like, packed and read as a stream: programs do the work, and memory has nothing to do with size.

What is in one is known by its content, not by its name: an image, an SQL dump, or what only a key of SQLCipher opens.
"""

from __future__ import annotations

# run_command belongs to AnsibleModule, of which the logic knows nothing.
# pylint: disable=ansible-bad-function
import hashlib
import os
import shutil
import stat
import subprocess
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Iterator
from urllib.parse import quote, unquote

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_work, _gpg
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import GpgProblem, Key, Plain
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import naming, remove, write_all
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_archive import FLOOR_BYTES, BadArchive

GZIP, ZSTD, NONE = "gzip", "zstd", "none"
ENDINGS = {GZIP: ".db.gz.gpg", ZSTD: ".db.zst.gpg"}
# Level 3 packs a database nearly as small as 6 does, in half the time: it shares the host with the shop.
_PACK = {GZIP: ["gzip", "-c", "-n", "-3"], ZSTD: ["zstd", "-q", "-c", "-3"]}
_UNPACK = {GZIP: ["gzip", "-dc"], ZSTD: ["zstd", "-q", "-dc"]}
_MAGIC = {b"\x1f\x8b": GZIP, b"\x28\xb5\x2f\xfd": ZSTD}
IMAGE, DUMP, SEALED = "image", "dump", "sealed"
_IMAGE_MAGIC = b"SQLite format 3\0"
CHUNK = 256 * 1024
# How often the disk is looked at while something is unpacked to it.
LOOK_BYTES = 16 * 1024 * 1024
MOST_BYTES = 64 * 1024 * 1024 * 1024
# A database with many empty pages packs well; a bomb better.
MOST_RATIO, LEAST_LIMIT = 100, 1024 * 1024 * 1024
_LABEL = "marketplace-db"


@dataclass(frozen=True)
class Content:
    """What came out of an archive, to its last byte and proven by gpg. site and created are empty where it was made elsewhere."""

    bytes: int
    sha256: str
    compression: str
    form: str
    site: str = ""
    created: str = ""
    # Whether an SQL dump says that it is at its end.
    whole: bool = True


def label_of(site: str, created: str) -> str:
    return f"{_LABEL} {quote(site, safe='')} {created}"


def limit_of(path: str, most: int = MOST_BYTES) -> int:
    """How much may come out of an archive of which nothing is known."""
    return min(most, max(LEAST_LIMIT, MOST_RATIO * os.stat(path).st_size))


def there(compression: str) -> bool:
    return shutil.which(_PACK[compression][0]) is not None


def pack(image: str, draft: str, label: str, compression: str, key: Key, seconds: float) -> None:
    """image | gzip | gpg > draft, durable."""
    remove(draft)
    handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as target, open(image, "rb") as source:
        with _gpg.encrypting(target, key, seconds, label) as (inlet, stream):
            with subprocess.Popen(_PACK[compression], stdin=source, stdout=inlet, stderr=subprocess.DEVNULL) as packer:
                # Else gpg waits for an end that only we could give it.
                inlet.close()
                packed = packer.wait()
            try:
                _gpg.sealed(stream, key)
            except GpgProblem as problem:
                if _backup_work.free_bytes(os.path.dirname(draft)) < 1024 * 1024:
                    raise GpgProblem("no_space", f"found no space left in {os.path.dirname(draft)}") from problem
                raise
        if packed != 0:
            raise GpgProblem("damaged", f"was not packed: {_PACK[compression][0]} ended with {packed}")
        os.fsync(handle)


def read(path: str, key: Key, into: str | None = None, most: int | None = None, seconds: float = 1800.0) -> Content:
    """All of it, to its last byte; written into a new file with mode 0600 where one is named, which is gone again where that fails."""
    with ExitStack() as undo:
        handle = None
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise BadArchive("missing", f"{path} is no file: name an archive.")
            if into is not None:
                handle = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                undo.callback(remove, into)
            found = _read(path, key, into, handle, most or limit_of(path), seconds)
        except FileNotFoundError as gone:
            if gone.filename != path:
                raise
            raise BadArchive("missing", f"{path} is not there: name an archive that is.") from None
        except GpgProblem as problem:
            advice = (
                "look at the passphrase" if problem.kind in ("wrong_passphrase", "no_passphrase") else "choose another archive"
            )
            raise BadArchive(problem.kind, f"{path} {problem}: {advice}.") from None
        finally:
            if handle is not None:
                os.close(handle)
        undo.pop_all()
    return found


def _read(path: str, key: Key, into: str | None, handle: int | None, most: int, seconds: float) -> Content:
    with _gpg.decrypting(path, key, seconds) as plain:
        first = plain.read(CHUNK)
        packing = next((name for magic, name in _MAGIC.items() if first.startswith(magic)), NONE)
        taker = _Taker(path, into, handle, most)
        with _unpacking(path, packing, first, plain) as chunks:
            for chunk in chunks:
                taker.take(chunk)
        plain.opened(MOST_BYTES)
        label = plain.label().split(" ")
    if taker.size == 0:
        raise BadArchive("damaged", f"{path} holds nothing: choose another archive.")
    if handle is not None:
        os.fsync(handle)
    ours = len(label) == 3 and label[0] == _LABEL
    site, created = (unquote(label[1]), label[2]) if ours else ("", "")
    return Content(taker.size, taker.digest.hexdigest(), packing, taker.form(), site, created, taker.whole())


class _Taker:
    """Where the bytes go: counted, hashed, looked at, written."""

    def __init__(self, path: str, into: str | None, handle: int | None, most: int) -> None:
        self._path, self._into, self._handle, self._most = path, into, handle, most
        self.size, self.digest = 0, hashlib.sha256()
        self._head, self._tail = b"", b""
        self._looked = -LOOK_BYTES

    def take(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self._most:
            raise BadArchive(
                "too_big",
                f"{self._path} unpacks to more than {human_bytes(self._most)}, which it should not: choose another archive.",
            )
        self.digest.update(chunk)
        self._head = self._head if len(self._head) >= 4096 else (self._head + chunk)[:4096]
        self._tail = chunk[-256:] if len(chunk) >= 256 else (self._tail + chunk)[-256:]
        if self._handle is not None and self._into is not None:
            if self.size - self._looked >= LOOK_BYTES:
                self._look(os.path.dirname(self._into))
            with naming(self._into):
                write_all(self._handle, chunk)

    def _look(self, folder: str) -> None:
        self._looked = self.size
        free = _backup_work.free_bytes(folder)
        if free - LOOK_BYTES < FLOOR_BYTES:
            raise BadArchive(
                "no_space",
                f"{self._path} is not unpacked: {folder} has {human_bytes(free)} free, and {human_bytes(FLOOR_BYTES)} must stay. Free some there.",
            )

    def form(self) -> str:
        if self._head.startswith(_IMAGE_MAGIC):
            return IMAGE
        try:
            # A character may be cut at the end of what is looked at.
            text = self._head[:-4].decode() if len(self._head) > 8 else self._head.decode()
        except UnicodeDecodeError:
            return SEALED
        return SEALED if "\0" in text else DUMP

    def whole(self) -> bool:
        return self.form() != DUMP or self._tail.rstrip().endswith(b"COMMIT;")


@contextmanager
def _unpacking(path: str, packing: str, first: bytes, plain: Plain) -> Iterator[Iterator[bytes]]:
    if packing == NONE:
        yield _chunks(first, plain)
        return
    try:
        child = subprocess.Popen(_UNPACK[packing], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        raise BadArchive(
            "damaged", f"{path} is packed by {packing}, which is not on this host: apt-get install {packing}."
        ) from None
    with child:
        inlet, outlet = child.stdin, child.stdout
        if inlet is None or outlet is None:
            raise BadArchive("damaged", f"{path}: no pipe to {packing}.")
        pump = threading.Thread(target=_pump, args=(first, plain, inlet), daemon=True)
        pump.start()
        try:
            yield iter(lambda: os.read(outlet.fileno(), CHUNK), b"")
            pump.join()
            if child.wait() != 0:
                # Where gpg itself could not go on, that is the reason, and not what was left for the others.
                plain.opened(MOST_BYTES)
                raise BadArchive(
                    "damaged", f"{path} is damaged inside what {packing} packed, or ends early: choose another archive."
                )
        finally:
            with suppress(ProcessLookupError):
                child.kill()
            if pump.is_alive():
                plain.stop()
                pump.join()


def _chunks(first: bytes, plain: Plain) -> Iterator[bytes]:
    while first:
        yield first
        first = plain.read(CHUNK)


def _pump(first: bytes, plain: Plain, inlet: IO[bytes]) -> None:
    with suppress(BrokenPipeError):
        for chunk in _chunks(first, plain):
            inlet.write(chunk)
    with suppress(BrokenPipeError):
        inlet.close()
