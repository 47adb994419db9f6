# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What is told of a backup, as options of a module or as settings of the host's own timer, and the backup made of it."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _backup_retention,
    _database_backup,
    _wallet_backup,
    _wallet_heights,
    _wallet_jobs,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key

WALLET, DATABASE = "wallet", "database"
RETENTION_DAYS = {WALLET: 90.0, DATABASE: 30.0}
INVARIANT = {"name": {"type": "str", "required": True}, "query": {"type": "str", "required": True}}
_WALLET = {
    "role": {"type": "str", "required": True},
    "service": {"type": "str", "required": True},
    "url": {"type": "str", "default": ""},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "login_file": {"type": "path"},
    "directory": {"type": "path", "required": True},
    "wallet": {"type": "str", "default": ""},
    "signer": {"type": "str", "default": ""},
}
# As the documentation fragment `backup` says.
SPEC: dict[str, Any] = {
    "wallets": {"type": "list", "elements": "dict", "default": [], "options": _WALLET},
    "wallet_port": {"type": "int", "default": 18082},
    "validate_certs": {"type": "bool", "default": True},
    "path": {"type": "path"},
    "key": {"type": "str", "default": "", "no_log": True},
    "invariants": {"type": "list", "elements": "dict", "default": [], "options": INVARIANT},
    "compression": {"type": "str", "choices": ["gzip", "zstd"], "default": "gzip"},
    "scratch_dir": {"type": "str", "default": ""},
    "image_timeout": {"type": "float", "default": 300.0},
    "recipient": {"type": "str", "default": ""},
    "key_generation": {"type": "str", "default": "1", "no_log": False},
    "retention_days": {"type": "float"},
    "keep_good": {"type": "int", "default": 3},
    "store_timeout": {"type": "float", "default": 60.0},
    "archive_timeout": {"type": "float", "default": 1800.0},
    "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
}


def backed_up(kind: str, told: dict[str, Any], allowed: Callable[[], bool], dry: bool = False) -> list[dict[str, Any]]:
    """One result for each role of the wallets, or one of the database."""
    jobs = _wallet_jobs.jobs(told["wallets"], int(told["wallet_port"]), bool(told["validate_certs"]))
    if kind == WALLET:
        times = {"timeout": float(told.get("timeout", 10.0)), "store_timeout": float(told["store_timeout"])}
        return _wallet_backup.backed_up(_wallet_backup.Order(**{**_shared(kind, told, allowed), **times}), jobs, dry)
    order = _database_backup.Order(
        **_shared(kind, told, allowed),
        path=str(told["path"]),
        database_key=str(told["key"]),
        invariants=tuple(told["invariants"]),
        compression=str(told["compression"]),
        scratch_dir=str(told["scratch_dir"]),
        image_seconds=float(told["image_timeout"]),
        heights=lambda: _wallet_heights.heights(jobs),
    )
    return [_database_backup.backed_up(order, dry)]


def _shared(kind: str, told: dict[str, Any], allowed: Callable[[], bool]) -> dict[str, Any]:
    days = told["retention_days"]
    return {
        "site": told["site"],
        "folder": told["directory"],
        "key": Key(told["passphrase"], told["recipient"]),
        "key_generation": told["key_generation"],
        "minimum_age": float(told["minimum_age"]),
        "retention_days": RETENTION_DAYS[kind] if days is None else float(days),
        "keep_good": int(told["keep_good"]),
        "keep_all": told.get("keep_all") or _backup_retention.forbidden(str(told["state_dir"])),
        "seconds": float(told["archive_timeout"]),
        "allowed": allowed,
    }
