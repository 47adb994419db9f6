# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The table of mounts, and what the kernel says about a file system that may no longer be written to."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

_ESCAPED = re.compile(r"\\([0-7]{3})")
_ABOUT_WRITING = re.compile(r"error|read-only|readonly|re-mounted .*\bro\b|shut.?down|abort", re.IGNORECASE)


@dataclass(frozen=True)
class Mount:
    point: str
    source: str
    kind: str
    device: int
    # Either the mount itself, or the whole file system below it and so every other mount of it.
    read_only: bool
    # This one mount is, though its file system is not.
    closed_alone: bool = False
    # The folder in which an overlay keeps what was written.
    upper: str | None = None


def mounts(proc: str = "/proc", pid: str = "self") -> list[Mount]:
    """All mounts that a process sees, in the order in which they were made; empty where the kernel does not say."""
    try:
        with open(f"{proc}/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return [mount for line in file if (mount := _mount(line)) is not None]
    except OSError:
        return []


def _mount(line: str) -> Mount | None:
    """One line: id parent major:minor root point options [tags] - kind source options-of-the-file-system"""
    front, _dash, back = line.partition(" - ")
    own, below = front.split(), back.split()
    if len(own) < 6 or len(below) < 3:
        return None
    major, _colon, minor = own[2].partition(":")
    if not (major.isdecimal() and minor.isdecimal()):
        return None
    settings = below[2].split(",")
    upper = next((_plain(word[len("upperdir=") :]) for word in settings if word.startswith("upperdir=")), None)
    return Mount(
        point=_plain(own[4]),
        source=_plain(below[1]),
        kind=below[0],
        device=os.makedev(int(major), int(minor)),
        closed_alone="ro" in own[5].split(",") and "ro" not in settings,
        read_only="ro" in own[5].split(",") or "ro" in settings,
        upper=upper,
    )


def _plain(word: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found.group(1), 8)), word)


def mount_at(point: str, table: list[Mount]) -> Mount | None:
    """The mount that is seen at a point: of several one above the other, the last."""
    return next((one for one in reversed(table) if one.point == point), None)


def why_read_only(kernel_log: str, source: str) -> str | None:
    """The kernel's last word on a device that may explain why it is read-only."""
    device = os.path.basename(source)
    if not device:
        return None
    names = re.compile(rf"\b{re.escape(device)}\b")
    for line in reversed(kernel_log.splitlines()):
        if names.search(line) and _ABOUT_WRITING.search(line):
            return clean_line(re.sub(r"^(\[[^\]]*\]|\d{9,}\.\d+)\s*", "", line), 200)
    return None
