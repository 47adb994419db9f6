# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes that lie in file systems."""

from __future__ import annotations

import os
import shlex
from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import View

# A smaller share of a disk does not explain that it is full.
WORTH_NAMING = 0.01
# More files than a person rescues at once.
MOST_NAMED = 5


def read_only(view: View) -> Iterator[Finding]:
    """Not corruption: what cannot be written looks like it to a database, and to whoever restores one."""
    for disk in view.storage.get("read_only") or []:
        mount = disk["mount"]
        found = Finding(
            None,
            f"{mount} is mounted read-only ({disk['source']}, {disk['kind']})",
            evidence=[f"kernel: {disk['why']}" if disk["why"] else "the kernel's log does not say why"],
            harms=frozenset(disk["services"]),
            details={"mount": mount, "files": disk["database"]},
            reason="the kernel or a person may have made it so to save the data on it; the database need not be damaged, "
            "which is copied to another disk before anything is written",
        )
        if view.tried_on_host("remount"):
            found.escalate = (
                f"{mount} did not become writable: its file system has to be checked by a person while nothing uses it; "
                f"copy what is on it first, and see `dmesg | grep {os.path.basename(disk['source'])}`."
            )
        else:
            found.confirm = f"remount:{mount}"
            if found.confirm in view.site.confirm:
                found.do = "remount"
        yield found


def deleted_open(view: View) -> Iterator[Finding]:
    """df counts what du does not find: a file that has lost its name stays until nobody holds it open."""
    for held in _held(view)[:MOST_NAMED]:
        name = held["service"] or "no container of the project"
        found = Finding(
            None,
            f"{human_bytes(held['bytes'])} of {held['mount']} are in the deleted {held['path']}, which {held['command']} "
            f"(pid {held['pid']}, fd {held['fd']}, {name}) holds open",
            evidence=["df counts it, du cannot see it"],
            details={"master": _master(view, held)},
        )
        if not _is_log_of_proxy(view, held):
            found.escalate = _rescue(view, held)
        elif not view.tried_on_host("reopen_log"):
            found.do = "reopen_log"
            found.reason = "a log that somebody deleted; nginx opens a new one without a restart"
        elif view.site.patience_over:
            found.escalate = (
                f"{held['command']} (pid {held['pid']}) was told to open its log afresh and still holds the deleted one."
            )
        else:
            found.wait_for = "nginx to close the deleted log"
        yield found


def _held(view: View) -> list[dict[str, Any]]:
    """Those that matter, on the disks that are full."""
    sizes = {one["mount"]: one["size_bytes"] for one in view.disk if _is_full(view, one)}
    return [
        one
        for one in view.storage.get("deleted") or []
        if one["mount"] in sizes and one["bytes"] >= sizes[one["mount"]] * WORTH_NAMING
    ]


def _is_full(view: View, disk: dict[str, Any]) -> bool:
    return disk["used_percent"] is not None and disk["used_percent"] >= view.site.disk_critical


def _master(view: View, held: dict[str, Any]) -> dict[str, Any]:
    """Whom to ask: the container, and what its nginx was started with. A pid of an earlier look may be another's by now."""
    known = [one for one in view.network.get("nginx") or [] if one["container_id"] == held["container_id"]]
    return {"container_id": held["container_id"], "options": known[0]["options"] if known else []}


def _is_log_of_proxy(view: View, held: dict[str, Any]) -> bool:
    return bool(held["appends"]) and held["command"] == "nginx" and held["service"] == view.site.proxy_service != ""


def _rescue(view: View, held: dict[str, Any]) -> str:
    """The last copy of what may be data: neither cut nor closed."""
    roomy = [
        one
        for one in view.disk
        if one["mount"] not in (None, held["mount"]) and (one["available_bytes"] or 0) > 2 * held["bytes"]
    ]
    folder = max(roomy, key=lambda one: one["available_bytes"])["path"] if roomy else "/a/disk/with/room"
    target = shlex.quote(os.path.join(folder, f"rescued-{os.path.basename(held['path'])}"))
    holder = held["service"] or held["command"]
    return (
        f"{held['path']} has no name any more and lives only as long as {holder} runs: neither stop nor restart it. "
        f"Rescue the file first: `cp --sparse=always /proc/{held['pid']}/fd/{held['fd']} {target}`."
    )


def disk_full(view: View) -> Iterator[Finding]:
    """Blocks at the limit. Only the engine's file system holds what may be taken away: logs and leftovers of builds."""
    seen: set[Any] = set()
    engine = view.disk[0]["mount"] if view.disk else None
    for disk in view.disk:
        if disk["mount"] in seen or not _is_full(view, disk) or _is_explained(view, disk):
            continue
        seen.add(disk["mount"])
        found = Finding(
            None,
            f"disk of {disk['path']} {disk['used_percent']:.0f} % full ({human_bytes(disk['available_bytes'])} left)",
            evidence=[f"{disk['mount']}: {human_bytes(disk['size_bytes'])} in all, limit {view.site.disk_critical:.0f} %"],
        )
        if disk["mount"] != engine:
            found.harms = frozenset((view.storage.get("users") or {}).get(disk["mount"]) or [])
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


def _is_explained(view: View, disk: dict[str, Any]) -> bool:
    """Whether deleted files alone make the difference between full and not full."""
    held = sum(one["bytes"] for one in _held(view) if one["mount"] == disk["mount"])
    percent = 100 * held / disk["size_bytes"] if disk["size_bytes"] else 0.0
    return bool(held > 0 and disk["used_percent"] - percent < view.site.disk_critical)


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
            **_crowd(view, disk["mount"]),
        )


def _crowd(view: View, mount: str) -> dict[str, Any]:
    folder = next((one for one in view.storage.get("crowded") or [] if one["mount"] == mount), None)
    if folder is None:
        where = f"`du -x --inodes -d3 {mount} | sort -n | tail` names the folder"
        return {"escalate": f"Too many files on {mount}: {where}; logs are left alone."}
    here = f"{folder['inside']} of {folder['service']}" if folder["service"] else folder["path"]
    least = "" if folder["complete"] else "at least "
    return {
        "evidence": [f"{least}{folder['entries']} files in {here}"],
        "escalate": f"Too many files in {here}: `ls -U {shlex.quote(folder['path'])} | head` on the host shows what they are; "
        "whose they are decides whether they may go, and logs are left alone.",
    }
