# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes that lie in file systems and files."""

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import View


def disk_full(view: View) -> Iterator[Finding]:
    """Blocks at the limit. Only the engine's file system holds what may be taken away: logs and leftovers of builds."""
    seen: set[Any] = set()
    engine = view.disk[0]["mount"] if view.disk else None
    for disk in view.disk:
        if disk["mount"] in seen or disk["used_percent"] is None or disk["used_percent"] < view.site.disk_critical:
            continue
        seen.add(disk["mount"])
        found = Finding(
            None,
            f"disk of {disk['path']} {disk['used_percent']:.0f} % full ({human_bytes(disk['available_bytes'])} left)",
            evidence=[f"{disk['mount']}: {human_bytes(disk['size_bytes'])} in all, limit {view.site.disk_critical:.0f} %"],
        )
        if disk["mount"] != engine:
            found.escalate = (
                f"{disk['path']} holds the site's own data, where nothing is deleted for you: "
                f"`du -xh -d2 {disk['mount']} | sort -h | tail` shows what grew."
            )
        elif view.tried_on_host("free_disk"):
            found.escalate = (
                f"{disk['path']} is still {disk['used_percent']:.0f} % full after what could be freed was freed: "
                f"`du -xh -d2 {disk['mount']} | sort -h | tail` shows the rest; images and containers are not deleted for you."
            )
        else:
            _offer_relief(view, found)
        yield found


def _offer_relief(view: View, found: Finding) -> None:
    gains = _gains(view)
    known = [size for _what, size in gains if size is not None]
    if gains and len(known) == len(gains) and not sum(known):
        found.escalate = (
            f"Nothing on {view.disk[0]['path']} can go without loss (no oversized log, no build cache, no nameless image): "
            f"`du -xh -d2 {view.disk[0]['mount']} | sort -h | tail` shows what fills it."
        )
        return
    found.do = "free_disk"
    found.details["gain_bytes"] = sum(known)
    words = [f"{what} {human_bytes(size)}" for what, size in gains if size]
    found.reason = f"about {human_bytes(sum(known))} to gain: {', '.join(words)}" if words else "the gain is not known before"
    found.evidence.extend(words)


def _gains(view: View) -> list[tuple[str, int | None]]:
    gains: list[tuple[str, int | None]] = [
        (f"log of {one['name']}", one["log_bytes"])
        for one in sorted(view.services.values(), key=lambda one: -(one["log_bytes"] or 0))
        if one["log_bytes"] is not None and one["log_bytes"] >= view.site.log_minimum_bytes
    ]
    gains.append(("build cache", view.reclaimable.get("build_cache_bytes")))
    gains.append(("nameless images", view.reclaimable.get("dangling_images_bytes")))
    return gains


def inodes_exhausted(view: View) -> Iterator[Finding]:
    """Many small files; the logs are few large ones and are left alone."""
    seen: set[Any] = set()
    for disk in view.disk:
        used = disk["inodes_used_percent"]
        if disk["mount"] in seen or used is None or used < view.site.disk_critical:
            continue
        seen.add(disk["mount"])
        yield Finding(
            None,
            f"disk of {disk['path']} has {used:.0f} % of its inodes in use, though {human_bytes(disk['available_bytes'])} are free",
            escalate=f"Too many files on {disk['mount']}: `du -x --inodes -d3 {disk['mount']} | sort -n | tail` names the folder; logs are left alone.",
        )
