# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""database.yml against each fault: what it ends or restarts, and what it leaves to another playbook or to a person."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from drills.database_faults import CORRUPTION, FAULTS, DatabaseFault
from drills.fixture import DrillLab
from drills.interruption import Interruption, interrupt
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
from lab.faults import database

ONCALL = "monero_marketplace.incident.oncall"


def as_drills() -> list[object]:
    return [pytest.param(fault, id=fault.name, marks=pytest.mark.drill(name=fault.name, pool=fault.pool)) for fault in FAULTS]


@pytest.mark.parametrize("fault", as_drills())
def test_database(fault: DatabaseFault, drill: DrillLab, chance: random.Random, interruptions: list[Interruption]) -> None:
    ledger = Ledger(drill.lab)
    drill.break_(fault.name)
    if fault.triage:
        triage_proposes(fault, drill)
    if not fault.acts:
        nobody_touches_it(fault, drill)
    else:
        mended(fault, drill, chance, interruptions)
        drill.heal()
        ledger.assert_nothing_lost()


def mended(fault: DatabaseFault, drill: DrillLab, chance: random.Random, interruptions: list[Interruption]) -> None:
    plan = plan_changes_nothing(fault, drill)
    broken = drill.look()
    arguments: tuple[str, ...] = ()
    if fault.confirm:
        fault = replace(fault, confirm=asked_for(plan, fault.confirm))
        unconfirmed_run_asks(fault, drill)
        arguments = ("-e", f"confirm={fault.confirm}")
    interruption, _ = interrupt(drill.lab, drill.controller, chance, fault.name, fault.playbook, arguments, acts=True)
    interruptions.append(interruption)
    final = drill.run(fault.playbook, *arguments, callback=ONCALL)
    for word in fault.never:
        assert word not in one_line(final), f"the summary claims {word!r}:\n{final.output}"
    assert final.status == 0, final.output
    assert drill.answers() == SERVED, "exit status 0, but users are not served"
    wait_until_good(drill.lab, 20)
    healthy_services_were_left_alone(fault, broken, drill.look())
    record_is_whole(drill)
    drill.assert_tidy()
    second_run_does_nothing(fault, drill, final)


def nobody_touches_it(fault: DatabaseFault, drill: DrillLab) -> None:
    """What would be made worse by a restart is named, with the command that goes on; not one byte of the set changes."""
    before, files = drill.look(), at_rest(drill)
    run = drill.run(fault.playbook, *fault.site, callback=ONCALL)
    left_to_a_person(fault, run)
    assert (CORRUPTION in one_line(run)) == fault.damage, run.output
    for word in fault.never:
        assert word not in one_line(run), f"the summary claims {word!r}:\n{run.output}"
    drill.assert_unchanged(before, volatile=fault.restless, desk_too=False)
    assert at_rest(drill) == files, "the files of the database have changed"
    drill.assert_tidy()


def at_rest(drill: DrillLab) -> dict[str, str]:
    """Each file of the set and its hash; nothing while the server writes to it."""
    if drill.lab.container("server") in drill.lab.docker(["ps", "--quiet", "--no-trunc"]).stdout.split():
        return {}
    said = drill.lab.run(["sh", "-c", f"sha256sum {database.PATH}*"]).stdout
    return {path: digest for digest, path in (line.split(maxsplit=1) for line in said.splitlines())}
