# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Whether the archives there are can be restored, how long that takes, and how old what comes back is: measured, not assumed."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_shelf,
    _wallet_shelf,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_shelf import Look
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key


def proven(told: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry for the database and one for each role of the wallets, where their folders are told."""
    found = []
    if told["directory"]:
        found.append(_database(told))
    if told["wallets_directory"]:
        found += [_wallets(told, str(one["role"])) for one in told["wallets"]]
    return found


def _database(told: dict[str, Any]) -> dict[str, Any]:
    look = Look(
        key=Key(told["passphrase"], told["recipient"]),
        verify=_database_shelf.FULL,
        site=told["site"],
        seconds=float(told["archive_timeout"]),
        scratch_dir=_database_shelf.scratch_of(str(told["path"]), str(told["scratch_dir"])),
        database_key=str(told["key"]),
        invariants=tuple(told["invariants"]),
    )
    return _entry("database", "database", _database_shelf.looked(str(told["directory"]), look))


def _wallets(told: dict[str, Any], role: str) -> dict[str, Any]:
    began = time.monotonic()
    found = _wallet_shelf.looked(
        str(told["wallets_directory"]), Key(told["passphrase"]), _wallet_shelf.FULL, roles=[role], site=told["site"],
        seconds=float(told["archive_timeout"]),
    )  # fmt: skip
    return _entry("wallet", role, found, time.monotonic() - began)


def _entry(kind: str, role: str, found: dict[str, Any], took: float | None = None) -> dict[str, Any]:
    """rto_seconds is what decrypting and checking the newest good one took, rpo_seconds how old it is."""
    path = found["newest_good"].get(role)
    one = next((one for one in found["backups"] if one["path"] == path), None)
    rejected = [each["problem"] for each in found["backups"] if each["problem"]]
    if one is None:
        problem = rejected[0] if rejected else f"There is no archive of {role}."
        return {
            "kind": kind,
            "role": role,
            "good": False,
            "path": None,
            "rto_seconds": None,
            "rpo_seconds": None,
            "problem": problem,
        }
    seconds = sum(one["seconds"].values()) if one.get("seconds") else took
    return {
        "kind": kind, "role": role, "good": True, "path": path, "rto_seconds": round(seconds or 0.0, 2),
        "rpo_seconds": max(0, one["age_seconds"]), "problem": rejected[0] if rejected else "",
    }  # fmt: skip
