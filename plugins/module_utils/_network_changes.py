# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What changed between two looks though every container is the same and was not started again."""

from __future__ import annotations

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_words import listed


def changed_network(before: dict[str, Any], after: dict[str, Any], service: str) -> str | None:
    """reconnected: it has other names or another address; reloaded: its nginx has other workers."""
    if not before.get("network") or not after.get("network"):
        return None
    was, now = _ends(before, service), _ends(after, service)
    if any(end in was and now[end] != was[end] for end in now):
        return "reconnected"
    old, new = _workers(before, service), _workers(after, service)
    return "reloaded" if any(pid in old and new[pid] != old[pid] for pid in new) else None


def removed_networks(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    old, new = ((one.get("network") or {}).get("names") for one in (before, after))
    gone = sorted(set(old) - set(new)) if old is not None and new is not None else []
    return [f"removed network {listed(gone)}"] if gone else []


def _ends(compose: dict[str, Any], service: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    ends = compose["network"].get("attachments") or []
    return {
        (one["container"], one["network"]): (one["attached"], one["address"], tuple(one["names"]))
        for one in ends
        if one["service"] == service
    }


def _workers(compose: dict[str, Any], service: str) -> dict[int, list[int]]:
    masters = compose["network"].get("nginx") or []
    return {one["pid"]: one["workers"] for one in masters if one["service"] == service}
