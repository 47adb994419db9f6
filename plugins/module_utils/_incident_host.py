# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies on a marketplace host and binds every run: lease, fencing token, holds, attempts.

Only reading and plain questions here; who may act is decided in _incident_guard.

This module is private to the collection.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    IncidentError,
    clean,
    read_json,
    utc,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_processes import boot_id

# What a lease must say before anybody believes it.
LEASE_FIELDS = {
    "token": int, "responder": str, "controller": str, "run_id": str, "playbook": str,
    "since": str, "until": str, "boot_id": str, "expires": float,
}  # fmt: skip
# Seconds since boot that no machine reaches.
FAR_AWAY = 1e12
# The hold that stands for all that may lie in a folder which cannot be listed.
UNLISTED = "(all)"


@dataclass(frozen=True)
class Places:
    """Where the guard keeps its files. The lease is gone after a reboot, everything else stays."""

    state_dir: str
    lease_dir: str

    @property
    def lease(self) -> str:
        return os.path.join(self.lease_dir, "lease.json")

    @property
    def guard_lock(self) -> str:
        return os.path.join(self.lease_dir, "guard.lock")

    @property
    def acting_lock(self) -> str:
        return os.path.join(self.lease_dir, "acting.lock")

    @property
    def holds(self) -> str:
        return os.path.join(self.state_dir, "holds")

    @property
    def attempts(self) -> str:
        return os.path.join(self.state_dir, "attempts.json")

    @property
    def pins(self) -> str:
        return os.path.join(self.state_dir, "records.json")

    @property
    def spool(self) -> str:
        return os.path.join(self.state_dir, "spool")

    @property
    def fencing(self) -> str:
        return os.path.join(self.state_dir, "fencing.json")


def boot_clock() -> float:
    """Seconds since boot, sleep included: nobody can set it back."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_lease(places: Places) -> dict[str, Any] | None:
    """The lease as written, None without one. One that cannot be understood still counts as somebody's."""
    try:
        lease = read_json(places.lease)
    except ValueError:
        lease = {}
    if lease is None:
        return None
    if all(isinstance(lease.get(field), kind) for field, kind in LEASE_FIELDS.items()):
        return lease
    return {
        "token": 0, "responder": "unknown", "controller": "unknown", "run_id": "unknown", "playbook": "unknown",
        "since": utc(os.stat(places.lease).st_mtime), "until": "unknown", "boot_id": boot_id(), "expires": FAR_AWAY,
    }  # fmt: skip


def in_force(lease: dict[str, Any] | None) -> bool:
    return lease is not None and lease["boot_id"] == boot_id() and boot_clock() < lease["expires"]


def _hold(path: str) -> dict[str, Any]:
    name = os.path.basename(path)[: -len(".json")]
    try:
        found = read_json(path)
    except (OSError, ValueError):
        found = None
    playbooks = (found or {}).get("playbooks", [])
    if found is None or not isinstance(playbooks, list) or not all(isinstance(item, str) for item in playbooks):
        return {
            "name": clean(name),
            "reason": "its file cannot be read",
            "by": "unknown",
            "since": "unknown",
            "playbooks": [],
            "readable": False,
        }
    return {
        "name": clean(name),
        "reason": clean(str(found.get("reason") or "no reason given")),
        "by": clean(str(found.get("by") or "unknown")),
        "since": clean(str(found.get("since") or "unknown")),
        "playbooks": [clean(item) for item in playbooks],
        "readable": True,
    }


def read_holds(places: Places) -> list[dict[str, Any]]:
    """All holds of the host. A hold that cannot be read counts as one that binds everything."""
    try:
        names = sorted(os.listdir(places.holds))
    except FileNotFoundError:
        return []
    except OSError as problem:
        reason = f"{places.holds} cannot be read: {problem.strerror}"
        return [{"name": UNLISTED, "reason": reason, "by": "unknown", "since": "unknown", "playbooks": [], "readable": False}]
    return [_hold(os.path.join(places.holds, name)) for name in names if name.endswith(".json") and not name.startswith(".")]


def binding(holds: Iterable[dict[str, Any]], playbook: str) -> list[dict[str, Any]]:
    return [hold for hold in holds if not hold["playbooks"] or playbook in hold["playbooks"]]


def read_attempts(places: Places) -> list[dict[str, Any]]:
    try:
        found = read_json(places.attempts)
    except ValueError:
        found = {}
    if found is None:
        return []
    attempts = found.get("attempts")
    if not isinstance(attempts, list) or not all(
        isinstance(item, dict) and isinstance(item.get("at"), (int, float)) and isinstance(item.get("action"), str)
        for item in attempts
    ):
        raise IncidentError(
            f"{places.attempts} cannot be understood, so nobody knows how often this was tried: look at it, "
            "move it away, then run the same command again."
        )
    return attempts


def recent(attempts: Iterable[dict[str, Any]], window: float) -> list[dict[str, Any]]:
    """Attempts within the window; one from the future (the clock was set back) counts too."""
    begin = time.time() - window
    return [item for item in attempts if item["at"] > begin]


def counted(attempts: Iterable[dict[str, Any]], action: str, window: float, limit: int) -> dict[str, Any]:
    same = [item for item in recent(attempts, window) if item["action"] == action]
    oldest = min((item["at"] for item in same), default=None)
    return {
        "action": action,
        "count": len(same),
        "limit": limit,
        "window": int(window),
        "next_free": utc(oldest + window) if oldest is not None and len(same) >= limit else None,
    }


def read_token(places: Places) -> int:
    """The last fencing token given out; 0 before the first."""
    try:
        found = read_json(places.fencing)
    except ValueError:
        found = {}
    token = 0 if found is None else found.get("token")
    if not isinstance(token, int) or token < 0:
        raise IncidentError(
            f"{places.fencing} cannot be understood, so an older run could not be told from a newer one: "
            'write {"token": N} there with N above the last token in the record, then run the same command again.'
        )
    return token
