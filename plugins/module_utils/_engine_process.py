# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The daemon as a process of the host: whether it is there, and whether a signal has halted it."""

from __future__ import annotations

import os
import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_processes import started_at, stat_fields

PID_FILE = "/run/docker.pid"
UNIT_QUESTION = ("systemctl", "show", "--property=MainPID,Result,NRestarts", "docker.service")
LOCAL_SOCKETS = ("", "unix:///var/run/docker.sock", "unix:///run/docker.sock")
# Whoever halts a daemon for a snapshot or a trace lets it go at once.
SECOND_LOOK_AFTER = 0.5


def is_local() -> bool:
    """Whether the engine that is talked to is a process of this host."""
    return os.environ.get("DOCKER_HOST", "") in LOCAL_SOCKETS


def unit() -> dict[str, str]:
    """What systemd says of the daemon's main process; empty where it says nothing."""
    answer = run(UNIT_QUESTION, 5.0)
    lines = answer.out.decode("utf-8", "replace").splitlines() if answer.ok else []
    return dict(line.split("=", 1) for line in lines if "=" in line)


def daemon_pid(said: dict[str, str] | None = None) -> int | None:
    """The daemon's process, by its own file, else by systemd; None where neither names a dockerd that lives."""
    try:
        with open(PID_FILE, encoding="ascii") as file:
            pid = file.read(20).strip()
    except (OSError, ValueError):
        pid = (unit() if said is None else said).get("MainPID", "")
    return int(pid) if pid.isdecimal() and int(pid) > 1 and command(int(pid)).startswith("dockerd") else None


def command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return clean_line(file.read(64), 40)
    except OSError:
        return ""


def state(pid: int) -> str | None:
    fields = stat_fields(pid)
    return fields[0] if fields else None


def halted() -> int | None:
    """The pid of a daemon that a signal has halted (state T), seen twice; None for any other."""
    pid = daemon_pid() if is_local() else None
    if pid is None or state(pid) != "T":
        return None
    time.sleep(SECOND_LOOK_AFTER)
    return pid if state(pid) == "T" else None


def describe() -> dict[str, Any]:
    """For a daemon that does not answer: its process, and how the one before it ended."""
    said = unit()
    pid = daemon_pid(said)
    return {
        "pid": pid,
        "state": state(pid) if pid else None,
        "started": started_at(pid) if pid else None,
        # success, exit-code, signal, start-limit-hit ...
        "result": clean_line(said.get("Result", ""), 40) or None,
    }
