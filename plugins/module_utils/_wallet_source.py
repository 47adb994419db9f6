# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The files of the wallets in one role's folder, and what the wallet RPC that works on them says of itself.

The folder belongs to the wallet's container: what lies in it is data, links are not followed, and it may change at any time.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _monero_files, _monero_wallet
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_rpc import (
    LoginRefused,
    NoAnswer,
    Rpc,
    RpcError,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_archive import ADDRESS, CACHE, KEYS, SUFFIXES

CHUNK = 1024 * 1024


class Moving(Exception):
    """A file changed while it was read. The text names it."""


class NotThere(Exception):
    """One sentence on why a role's files cannot be read."""


@dataclass(frozen=True)
class Print:
    """A file as it was at one moment; state says whether it is still the same one."""

    path: str
    kind: str
    state: tuple[int, int, int]
    sha256: str

    @property
    def size(self) -> int:
        return self.state[1]

    @property
    def mtime(self) -> int:
        return self.state[2] // 1_000_000_000


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def reading(path: str, state: tuple[int, int, int] | None = None) -> Iterator[BinaryIO]:
    """A regular file, never through a link; the one that was seen before where its state is given."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Moving(path) from None
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise NotThere(f"{path} is no regular file, and nothing else is read from a folder that its container owns.")
        if state is not None and _state(found) != state:
            raise Moving(path)
        yield file


def fingerprint(path: str, kind: str) -> Print:
    digest = hashlib.sha256()
    with reading(path) as file:
        state = _state(os.fstat(file.fileno()))
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    still(Print(path, kind, state, ""))
    return Print(path, kind, state, digest.hexdigest())


def still(one: Print) -> None:
    """Whether a file is still what it was; nothing is read for it."""
    try:
        found = os.lstat(one.path)
    except FileNotFoundError:
        raise Moving(one.path) from None
    if _state(found) != one.state:
        raise Moving(one.path)


def names(directory: str) -> list[str]:
    """The wallets of a folder: whatever has keys."""
    try:
        found = sorted(name[: -len(SUFFIXES[KEYS])] for name in os.listdir(directory) if name.endswith(SUFFIXES[KEYS]))
    except OSError as problem:
        raise NotThere(
            f"The wallets' folder {directory} cannot be read: {problem.strerror}. Set `directory` in marketplace_wallets."
        ) from None
    if not found:
        raise NotThere(f"No wallet lies in {directory} (nothing there ends in .keys): set `directory` in marketplace_wallets.")
    return found


def keys(directory: str, wallets: list[str]) -> dict[str, str]:
    """The hash of each wallet's keys."""
    return {name: fingerprint(os.path.join(directory, f"{name}{SUFFIXES[KEYS]}"), KEYS).sha256 for name in wallets}


def prints(directory: str, name: str) -> dict[str, Print]:
    """What belongs to one wallet, by its kind; the keys are always among it."""
    paths = {KEYS: f"{name}{SUFFIXES[KEYS]}", CACHE: name, ADDRESS: f"{name}{SUFFIXES[ADDRESS]}"}
    return {
        kind: fingerprint(os.path.join(directory, file), kind)
        for kind, file in paths.items()
        if kind == KEYS or os.path.lexists(os.path.join(directory, file))
    }


def locked(directory: str, wallets: list[str]) -> list[str]:
    """The wallets that some process has open: it holds a lock on their keys, which is free as soon as it ends."""
    known = _monero_files.read_locks()
    return [name for name in wallets if _monero_files.holder(os.path.join(directory, f"{name}{SUFFIXES[KEYS]}"), known)]


def _number(found: Any) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


def facts(wallet: _monero_wallet.Wallet, timeout: float, brief: bool = False) -> dict[str, Any]:
    """What the wallet RPC says of itself and of the wallet it has open; None for what it does not say. It is only read.

    Briefly its version and height alone: what it knows of addresses and transfers may be long.
    """
    found: dict[str, Any] = {"rpc_version": None, "height": None, "primary_address": None, "highest_subaddress_index": None,
                             "multisig": None, "restore_height": None}  # fmt: skip
    try:
        with Rpc(wallet.url, wallet.login, wallet.context) as rpc:
            version = _number(rpc.call("get_version", {}, timeout).get("version"))
            found["rpc_version"] = None if version is None else f"{version >> 16}.{version & 0xFFFF}"
            found["height"] = _number(rpc.call("get_height", {}, timeout).get("height"))
            if brief:
                return found
            found.update(_addresses(rpc.call("get_address", {"account_index": 0}, timeout)))
            found["multisig"] = _multisig(rpc.call("is_multisig", {}, timeout))
            found["restore_height"] = _first_height(rpc.call("get_transfers", {"in": True, "out": True}, timeout))
    except (RpcError, LoginRefused, NoAnswer):
        pass  # what was said until then counts
    return found


def _addresses(answer: dict[str, Any]) -> dict[str, Any]:
    listed = answer.get("addresses")
    indices = [_number(one.get("address_index")) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    known = [index for index in indices if index is not None]
    address = answer.get("address")
    return {
        "primary_address": clean_line(address, 120) if isinstance(address, str) and address.isalnum() else None,
        "highest_subaddress_index": max(known, default=None),
    }


def _multisig(answer: dict[str, Any]) -> dict[str, int] | None:
    threshold, total = _number(answer.get("threshold")), _number(answer.get("total"))
    if answer.get("multisig") is not True or threshold is None or total is None:
        return None
    return {"threshold": threshold, "total": total}


def _first_height(answer: dict[str, Any]) -> int | None:
    """The block of the first transfer that the wallet knows: a rescan from there finds all that it has."""
    transfers = [one for listed in answer.values() if isinstance(listed, list) for one in listed if isinstance(one, dict)]
    heights = [height for one in transfers if (height := _number(one.get("height")))]
    return min(heights, default=None)
