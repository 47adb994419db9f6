# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Ask one process to end: by its pid and the time it was started, once, and never by SIGKILL.

Its handle is opened before anything is compared, so that the signal reaches this process or none.
"""

from __future__ import annotations

import os
import select
import signal
import time
from dataclasses import dataclass
from typing import Any, Callable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_processes as processes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import container_of
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    forget,
    private_directory,
    read_json,
    write_json,
)

JOURNAL = "process_end.json"
RENEW_SECONDS = 30.0
ENDING_MILLISECONDS = 2000
PF_KTHREAD = 0x00200000
SIDECARS = ("", "-wal", "-shm", "-journal")
# What is put in front of a container's own program to take care of its children.
INITS = ("docker-init", "tini", "dumb-init", "catatonit")


class NotEnded(Exception):
    """It lives on, or must not be asked; the text is one sentence."""


@dataclass(frozen=True)
class Wanted:
    """Which process, by what it is known, and how long it may take."""

    pid: int
    start_ticks: int
    # A file that it must still have open, with its sidecars; empty where that does not matter.
    holding: str
    timeout: float
    state_dir: str


def end(wanted: Wanted, tell: Callable[[str], None], keep_lease: Callable[[], bool], dry: bool = False) -> dict[str, Any]:
    """What became of it. One that is gone already is no failure."""
    journal = os.path.join(wanted.state_dir, JOURNAL)
    found: dict[str, Any] = {"pid": wanted.pid, "command": None, "ended": True, "seconds": None, "changed": False}
    try:
        handle = os.pidfd_open(wanted.pid)
    except ProcessLookupError:
        _forget(journal, wanted)
        return found
    try:
        # With the handle open the pid cannot become another's without the handle telling so.
        if processes.start_ticks(wanted.pid) != wanted.start_ticks:
            _forget(journal, wanted)
            return found
        found["command"] = clean_line(" ".join(processes.arguments(wanted.pid)), 200) or None
        told = _told(journal, wanted)
        if told is None:
            _must_be_asked(wanted)
            if not _still_holds(wanted, handle):
                _forget(journal, wanted)
                return found
        if dry:
            return {**found, "ended": False, "changed": told is None}
        if told is None:
            told = _ask(journal, wanted, handle, tell)
            found["changed"] = True
        found["seconds"] = _wait(wanted, handle, told, keep_lease)
    finally:
        os.close(handle)
    tell(f"pid {wanted.pid} ended after {found['seconds']:.1f} s")
    _forget(journal, wanted)
    return found


def _must_be_asked(wanted: Wanted) -> None:
    pid = wanted.pid
    if pid in set(processes.ancestors(os.getpid())):
        raise NotEnded(f"pid {pid} is this run itself, or what it runs under: it is not ended.")
    if _of_the_kernel(pid):
        raise NotEnded(f"pid {pid} is no program but a thread of the kernel: it is not ended.")
    container = main_of(pid)
    if container is not None:
        raise NotEnded(
            f"pid {pid} is what container {container[:12]} lives by: restart that instead (`docker restart`), with its own time to end."
        )


def _of_the_kernel(pid: int) -> bool:
    """By its own flag: a program that is just ending has no command line any more either."""
    fields = processes.stat_fields(pid)
    return bool(fields and int(fields[6]) & PF_KTHREAD)


def _still_holds(wanted: Wanted, handle: int) -> bool:
    """One that is about to end has closed its files already; one that lives on without them is no business of ours."""
    if not wanted.holding or holds(wanted.pid, wanted.holding):
        return True
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    if poll.poll(ENDING_MILLISECONDS):
        return False
    raise NotEnded(
        f"pid {wanted.pid} does not have {wanted.holding} open any more: it was left alone; run the same command again."
    )


def main_of(pid: int) -> str | None:
    """The container that ends with this process; None where none does."""
    parent = next((one for one in processes.ancestors(pid) if one != pid), 0)
    below_init = _inside(parent) == 1 and parent != 1 and _text(parent, "comm").strip() in INITS
    if _inside(pid) != 1 and not below_init:
        return None
    return container_of(_text(pid, "cgroup")) or "of another engine"


def _inside(pid: int) -> int | None:
    """Its number in its own namespace of processes."""
    for line in _text(pid, "status").splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return None


def holds(pid: int, path: str) -> bool:
    """Whether it has the file open, or one of its sidecars; by what the file is, and by its name where it is deleted."""
    there = set()
    for suffix in SIDECARS:
        try:
            state = os.stat(path + suffix)
        except OSError:
            continue
        there.add((state.st_dev, state.st_ino))
    folder = f"/proc/{pid}/fd"
    try:
        handles = os.listdir(folder)
    except OSError:
        return False
    for name in handles:
        try:
            state = os.stat(f"{folder}/{name}")
        except OSError:
            continue
        if (state.st_dev, state.st_ino) in there:
            return True
    return False


def _ask(journal: str, wanted: Wanted, handle: int, tell: Callable[[str], None]) -> float:
    at = time.clock_gettime(time.CLOCK_BOOTTIME)
    private_directory(wanted.state_dir)
    note = {"boot_id": processes.boot_id(), "pid": wanted.pid, "start_ticks": wanted.start_ticks, "at": at}
    write_json(journal, {**note, "sent": False})
    fields = processes.stat_fields(wanted.pid)
    tell(f"SIGTERM to pid {wanted.pid}")
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if fields is not None and fields[0] in ("T", "t"):
            # One that was halted hears nothing before it goes on; what it hears first is that it is to end.
            signal.pidfd_send_signal(handle, signal.SIGCONT)
    except ProcessLookupError:
        return at  # it ended in this very moment
    write_json(journal, {**note, "sent": True})
    return at


def _told(journal: str, wanted: Wanted) -> float | None:
    """When an earlier run asked it to end. A second signal may mean "at once" to a program, so that a rerun only waits."""
    try:
        note = read_json(journal)
    except (OSError, ValueError):
        return None
    if note is None or note.get("boot_id") != processes.boot_id() or note.get("sent") is not True:
        return None
    same = (note.get("pid"), note.get("start_ticks")) == (wanted.pid, wanted.start_ticks)
    return float(note["at"]) if same and isinstance(note.get("at"), (int, float)) else None


def _forget(journal: str, wanted: Wanted) -> None:
    if os.path.isdir(wanted.state_dir) and os.path.lexists(journal):
        forget(journal)


def _wait(wanted: Wanted, handle: int, told: float, keep_lease: Callable[[], bool]) -> float:
    began = renewed = time.monotonic()
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    while not poll.poll(200):
        now = time.monotonic()
        if now - renewed > RENEW_SECONDS:
            # It was asked and may end at any time; nobody else is asked because of it.
            keep_lease()
            renewed = now
        if now - began > wanted.timeout:
            raise NotEnded(
                f"pid {wanted.pid} lives on {now - began:.0f} s after SIGTERM, and it is not killed for you: "
                f"`cat /proc/{wanted.pid}/wchan; ls -l /proc/{wanted.pid}/fd` shows what it waits for."
            )
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - told)


def _text(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="replace") as source:
            return source.read(65536)
    except OSError:
        return ""
