# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Hold still whoever has a database open, let them go on, or end them without a last word.

A clean stop writes the -wal into the database. A container that is paused writes nothing; killed while it is paused, it has no moment
in which it could: Docker sends the signal first and lets it go on then.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _engine_files
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Ran, run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import sentence_from
from ansible_collections.monero_marketplace.incident.plugins.module_utils._engine_files import Living

SECONDS = 30.0
POLL_SECONDS = 0.1
# For how long a container that cannot be frozen is asked again, and what the engine says then.
AGAIN_SECONDS = 15.0
NOT_FROZEN = b"unable to freeze"
# Whoever starts meanwhile is met by the next look; somebody who starts again and again is not waited for.
ROUNDS = 5
VERBS = {"paused": "pause", "running": "unpause", "killed": "kill"}

Holder = dict[str, Any]


class NotHeld(Exception):
    """Somebody could not be paused, let go or ended; the text is one sentence."""


@dataclass(frozen=True)
class Wanted:
    """Which containers: those of these services of the project, and whoever has the database open."""

    state: str
    project: str
    services: tuple[str, ...]
    root: str


@dataclass(frozen=True)
class Found:
    """One look: the containers that are meant, and the processes that have the database open and are in none."""

    containers: list[Living]
    strangers: list[Holder]


def look(wanted: Wanted, holders: Callable[[], Iterable[Holder]]) -> Found:
    alive = _engine_files.living(wanted.root)
    holding = list(holders())
    ids = {one["container_id"] for one in holding}
    containers = [
        one for one in alive if one.container_id in ids or (one.project == wanted.project and one.service in wanted.services)
    ]
    known = {one.container_id for one in containers}
    return Found(containers, [one for one in holding if one["container_id"] not in known])


def beside(wanted: Wanted, found: Found) -> tuple[list[str], list[str]]:
    """Who has it open beside the services that were named: services of the project, and containers that are of none of it."""
    others = [one for one in found.containers if one.project != wanted.project or one.service not in wanted.services]
    services = {one.service for one in others if one.project == wanted.project and one.service}
    names = {one.name for one in others if one.project != wanted.project or not one.service}
    return sorted(services), sorted(names)


def due(wanted: Wanted, containers: Iterable[Living]) -> list[Living]:
    """Those that are not as they are wanted."""
    if wanted.state == "killed":
        return list(containers)
    return [one for one in containers if one.paused != (wanted.state == "paused")]


def carry_out(
    wanted: Wanted, holders: Callable[[], Iterable[Holder]], tell: Callable[[str], None]
) -> tuple[list[Living], Found]:
    """Who was paused, let go on or killed, and who is there afterwards."""
    done: dict[str, Living] = {}
    for _round in range(ROUNDS):
        found = look(wanted, holders)
        todo = due(wanted, found.containers)
        if not todo:
            return list(done.values()), found
        for one in todo:
            _tell_docker(VERBS[wanted.state], one)
            tell(f"{VERBS[wanted.state]} of {one.service or one.name} (pid {one.pid})")
            done[one.container_id] = one
        _settled(wanted, todo)
    names = ", ".join(sorted(one.service or one.name for one in todo))
    raise NotHeld(
        f"{names}: not {wanted.state} after {ROUNDS} tries, somebody else starts it: find out who, then run this again."
    )


def pause(container: str, seconds: float) -> Ran:
    """docker pause. Who waits for a disk cannot be frozen by the kernel, and Docker gives up in a moment: it is asked again for a while."""
    deadline = time.monotonic() + AGAIN_SECONDS
    while True:
        answer = run(["docker", "pause", container], seconds)
        if answer.ok or NOT_FROZEN not in answer.err or time.monotonic() > deadline:
            return answer
        time.sleep(POLL_SECONDS)


def _tell_docker(verb: str, one: Living) -> None:
    answer = pause(one.container_id, SECONDS) if verb == "pause" else run(["docker", verb, one.container_id], SECONDS)
    said = sentence_from(answer.err)
    # What it is to be it may have become by itself meanwhile, or be gone.
    if not answer.ok and not any(
        words in said for words in ("is not running", "No such container", "already paused", "is not paused")
    ):
        raise NotHeld(f"docker {verb} {one.service or one.name} failed: {said or 'no answer in time'}.")


def _settled(wanted: Wanted, told: Iterable[Living]) -> None:
    """What was killed is gone a moment later, and the engine's own note of a pause is written after the pause."""
    deadline = time.monotonic() + SECONDS
    waiting = {one.container_id for one in told}
    while waiting and time.monotonic() < deadline:
        still = {one.container_id: one for one in _engine_files.living(wanted.root)}
        waiting = {one.container_id for one in due(wanted, (still[name] for name in waiting if name in still))}
        if waiting:
            time.sleep(POLL_SECONDS)
