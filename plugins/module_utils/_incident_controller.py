# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ansible-playbook this is, and whether another one is still there. Runs on the controller.

This module is private to the collection.
"""

from __future__ import annotations

# run_command belongs to AnsibleModule, of which the logic knows nothing.
# pylint: disable=ansible-bad-function
import getpass
import hashlib
import multiprocessing
import os
import socket
import subprocess
import time
from typing import Any, Mapping

UNKNOWN = "unknown"


def main_process() -> int:
    """The pid of ansible-playbook itself: tasks are templated in its forks too."""
    parent = multiprocessing.parent_process()
    return os.getpid() if parent is None or parent.pid is None else parent.pid


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as source:
            return source.readline().strip()
    except OSError:
        return ""


def _machine() -> str:
    """This start of this machine and this view of its processes; a pid means nothing outside them."""
    boot = _first_line("/proc/sys/kernel/random/boot_id") or UNKNOWN
    machine = _first_line("/etc/machine-id") or UNKNOWN
    try:
        view = os.readlink("/proc/self/ns/pid")
    except OSError:
        view = UNKNOWN
    return ".".join(hashlib.sha256(part.encode()).hexdigest()[:8] for part in (machine, boot, view))


def _start_mark(pid: int) -> str | None:
    """What tells this process from a later one with the same pid; None when there is no such process."""
    if os.path.isdir("/proc/self"):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as source:
                fields = source.read().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in ("Z", "X") else fields[19]
    said = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return said.strip() or None


def user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in a container
        return f"uid {os.getuid()}"


def controller() -> dict[str, Any]:
    pid = main_process()
    started = f"{_machine()}.{_start_mark(pid)}"
    host = socket.gethostname()
    return {
        "host": host,
        "user": user(),
        "pid": pid,
        "started": started,
        "run_id": hashlib.sha256(f"{host} {pid} {started}".encode()).hexdigest()[:12],
        "clock": time.time(),
    }


def process_gone(lease: Mapping[str, Any] | None) -> bool:
    """Whether the run that has this lease was ours to see and is surely over. In doubt it is not."""
    if not lease or lease.get("controller") != socket.gethostname():
        return False
    machine, _dot, mark = str(lease.get("pid_started") or "").rpartition(".")
    pid = lease.get("pid")
    if not isinstance(pid, int) or pid <= 0 or not mark:
        return False
    was, now = machine.split("."), _machine().split(".")
    if len(was) != len(now) or was[0] != now[0]:
        return False
    if was[1] != now[1]:
        return True  # the controller was restarted since
    return was == now and _start_mark(pid) != mark


def as_called(sources: Any, playbook_dir: Any) -> dict[str, Any]:
    """How this run was called, so that the next command can be typed in the same way."""
    here = os.getcwd()
    near = [os.path.relpath(one) if one.startswith(here + os.sep) else one for one in map(str, sources or [])]
    return {
        # The one that ansible.cfg of a clone names needs no -i.
        "inventory": [] if near == ["inventories/production"] else near,
        "from_clone": (playbook_dir or "") in ("", os.path.join(here, "playbooks")),
    }
