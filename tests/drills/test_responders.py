# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two people, two machines, one host: one works, the other is told; whoever slept past the lease does nothing more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drills.fixture import DrillLab
from drills.ledger import Ledger
from drills.playbook import Controller, Run, RunningPlaybook

ONCALL = "monero_marketplace.incident.oncall"
APART = 0.05
LEASE_SECONDS = 5


@pytest.fixture
def second(drill: DrillLab, tmp_path: Path) -> Iterator[Controller]:
    """Another machine to run playbooks from."""
    controller = Controller(drill.lab.name, tmp_path / "second")
    yield controller
    controller.close()


def responder(name: str) -> tuple[str, str]:
    return "-e", f"incident_responder={name}"


def until_it_acts(drill: DrillLab, run: RunningPlaybook) -> None:
    while run.running and not any(entry["event"] == "intent" for entry in drill.timeline()):
        time.sleep(0.03)
    assert run.running, f"the run ended before it acted:\n{run.finish().output}"


def did_nothing_more(run: Run) -> None:
    assert run.status != 0, run.output
    assert run.result["outcome"] == "held", run.output
    assert "This run may no longer act" in run.output, run.output


@pytest.mark.drill(name="outage-two-controllers", pool="often")
def test_two_controllers_at_once(drill: DrillLab, second: Controller) -> None:
    ledger = Ledger(drill.lab)
    drill.break_("containers-exited")
    first = drill.controller.start("outage", *responder("alice"), callback=ONCALL)
    time.sleep(APART)
    other = second.start("outage", *responder("bob"), callback=ONCALL)
    runs = {"alice": first.finish(), "bob": other.finish()}

    assert sorted(run.result["outcome"] for run in runs.values()) == ["held", "restored"], [run.output for run in runs.values()]
    winner, loser = sorted(runs, key=lambda name: runs[name].result["outcome"] == "held")
    assert (runs[winner].status, runs[loser].status != 0) == (0, True)
    intent = next(entry for entry in drill.timeline() if entry["event"] == "intent")
    for word in (f"{winner}@", f"since {intent['time'][:11]}", "take_over=true"):
        assert word in runs[loser].output, f"{word!r} is missing:\n{runs[loser].output}"
    assert {entry["responder"] for entry in drill.timeline()} == {winner}, drill.timeline()
    assert [entry["event"] for entry in drill.timeline()] == ["intent", "outcome"]
    drill.assert_tidy()
    ledger.assert_nothing_lost()


@pytest.mark.drill(name="outage-asleep-past-its-lease", pool="often")
def test_asleep_past_its_lease(drill: DrillLab, second: Controller) -> None:
    drill.break_("containers-exited")
    sleeper = drill.controller.start(
        "outage", *responder("alice"), "-e", f"incident_lease_seconds={LEASE_SECONDS}", callback=ONCALL
    )
    until_it_acts(drill, sleeper)
    sleeper.freeze()
    time.sleep(LEASE_SECONDS + 1)

    helper = second.run("outage", *responder("bob"), callback=ONCALL)
    assert helper.status == 0, helper.output
    mended = drill.look()
    assert mended.settled

    sleeper.thaw()
    did_nothing_more(sleeper.finish())
    drill.assert_unchanged(mended, desk_too=False)
    assert drill.answers() == {"https": 200, "health": 200}
    drill.assert_tidy()
    again = drill.run("outage", callback="default")
    if "delivered now" in again.output:
        # Frozen with the desk's lock in its hand, the sleeper kept the other's entries from the desk; they came late.
        again = drill.run("outage", callback="default")
    assert (again.status, again.changed) == (0, 0), again.output


@pytest.mark.drill(name="outage-human-over-robot", pool="rotated")
def test_a_human_takes_over_from_a_robot(drill: DrillLab, second: Controller) -> None:
    drill.break_("containers-exited")
    robot = drill.controller.start("outage", *responder("eda@rulebook"), callback=ONCALL)
    until_it_acts(drill, robot)
    robot.freeze()

    refused = second.run("outage", *responder("alice"), callback=ONCALL)
    assert refused.result["outcome"] == "held", refused.output
    assert "eda@rulebook@" in refused.output and "take_over=true" in refused.output, refused.output

    human = second.run("outage", *responder("alice"), "-e", "take_over=true", callback=ONCALL)
    assert human.status == 0, human.output
    intent = [entry for entry in drill.timeline() if entry["event"] == "intent"][-1]
    assert intent["responder"] == "alice"
    assert intent["data"]["taken_over"]["owner"].startswith("eda@rulebook@"), intent

    mended = drill.look()
    robot.thaw()
    did_nothing_more(robot.finish())
    drill.assert_unchanged(mended, desk_too=False)
    drill.assert_tidy()


@pytest.mark.drill(name="outage-fourth-attempt", pool="rotated")
def test_after_three_attempts_a_person_has_to_look(drill: DrillLab) -> None:
    """The same repair that does not last: the lab's own break would forget the attempts, so it is broken by hand."""
    kill = ["kill", *(drill.lab.container(service) or service for service in ("server", "nginx"))]
    for _attempt in range(3):
        drill.lab.docker(kill, check=True)
        run = drill.run("outage", "-e", "service_verify_deadline=60", callback=ONCALL)
        assert run.status == 0, run.output
    drill.lab.docker(kill, check=True)
    before = drill.look()
    run = drill.run("outage", callback=ONCALL)
    assert run.status != 0 and run.result["outcome"] == "escalated", run.output
    assert "was tried 3 times within 60 min" in run.output and "incident_attempts=4" in run.output, run.output
    drill.assert_unchanged(before, desk_too=False)
    drill.assert_tidy()
