# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""outage.yml against each fault: --check, a killed run, the repair, and a run that finds nothing to do."""

from __future__ import annotations

import random

import pytest

from drills.faults import FAULTS, Fault
from drills.fixture import DrillLab
from drills.interruption import REBOOTS, Interruption, interrupt, rebooted
from drills.ledger import Ledger
from drills.observe import Snapshot
from drills.playbook import Run

# What a person who was just woken may have to wait for.
TRIAGE_TASKS = 8

# Kills in a session from which on their moments are judged.
ENOUGH = 4


# A reboot heals some faults by itself, which is fine; but a confirmation would then match nothing.
REBOOTABLE = [fault.name for fault in FAULTS if fault.mends and not fault.confirm]


def as_drills() -> list[object]:
    return [
        pytest.param(fault, id=fault.name, marks=pytest.mark.drill(name=f"outage-{fault.name}", pool=fault.pool))
        for fault in FAULTS
    ]


@pytest.mark.parametrize("fault", as_drills())
def test_outage(
    fault: Fault, drill: DrillLab, chance: random.Random, interruptions: list[Interruption], request: pytest.FixtureRequest
) -> None:
    ledger = Ledger(drill.lab)
    healthy = drill.look()
    drill.break_(fault.name)

    triage_proposes(fault, drill)
    plan_changes_nothing(fault, drill)
    broken = drill.look()
    arguments: tuple[str, ...] = ()
    if fault.confirm:
        unconfirmed_run_asks(fault, drill)
        arguments = ("-e", f"confirm={fault.confirm}")

    reboot = fault.name in rebooted(request.config.getoption("--drill-seed"), REBOOTABLE)
    interruption, _ = interrupt(
        drill.lab, drill.controller, chance, fault.name, "outage", arguments, acts=fault.mends, reboot=reboot
    )
    interruptions.append(interruption)
    print(interruption)

    # A module that the killed run left on the desk may have written its outcome since.
    left_open = interruption.open_ended and drill.timeline()[-1]["event"] == "intent"
    final = drill.run("outage", *arguments, callback="monero_marketplace.incident.oncall")
    if fault.mends:
        assert final.status == 0, final.output
        assert drill.answers() == {"https": 200, "health": 200}, "exit status 0, but users are not served"
        assert drill.look().settled, "exit status 0, but not every service is healthy"
    else:
        left_to_a_person(fault, final)
        assert not fault.serves or drill.answers() == {"https": 200, "health": 200}, "users are not served"
    for word in fault.never:
        assert word not in final.output, f"the summary claims {word!r}:\n{final.output}"
    if left_open:
        assert "interrupted" in final.output, f"the run does not say what it goes on from:\n{final.output}"
    if not reboot:
        # A daemon that does not answer tells of no container; they are what they were before. A reboot starts them all.
        healthy_services_were_left_alone(fault, broken if broken.containers else healthy, drill.look())
    if fault.outcome == "held":
        assert drill.timeline() == [], "a run that was held did nothing worth a record"
    else:
        record_is_whole(drill)
    drill.assert_tidy()

    second_run_does_nothing(fault, drill, final)

    drill.heal()
    ledger.assert_nothing_lost()


def triage_proposes(fault: Fault, drill: DrillLab) -> None:
    """The right playbook within eight tasks, and nothing is touched by looking."""
    before = drill.look()
    run = drill.run("triage", callback="monero_marketplace.incident.oncall")
    drill.assert_unchanged(before, volatile=fault.restless)
    assert run.status == 0 and run.changed == 0, run.output
    assert len(run.remote) <= TRIAGE_TASKS, [event["action"] for event in run.remote]
    assert run.proposal["playbook"] == fault.triage, run.output
    served = drill.answers() == {"https": 200, "health": 200}
    severities = ("P2", "P3") if served else ("P1",)
    assert not fault.seen_from_host or run.proposal["severity"] in severities, run.output


def plan_changes_nothing(fault: Fault, drill: DrillLab) -> None:
    before = drill.look()
    run = drill.run("outage", "--check", callback="monero_marketplace.incident.oncall")
    drill.assert_unchanged(before, volatile=fault.restless)
    assert run.status == 0, run.output
    assert run.result["outcome"] == "planned", run.result
    for word in fault.cause:
        assert word in run.output, f"the plan does not name {word!r}:\n{run.output}"
    if fault.confirm:
        assert f"confirm={fault.confirm}" in run.output, run.output


def unconfirmed_run_asks(fault: Fault, drill: DrillLab) -> None:
    before = drill.look()
    run = drill.run("outage", callback="monero_marketplace.incident.oncall")
    drill.assert_unchanged(before, volatile=fault.restless, desk_too=False)
    assert run.status != 0, run.output
    assert run.result["outcome"] == "needs_confirmation", run.result
    assert f"confirm={fault.confirm}" in run.output, f"the refusal does not say how to go on:\n{run.output}"


def left_to_a_person(fault: Fault, run: Run) -> None:
    assert run.status != 0, run.output
    assert run.result["outcome"] == fault.outcome, run.result
    for word in fault.cause:
        assert word in run.output, f"the summary does not name {word!r}:\n{run.output}"
    assert "Traceback" not in run.output


def healthy_services_were_left_alone(fault: Fault, broken: Snapshot, mended: Snapshot) -> None:
    for service, container in broken.good.items():
        if service in fault.harms:
            continue
        assert mended.containers[service].started == container.started, (
            f"{service} was healthy and was restarted: {container.started} -> {mended.containers[service].started}"
        )


def record_is_whole(drill: DrillLab) -> None:
    entries = drill.timeline()
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1)), entries
    assert entries[-1]["event"] == "outcome", f"the last word is not an outcome: {entries[-1]}"


def second_run_does_nothing(fault: Fault, drill: DrillLab, first: Run) -> None:
    before, told = drill.look(), drill.timeline()
    run = drill.run("outage", callback="default")
    assert run.status == first.status, run.output
    assert run.changed == 0 and "changed=0" in run.output, run.output
    assert drill.timeline() == told, "the second run told the desk something new"
    drill.assert_unchanged(before, volatile=fault.restless)
    drill.assert_tidy()


@pytest.mark.drill(name="outage-interruptions", pool="main")
def test_interruptions_meant_something(interruptions: list[Interruption]) -> None:
    """Kills that all fall where nothing is open would prove nothing."""
    if len(interruptions) < ENOUGH:
        pytest.skip(f"only {len(interruptions)} kills in this selection, too few to judge")
    said = "\n".join(map(str, interruptions))
    assert sum(one.open_ended for one in interruptions) * 2 >= len(interruptions), said
    assert any(one.orphan for one in interruptions), f"no kill left a module running on the host:\n{said}"
    if {one.drill for one in interruptions} >= set(REBOOTABLE):
        assert sum(one.reboot for one in interruptions) >= min(REBOOTS, len(REBOOTABLE)), said
