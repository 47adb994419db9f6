# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""outage.yml against each fault: --check, a killed run, the repair, and a run that finds nothing to do."""

from __future__ import annotations

import random

import pytest

from drills.faults import FAULTS, Fault
from drills.fixture import DrillLab
from drills.interruption import ENOUGH, REBOOTS, Interruption, interrupt, meant_something, rebooted
from drills.ledger import Ledger
from drills.observe import wait_until_good
from drills.steps import (
    SERVED,
    asked_for,
    healthy_services_were_left_alone,
    left_to_a_person,
    one_line,
    plan_changes_nothing,
    record_is_whole,
    second_run_does_nothing,
    triage_proposes,
    unconfirmed_run_asks,
)

# A reboot heals some faults by itself, which is fine; but a confirmation would then match nothing.
REBOOTABLE = [fault.name for fault in FAULTS if fault.mends and not fault.confirm]

# A wallet that reads the chain answers nobody meanwhile, its health check neither. It does so after a reboot, and where its
# daemon is new; then the summary has to say so.
READING_SECONDS = 60.0
READING = "busy with the chain"

KEPT = "for a container that it does not run"


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
    # A host that goes down while Docker starts a container can come up with its ports taken: the drill outage-ports-kept.
    if reboot and KEPT in one_line(final):
        final = drill.run(
            "outage", "-e", f"confirm={asked_for(final, 'restart_docker:*')}", callback="monero_marketplace.incident.oncall"
        )
    if fault.mends:
        assert final.status == 0, final.output
        assert drill.answers() == SERVED, "exit status 0, but users are not served"
        wait_until_good(drill.lab, READING_SECONDS if reboot or READING in final.output else 0)
    else:
        left_to_a_person(fault, final)
        assert not fault.serves or drill.answers() == SERVED, "users are not served"
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


@pytest.mark.drill(name="outage-interruptions", pool="main")
def test_interruptions_meant_something(interruptions: list[Interruption]) -> None:
    if len(interruptions) < ENOUGH:
        pytest.skip(f"only {len(interruptions)} kills in this selection, too few to judge")
    meant_something(interruptions)
    if {one.drill for one in interruptions} >= set(REBOOTABLE):
        assert sum(one.reboot for one in interruptions) >= min(REBOOTS, len(REBOOTABLE)), interruptions
