# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What a repair did, measured by container ids, start times and states before and after it."""

from __future__ import annotations

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_words import listed
from ansible_collections.monero_marketplace.incident.plugins.module_utils._network_changes import (
    changed_network,
    removed_networks,
)

# Free space moves by itself; only more than this is somebody's doing.
WORTH_SAYING = 16 * 1024 * 1024

_WORDS = ("created", "recreated", "started", "restarted", "unpaused", "resumed", "reconnected", "reloaded")


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The difference between two looks, as lists of services and as sentences."""
    found: dict[str, list[str]] = {word: [] for word in (*_WORDS, "lost", "untouched_services")}
    earlier = {one["name"]: one for one in before["services"]}
    answers_again = before["daemon"]["state"] != "running" and after["daemon"]["state"] == "running"
    # A halted daemon is the same process as before.
    halted = ((before.get("engine") or {}).get("process") or {}).get("state") == "T"
    started_docker = answers_again and not halted
    # In the order in which they came up, which is that of what was done.
    for service in sorted(after["services"], key=lambda one: epoch(one["started_at"]) or 0.0):
        word = _change(earlier.get(service["name"]), service, before["clock"])
        if word == "untouched_services":
            word = changed_network(before, after, service["name"]) or word
        if word is not None:
            found[word].append(service["name"])
    freed = _freed(before, after)
    did = ["started Docker"] if started_docker else ["let the Docker daemon go on"] if answers_again else []
    did += _stored(before, after)
    did += [f"freed {human_bytes(freed)} on {after['disk'][0]['path']}"] if freed else []
    did += removed_networks(before, after)
    total = len(after["services"])
    did += [f"{word} {listed(found[word], total)}" for word in _WORDS if found[word]]
    return {
        "did": did,
        "docker_started": started_docker,
        **found,
        "untouched": len(found["untouched_services"]),
        "freed_bytes": freed,
        "changed": bool(did),
    }


def _change(before: dict[str, Any] | None, after: dict[str, Any], looked_at: float) -> str | None:
    if before is None or after["state"] is None:
        return None
    if before["state"] is None:
        # The daemon was down, so no container ran that has not been started since.
        started = epoch(after["started_at"])
        return "started" if after["state"] == "running" and started is not None and started >= looked_at else None
    old = {one["container_id"]: one for one in before["containers"]}
    new = {one["container_id"]: one for one in after["containers"]}
    if set(new) - set(old):
        return "recreated" if set(old) - set(new) else "created"
    if set(old) - set(new):
        return "lost"
    words = {_container_change(old[each], new[each]) for each in new}
    if words <= {None}:
        halted = {one["pid"] for one in before["stopped_processes"]} - {one["pid"] for one in after["stopped_processes"]}
        return "resumed" if halted else "untouched_services"
    return next(word for word in ("restarted", "started", "unpaused", "lost") if word in words)


def _container_change(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    if after["state"] == "running" and before["started_at"] != after["started_at"]:
        return "restarted" if before["state"] in ("running", "paused") else "started"
    if before["state"] == "paused" and after["state"] == "running":
        return "unpaused"
    if before["state"] == "running" and after["state"] != "running":
        return "lost"
    return None


def _freed(before: dict[str, Any], after: dict[str, Any]) -> int:
    old, new = before["disk"][0]["available_bytes"], after["disk"][0]["available_bytes"]
    if old is None or new is None or before["disk"][0]["mount"] != after["disk"][0]["mount"]:
        return 0
    return int(new - old) if new - old >= WORTH_SAYING else 0


def _stored(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What became of disks and files."""
    old, new = before.get("storage") or {}, after.get("storage") or {}
    closed = {one["mount"] for one in old.get("read_only") or []} - {one["mount"] for one in new.get("read_only") or []}
    still = [(one["path"], one["pid"], one["fd"]) for one in new.get("deleted") or []]
    # On a disk with room nobody looks for deleted files any more: what was closed has given its room back.
    held = {
        one["path"]
        for one in old.get("deleted") or []
        if (one["path"], one["pid"], one["fd"]) not in still and _gained(before, after, one["mount"]) >= 0.9 * one["bytes"]
    }
    wrong = _closed_paths(old) - _closed_paths(new)
    did = [f"made {mount} writable again" for mount in sorted(closed)]
    did += [f"closed the deleted {path}" for path in sorted(held)]
    # Without anything sick nobody looks at files any more, so what is gone from the list was mended, by us or by another.
    return did + ([f"mended owner and mode of {listed(sorted(wrong))}"] if wrong else [])


def _gained(before: dict[str, Any], after: dict[str, Any], mount: str) -> int:
    old, new = ([one["available_bytes"] for one in look["disk"] if one["mount"] == mount] for look in (before, after))
    return int(new[0] - old[0]) if old and new and None not in (old[0], new[0]) else 0


def _closed_paths(storage: dict[str, Any]) -> set[str]:
    return {one["path"] for files in (storage.get("closed") or {}).values() for one in files if one["needed"]}
