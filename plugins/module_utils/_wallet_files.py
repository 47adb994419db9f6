# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What the files of one wallet are worth: whether they open, and whose they are."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import Any, Collection, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import open_regular
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_proof import Copy, Seen

KEYS, ADDRESS = ".keys", ".address.txt"
# What interrupted writes and refused caches leave beside a wallet.
LEFTOVERS = (".new", ".keys.new", ".unportable", ".keys.unportable", ".address.txt.new")
# A nonce of 8 bytes, the length of what follows, and that.
NONCE_BYTES = 8
MOST_KEYS_BYTES = 16 * 1024 * 1024


class NotAWallet(Exception):
    """The name or the folder cannot be a wallet's; the text is one sentence."""


@dataclass(frozen=True)
class File:
    """One regular file, read once."""

    path: str
    sha256: str
    bytes: int
    mtime: float
    inode: tuple[int, int]


@dataclass(frozen=True)
class Files:
    """What lies in a folder of a wallet."""

    directory: str
    wallet: str
    keys: File | None
    cache: File | None
    address: File | None
    leftovers: tuple[str, ...]

    @property
    def copy(self) -> Copy | None:
        return None if self.keys is None else Copy(self.keys.path, self.cache.path if self.cache else None)


def check_name(wallet: str) -> None:
    if not wallet or "/" in wallet or wallet in (".", "..") or not wallet.isprintable() or wallet.startswith(("-", ".")):
        raise NotAWallet(f"'{wallet}' is no name of a wallet: give the name of its file, without a folder and without .keys.")


def read(directory: str, wallet: str) -> Files:
    """The named wallet only; nothing else in the folder is opened."""
    check_name(wallet)
    base = os.path.join(directory, wallet)
    return Files(
        directory=directory,
        wallet=wallet,
        keys=read_file(base + KEYS),
        cache=read_file(base),
        address=read_file(base + ADDRESS),
        leftovers=tuple(wallet + ending for ending in LEFTOVERS if os.path.lexists(base + ending)),
    )


