# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is cut off while it acts, at a moment drawn from the seed: its controller is killed, or the host reboots."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drills.observe import timeline
from drills.playbook import Controller, Run
from lab.instance import Lab

# How a command that Ansible left on the host can be recognised: its become wrapper waits for it.
ORPHAN = "[B]ECOME-SUCCESS"

# Not beyond the start of the verification, ten seconds long: those moments are all alike.
ACTING_SECONDS = 6.0

# Kills in a session from which on their moments are judged.
ENOUGH = 4

# In how many drills of a full session the host reboots at that moment.
REBOOTS = 5


def rebooted(seed: int, names: Iterable[str]) -> frozenset[str]:
    """The drills whose host reboots, chosen by the seed."""
    candidates = sorted(names)
    return frozenset(random.Random(f"{seed} reboots").sample(candidates, min(REBOOTS, len(candidates))))


@dataclass(frozen=True)
class Interruption:
    """What the kill found and what it left."""

    drill: str
    moment: float
    tree: bool
    killed: bool
    intent: bool
    outcome: bool
    orphan: bool
    reboot: bool = False

    @property
    def open_ended(self) -> bool:
        """An intent without an outcome: the case that a rerun must understand."""
        return self.intent and not self.outcome

    def __str__(self) -> str:
        how = "every process" if self.tree else "process group"
        ended = f"killed at {self.moment:.2f} s ({how})" if self.killed else f"ended by itself at {self.moment:.2f} s"
        left = [word for word, there in (("intent", self.intent), ("outcome", self.outcome)) if there]
        return (
            f"{self.drill}: {ended}{', the host rebooted' if self.reboot else ''}, "
            f"left {' and '.join(left) or 'no entry'}{', a module still running' if self.orphan else ''}"
        )


def interrupt(
    lab: Lab,
    controller: Controller,
    chance: random.Random,
    drill: str,
    playbook: str,
    arguments: Sequence[str],
    acts: bool,
    reboot: bool = False,
) -> tuple[Interruption, Run]:
    """Start the playbook and cut it off: after its intent where it acts, else at any time after its start.

    A rebooted host takes the run's module with it; the controller dies too, or lives to see that nobody answers.
    """
    desk = lab.desk
    known = len(timeline(desk))
    moment = chance.uniform(0.0, ACTING_SECONDS)
    tree = chance.random() < 0.5
    process = controller.start(playbook, *arguments)
    while acts and process.running and not any(entry["event"] == "intent" for entry in timeline(desk)[known:]):
        time.sleep(0.03)
    deadline = time.monotonic() + moment
    while process.running and time.monotonic() < deadline:
        time.sleep(0.01)
    killed = process.running and not (reboot and chance.random() < 0.5)
    run = process.kill(tree) if killed and not reboot else None
    if reboot:
        lab.reboot()
    if run is None:
        run = process.kill(tree) if killed and process.running else process.finish()
    orphan = lab.run(["pgrep", "-f", ORPHAN]).returncode == 0
    events = {entry["event"] for entry in timeline(desk)[known:]}
    return (
        Interruption(drill, moment, tree, killed, "intent" in events, "outcome" in events, orphan, reboot),
        run,
    )


def meant_something(kills: Sequence[Interruption]) -> None:
    """Kills that all fall where nothing is open would prove nothing."""
    said = "\n".join(map(str, kills))
    assert sum(one.open_ended for one in kills) * 2 >= len(kills), said
    assert any(one.orphan for one in kills), f"no kill left a module running on the host:\n{said}"
