# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests of a restore: three signers of an escrow, an archive, and what is asked for."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from unit.plugins import throwaway_wallets as wallets
from unit.plugins.archives import PASSPHRASE, archive, member

from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import write_json
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_proof import Copy, Place, Seen
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_restore import Other, Wanted, restore
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored

BUYER, VENDOR, ARBITER = "b" * 64, "5" * 64, "a" * 64


def opened(copies: dict[str, Copy], password: str, _place: Place) -> dict[str, Seen]:
    """What the throw-away says, without one: for tests of what is done about it."""
    found = {}
    for label, copy in copies.items():
        try:
            keys = json.loads(Path(copy.keys).read_bytes()[10:])
        except ValueError:
            found[label] = Seen("damaged")
            continue
        if keys["password"] != (password if copy.password is None else copy.password):
            found[label] = Seen("refused")
            continue
        loads = None
        if copy.cache is not None:
            loads = b"height" in Path(copy.cache).read_bytes()
        multisig = {"ready": True, "threshold": 2, "total": 3}
        found[label] = Seen("open", loads, keys["address"], hashlib.sha256(keys["secret"].encode()).hexdigest(), multisig)
    return found


def site(folder: Path) -> None:
    """Three signers of one escrow, and another wallet that is nobody's business."""
    for role, secret in (("buyer", BUYER), ("vendor", VENDOR), ("arbiter", ARBITER)):
        wallets.make(folder / "wallets" / role, "escrow_1", secret)
    wallets.make(folder / "wallets/buyer", "escrow_2", "2" * 64)


def backup(folder: Path, secret: str = BUYER, prefix: str = "buyer/", **said: object) -> Path:
    """An archive with an old cache in it; with a manifest where something of it is said."""
    keys, cache = wallets.keys(secret), wallets.cache(50)
    members = [member(f"{prefix}escrow_1.keys", keys), member(f"{prefix}escrow_1", cache)]
    if said:
        one = {
            "name": "escrow_1",
            "keys_sha256": hashlib.sha256(keys).hexdigest(),
            "cache_sha256": hashlib.sha256(cache).hexdigest(),
        }
        manifest = {
            "format": 1, "kind": "wallet", "site": "market-1", "role": "buyer", "created": "2026-11-24T03:15:00Z", "wallets": [one], **said,
        }  # fmt: skip
        members.insert(0, member("manifest.json", json.dumps(manifest).encode()))
    folder.mkdir(exist_ok=True)
    return archive(folder, members)


def wanted(folder: Path, state: str = "keys_from_backup", **changes: object) -> Wanted:
    base = Wanted(
        state=state,
        role="buyer",
        directory=str(folder / "wallets/buyer"),
        wallet="escrow_1",
        place=Place("image", str(folder / "scratch"), 30.0),
        archive=str(folder / "backups/wallet.tar.gz.gpg"),
        key=Key(PASSPHRASE),
        site="market-1",
        others=(
            Other("vendor", str(folder / "wallets/vendor"), "escrow_1"),
            Other("arbiter", str(folder / "wallets/arbiter"), "escrow_1"),
        ),
        state_dir=str(folder / "state"),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def do(one: Wanted, dry: bool = False) -> dict:
    return restore(one, dry, lambda _line: None)


def refused(folder: Path, one: Wanted, kind: str) -> str:
    """It is refused alike with and without check mode, in a sentence, and no byte of any wallet changes."""
    before = everything(folder / "wallets")
    said = ""
    for dry in (True, False):
        with pytest.raises(NotRestored) as problem:
            do(one, dry)
        assert problem.value.kind == kind, problem.value
        said = str(problem.value)
        assert "\n" not in said and PASSPHRASE not in said
    assert everything(folder / "wallets") == before
    assert [name for name in os.listdir(folder / "scratch") if name != "lock"] == [] if (folder / "scratch").exists() else True
    return said


def stopping_at(name: str) -> Callable[[str, object], None]:
    """write_json, killed before it writes the file of that name."""

    def write(path: str, content: object) -> None:
        if os.path.basename(path) == name:
            raise InterruptedError(path)
        write_json(path, content)

    return write


def damage(path: Path) -> None:
    path.write_bytes(b"\0" * 20)