def read_file(path: str) -> File | None:
    """None where nothing is there; what is no regular file is refused by its name."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        if os.path.islink(path):
            raise NotAWallet(f"{path} is a link, and nothing of a wallet may be: look where it leads (ls -l {path}).") from None
        raise problem
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise NotAWallet(f"{path} is no regular file, and a wallet's files are: look at it (ls -l {path}).")
        digest = hashlib.sha256()
        for chunk in iter(lambda: file.read(1024 * 1024), b""):
            digest.update(chunk)
    return File(path, digest.hexdigest(), state.st_size, state.st_mtime, (state.st_dev, state.st_ino))


def keys_in_shape(path: str) -> bool:
    """Whether a .keys file is as long as it says itself: what was cut or emptied is not. Its content has no checksum."""
    with os.fdopen(open_regular(path), "rb") as file:
        content = file.read(MOST_KEYS_BYTES + 1)
    length, shift, at = 0, 0, NONCE_BYTES
    while at < len(content) and shift < 64:
        length |= (content[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not content[at - 1] & 0x80:
            return length > 0 and at + length == len(content)
    return False


def pin_of(files: Files, pin: str) -> str:
    """Whether the keys are those that are pinned: equal, differs, or none where nothing can be said."""
    if not pin or files.keys is None:
        return "none"
    return "equal" if files.keys.sha256 == pin.lower() else "differs"


def judged(
    files: Files,
    pin: str,
    seen: Seen | None,
    others: Mapping[str, Seen | None],
    problem: str = "",
    own_password: Collection[str] = (),
) -> dict[str, Any]:
    """The whole answer. seen is None where no throw-away could be asked; problem says why. own_password: the others with another one."""
    same_password = [
        role for role, other in others.items() if other is not None and other.keys == "open" and role not in own_password
    ]
    state, evidence = _state(files, pin_of(files, pin), seen, problem, same_password)
    if seen is not None and seen.keys == "open" and pin_of(files, pin) == "differs":
        evidence.append(
            "its keys are not those that were pinned, byte for byte: another wallet, or its password was changed since"
        )
    same, differs = None, []
    for role, other in others.items():
        if seen is None or seen.signer is None or other is None or other.signer is None:
            continue
        if seen.signer == other.signer:
            same = same or role
        else:
            differs.append(role)
    if same is not None:
        evidence.append(f"its keys are those of the signer {same}: one share is there twice")
    return {
        "state": state,
        "evidence": evidence,
        "address": seen.address if seen else None,
        "multisig": seen.multisig if seen else None,
        "keys_file": {
            "exists": files.keys is not None,
            "sha256": files.keys.sha256 if files.keys else None,
            "pin": pin_of(files, pin),
        },
        "cache_file": {
            "exists": files.cache is not None,
            "sha256": files.cache.sha256 if files.cache else None,
            "loads": seen.cache_loads if seen else None,
        },
        "signer": {"same_as": same, "differs_from": differs},
        "leftovers": list(files.leftovers),
    }


def _state(files: Files, pin: str, seen: Seen | None, problem: str, same_password: list[str]) -> tuple[str, list[str]]:
    if files.keys is None:
        return _without_keys(files)
    shaped = keys_in_shape(files.keys.path)
    if not shaped:
        return "keys_damaged", [
            f"{files.keys.path} ({files.keys.bytes} bytes) is not as long as it says itself: it was cut or overwritten"
        ]
    if seen is None:
        return "unknown", [problem or "no throw-away wallet RPC was asked"]
    if seen.keys != "open":
        return _refused(files.keys, pin, seen, same_password)
    said = ["its keys open in an offline wallet RPC"]
    if files.cache is None:
        return "cache_missing", [*said, "it has no cache, so it would start anew"]
    if seen.cache_loads is None:
        return "unknown", [*said, "whether its cache loads was not seen"]
    if not seen.cache_loads:
        return "cache_damaged", [*said, f"its cache ({files.cache.bytes} bytes) does not load: {_last(seen)}"]
    return "sound", [
        *said,
        f"its cache loads, up to height {seen.height} (a cache has no checksum: altered bytes in it are not noticed)",
    ]


def _without_keys(files: Files) -> tuple[str, list[str]]:
    where = os.path.join(files.directory, files.wallet)
    if files.cache is not None:
        return "keys_missing", [f"{where}.keys is not there, and {where} is: without its keys a cache is worth nothing"]
    return "missing", [f"neither {where}.keys nor {where} is there"]


def _refused(keys: File, pin: str, seen: Seen, same_password: list[str]) -> tuple[str, list[str]]:
    if seen.keys == "damaged":
        return "keys_damaged", [f"{keys.path} cannot be read by Monero: {_last(seen)}"]
    if pin == "equal":
        return "wrong_password", [
            f"{keys.path} is what was pinned, byte for byte, and does not open: the password given is not its own"
        ]
    # To Monero an altered content and a wrong password look the same, and a changed password changes the whole file.
    if same_password:
        return "keys_damaged", [
            f"{keys.path} does not open with the password that opens {' and '.join(same_password)}'s: "
            "it is damaged, unless its password alone was changed"
        ]
    if pin == "differs":
        return "unknown", [
            f"{keys.path} is not what was pinned, and does not open with the password given: it is damaged, or its password was changed"
        ]
    return "unknown", [
        f"{keys.path} does not open with the password given, and nothing is pinned to compare it with: it may be damaged, or the password wrong"
    ]


def _last(seen: Seen) -> str:
    """The most telling of what Monero said: where it threw, else what it answered."""
    telling = [line for line in seen.words if "wallet2.cpp" in line or "portable" in line or "died of" in line]
    said = (telling or list(seen.words) or ["no reason given"])[-1]
    return said.rpartition("\t")[2].partition(" W ")[2] or said
