# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes on a marketplace host: who they are, and which ones an earlier run left at work.

This module is private to the collection.
"""

from __future__ import annotations

import os
import time
from typing import Any, Iterator

# Compose commands that change a project. `up` without --detach is a service's own way to live.
CHANGING_VERBS = frozenset(["create", "down", "kill", "pause", "restart", "rm", "scale", "start", "stop", "unpause", "up"])
DETACHED = frozenset(["-d", "--detach", "--wait"])
OUR_MODULES = (
    "AnsiballZ_docker_compose_v2.py", "AnsiballZ_container_log.py", "AnsiballZ_container_stop.py", "AnsiballZ_monero_wallet.py",
    "AnsiballZ_file_set.py", "AnsiballZ_escrow_test.py", "AnsiballZ_payout_freeze.py", "AnsiballZ_backup_restore.py",
    "AnsiballZ_backup_create.py", "AnsiballZ_backup_timer.py", "AnsiballZ_container_pause.py", "AnsiballZ_process_end.py",
    "AnsiballZ_wallet_keys_guard.py",
)  # fmt: skip
# Options of `docker` and `docker compose` before the verb that take a value of their own.
TAKES_A_VALUE = frozenset([
    "--ansi", "--config", "--context", "-c", "--env-file", "--file", "-f", "--host", "-H", "--log-level", "-l",
    "--parallel", "--profile", "--progress", "--project-directory", "--project-name", "-p", "--tlscacert", "--tlscert", "--tlskey",
])  # fmt: skip


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as source:
        return source.read().strip()


def stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third on; None when the process is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as source:
            fields = source.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if not fields or fields[0] in ("Z", "X") else fields


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot: together with the pid it names one process."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields else None


def started_at(pid: int) -> float | None:
    """The same as wall-clock time."""
    ticks = start_ticks(pid)
    if ticks is None:
        return None
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def ancestors(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        fields = stat_fields(pid)
        pid = int(fields[1]) if fields else 0


def arguments(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as source:
            return source.read(65536).decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def _value(words: list[str], *names: str) -> str | None:
    for place, word in enumerate(words):
        for name in names:
            if word == name and place + 1 < len(words):
                return words[place + 1]
            if word.startswith(name + "=") and name.startswith("--"):
                return word[len(name) + 1 :]
    return None


def compose_command(words: list[str]) -> tuple[list[str], str, list[str]] | None:
    """(options, verb, rest) when words are a Compose command that changes a project."""
    if len(words) < 2 or os.path.basename(words[0]) not in ("docker", "docker-compose"):
        return None
    options: list[str] = []
    rest = list(words[1:])
    seen = os.path.basename(words[0]) == "docker-compose"
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            options.append(word)
            if word in TAKES_A_VALUE and rest:
                options.append(rest.pop(0))
        elif word == "compose":
            seen = True
        elif not seen or word not in CHANGING_VERBS:
            return None
        else:
            return None if word == "up" and not DETACHED & set(rest) else (options, word, rest)
    return None


def works_on(words: list[str], directory: str, project_dir: str) -> bool:
    """Whether a Compose command, started in directory, is for the project."""
    found = compose_command(words)
    if found is None:
        return False
    named = _value(found[0], "--project-directory")
    if named is None:
        compose_file = _value(found[0], "--file", "-f")
        named = os.path.dirname(os.path.join(directory, compose_file)) if compose_file else directory
    return os.path.realpath(os.path.join(directory, named)) == os.path.realpath(project_dir)


def describe(pid: int, what: str) -> dict[str, Any]:
    return {"pid": pid, "command": what, "started": started_at(pid)}


def left_at_work(project_dir: str) -> list[dict[str, Any]]:
    """Processes that still change the project, not counting ourselves and whoever started us."""
    ours = set(ancestors(os.getpid()))
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in ours:
            continue
        pid = int(name)
        words = arguments(pid)
        if not words or stat_fields(pid) is None:
            continue
        try:
            directory = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        if works_on(words, directory, project_dir):
            found.append(describe(pid, " ".join(words[:12])))
        elif any(os.path.basename(word) in OUR_MODULES for word in words):
            found.append(describe(pid, os.path.basename(words[-1])))
    return sorted(found, key=lambda process: int(process["pid"]))
