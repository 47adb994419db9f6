# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""End containers one group after the other, each by its own stop signal, with patience and never by SIGKILL.

Where no daemon answers the signal goes to the main process itself. Where one does it goes through the daemon, which would otherwise
start again what had ended.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, Callable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _engine_files
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_host import boot_id
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import sentence_from
from ansible_collections.monero_marketplace.incident.plugins.module_utils._engine_files import Living
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    forget,
    private_directory,
    read_json,
    write_json,
)

JOURNAL = "container_stop.json"
POLL_SECONDS = 0.1
RENEW_SECONDS = 30.0


class NotStopped(Exception):
    """Something lives on; the text is one sentence. What had ended by then stays ended."""


@dataclass(frozen=True)
class Plan:
    """Who is to end, after whom, and how long each may take at least."""

    project: str
    groups: list[list[str]]
    timeouts: dict[str, float]
    state_dir: str
    through_daemon: bool

    def timeout(self, one: Living) -> float:
        return max(self.timeouts.get(one.service, 0.0), one.stop_timeout)


class Journal:
    """Who was told to end. A second signal may mean "at once" to a program, so that a rerun only waits."""

    def __init__(self, state_dir: str) -> None:
        self.path = os.path.join(state_dir, JOURNAL)
        self._said = read_note(state_dir) or {}

    def begin(self, count: int) -> None:
        if not self._said:
            private_directory(os.path.dirname(self.path))
            self._said = {"boot_id": boot_id(), "of": count, "told": {}}
            write_json(self.path, self._said)

    def told_at(self, one: Living) -> float | None:
        note = self._said.get("told", {}).get(one.container_id)
        if not isinstance(note, dict) or (note.get("pid"), note.get("started")) != (one.pid, one.started):
            return None
        # Killed between the note and the signal, nobody knows whether it was sent: then it is sent again.
        return float(note["at"]) if note.get("sent") is True else None

    def note(self, one: Living, at: float, sent: bool) -> None:
        self._said["told"][one.container_id] = {"pid": one.pid, "started": one.started, "at": at, "sent": sent}
        write_json(self.path, self._said)

    def end(self) -> None:
        forget(self.path)


def read_note(state_dir: str) -> dict[str, Any] | None:
    """What an interrupted stop of this boot has noted; None where there is none."""
    try:
        note = read_json(os.path.join(state_dir, JOURNAL))
    except (OSError, ValueError):
        return None
    if note is None or note.get("boot_id") != boot_id() or not isinstance(note.get("told"), dict):
        return None
    return note if isinstance(note.get("of"), int) else None


def chosen(plan: Plan, alive: list[Living]) -> list[list[Living]]:
    """The living of each group, in its order."""
    return [
        [one for service in group for one in alive if one.project == plan.project and one.service == service]
        for group in plan.groups
    ]


def stop(plan: Plan, alive: list[Living], tell: Callable[[str], None], keep_lease: Callable[[], bool]) -> list[dict[str, Any]]:
    """One group after the other; the next only when all of the one before have ended."""
    groups = chosen(plan, alive)
    # Nobody is told to end before it is sure that nothing stands in the way of the last one.
    frozen = [one for group in groups for one in group if one.paused]
    if frozen:
        names = ", ".join(one.service for one in frozen)
        raise NotStopped(
            f"{names}: paused, so no signal is heard there: unpause it (`docker unpause`), then run the same command again."
        )
    journal = Journal(plan.state_dir)
    ended: list[dict[str, Any]] = []
    if any(groups):
        journal.begin(len(alive))
    for group in groups:
        if group and not keep_lease():
            raise NotStopped(
                "The lease of this run is over, or a hold was placed: nothing more was stopped; run the same command again."
            )
        ended += _end_group(plan, group, journal, tell, keep_lease)
    journal.end()
    return ended


def _end_group(
    plan: Plan, group: list[Living], journal: Journal, tell: Callable[[str], None], keep_lease: Callable[[], bool]
) -> list[dict[str, Any]]:
    waiting: dict[str, tuple[Living, float]] = {}
    ended = []
    for one in group:
        at = journal.told_at(one)
        if at is None:
            at = time.clock_gettime(time.CLOCK_BOOTTIME)
            journal.note(one, at, sent=False)
            _send(plan, one, tell)
            journal.note(one, at, sent=True)
        waiting[one.container_id] = (one, at)
    renewed = time.monotonic()
    while waiting:
        if time.monotonic() - renewed > RENEW_SECONDS:
            # They were told to end and do; only whoever comes after is told no more.
            keep_lease()
            renewed = time.monotonic()
        for one, at in list(waiting.values()):
            took = time.clock_gettime(time.CLOCK_BOOTTIME) - at
            if not one.lives:
                tell(f"{one.service} (pid {one.pid}) ended after {took:.1f} s")
                ended.append(
                    {"service": one.service, "container_id": one.container_id, "pid": one.pid, "seconds": round(took, 1)}
                )
                del waiting[one.container_id]
            elif took > plan.timeout(one):
                raise NotStopped(
                    f"{one.service} (pid {one.pid}) lives on {took:.0f} s after {_engine_files.signal_name(one.stop_signal)}: nothing after it was "
                    f"stopped, and it is not killed for you; `cat /proc/{one.pid}/wchan; ls -l /proc/{one.pid}/fd` shows what it waits for."
                )
        if waiting:
            time.sleep(POLL_SECONDS)
    return ended


def _send(plan: Plan, one: Living, tell: Callable[[str], None]) -> None:
    name = _engine_files.signal_name(one.stop_signal)
    # Looked at again in the last moment: the pid of a process that ended may be another's.
    if not one.lives or not _engine_files.lives_in(one.pid, one.container_id):
        return
    tell(f"{name} to {one.service} (pid {one.pid})")
    if plan.through_daemon:
        answer = run(["docker", "kill", "--signal", name, one.container_id], 30.0)
        said = sentence_from(answer.err)
        if not answer.ok and "is not running" not in said and "No such container" not in said:
            raise NotStopped(f"docker kill --signal {name} {one.service} failed: {said or 'no answer in time'}.")
        return
    try:
        os.kill(one.pid, one.stop_signal)
    except ProcessLookupError:
        return  # it ended in this very moment
