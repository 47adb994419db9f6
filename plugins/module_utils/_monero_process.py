# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Whether a program that says nothing works: its state, its processor time and its logs, looked at twice."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass, field
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_processes as processes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import container_of
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_secrets import masked
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_lines, without_repetition

# Below this share of a core a program only waits; its own clocks and threads need less.
BUSY_SHARE = 0.05
# Two looks closer together than this say nothing about movement.
SHORTEST = 0.3
TAIL_BYTES = 64 * 1024
# At higher levels these programs log whole questions, keys and what a wallet receives.
PRIVATE = re.compile(
    r"(?i)(?:received|spent) money|balance|amount|mnemonic|\bseed\b|secret|(?:spend|view)[ _]?key|password[\"']?\s*[:=]|rpc-login"
)
NOT_SHOWN = "(a line about money, keys or passwords)"


@dataclass(frozen=True)
class Look:
    """One look at one process."""

    at: float
    pid: int
    started: int
    state: str
    ticks: int
    logs: dict[str, int] = field(default_factory=dict)


def by_container(identities: set[str]) -> dict[str, list[int]]:
    """The processes of each of the containers, by one walk over /proc."""
    found: dict[str, list[int]] = {}
    for name in os.listdir("/proc") if identities else []:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cgroup", encoding="utf-8", errors="replace") as file:
                identity = container_of(file.read())
        except OSError:
            continue  # it ended while we looked
        if identity in identities:
            found.setdefault(str(identity), []).append(int(name))
    return found


def main_process(pids: list[int], first: int | None) -> int | None:
    """The program itself: before it there may be an init, beside it a health check."""
    for pid in sorted(pids):
        words = processes.arguments(pid)
        if words and os.path.basename(words[0]).startswith("monero") and processes.stat_fields(pid) is not None:
            return pid
    return first


def look(pid: int, log_path: str) -> Look | None:
    fields = processes.stat_fields(pid)
    if fields is None:
        return None
    return Look(time.monotonic(), pid, int(fields[19]), fields[0], int(fields[11]) + int(fields[12]), _sizes(pid, log_path))


def _sizes(pid: int, log_path: str) -> dict[str, int]:
    found = {}
    for path in filter(None, (log_path, log_file(pid))):
        try:
            found[path] = os.stat(path).st_size
        except OSError:
            continue
    return found


def log_file(pid: int) -> str | None:
    """The program's own log, as the host sees it."""
    words = [part for word in processes.arguments(pid) for part in word.split("=", 1)]
    named = words[words.index("--log-file") + 1] if "--log-file" in words[:-1] else ""
    return f"/proc/{pid}/root{named}" if named.startswith("/") else None


def moving(before: Look | None, after: Look | None) -> bool | None:
    """Whether it did something between two looks; None where they are not of one process, or too close together."""
    if before is None or after is None or (before.pid, before.started) != (after.pid, after.started):
        return None
    seconds = after.at - before.at
    if seconds < SHORTEST:
        return None
    share = (after.ticks - before.ticks) / os.sysconf("SC_CLK_TCK") / seconds
    grown = any(size > before.logs.get(path, size) for path, size in after.logs.items())
    # One that waits for a core is not idle.
    return share >= BUSY_SHARE or grown or before.state == after.state == "R"


def as_dict(before: Look | None, after: Look | None) -> dict[str, Any] | None:
    last = after or before
    return None if last is None else {"pid": last.pid, "state": last.state, "moving": moving(before, after)}


def log_size(path: str) -> int:
    """Where a log ends now, so that what comes after can be told from what was before."""
    try:
        return os.stat(path).st_size if path else 0
    except OSError:
        return 0


def log_lines(path: str, last: int, since: int | None = None, secrets: Iterable[str] = ()) -> list[str]:
    """The last lines of a container's log as the engine keeps it, without asking the engine; from a place on where one is given.

    What is private is left out, and what is secret masked.
    """
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = max(size - TAIL_BYTES, min(since, size) if since is not None else 0, 0)
            file.seek(begin)
            raw = file.read(TAIL_BYTES)
    except (OSError, ValueError):
        return []
    lines = raw.split(b"\n")
    if since is None and begin > 0:
        lines = lines[1:]  # cut in the middle
    said = clean_lines("\n".join(filter(None, map(_text, lines))))
    hidden = [secret for secret in secrets if secret]
    return without_repetition([NOT_SHOWN if PRIVATE.search(line) else masked(line, hidden) for line in said])[-last:]


def _text(line: bytes) -> str:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    text = found.get("log") if isinstance(found, dict) else None
    return text.rstrip("\n") if isinstance(text, str) else ""
