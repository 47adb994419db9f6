# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that the drills of all repairing playbooks have in common, and what each of them must not do."""

from __future__ import annotations

import re

from drills.faults import Fault
from drills.fixture import DrillLab
from drills.observe import Snapshot
from drills.playbook import Run

# What a person who was just woken may have to wait for.
TRIAGE_TASKS = 8
SERVED = {"https": 200, "health": 200}


def one_line(run: Run) -> str:
    """A summary breaks its lines where the terminal ends."""
    return " ".join(run.output.split())


def asked_for(run: Run, confirm: str) -> str:
    """The confirmation in full, as a run asks for it; a star at its end stands for what the test cannot know."""
    if not confirm.endswith("*"):
        return confirm
    found = re.search(rf"confirm=({re.escape(confirm[:-1])}[\w.:-]*\w)", one_line(run))
    assert found is not None, f"the run asks for no confirm={confirm}:\n{run.output}"
    return found.group(1)


def triage_proposes(fault: Fault, drill: DrillLab) -> None:
    """The right playbook within eight tasks, and nothing is touched by looking."""
    before = drill.look()
    run = drill.run("triage", callback="monero_marketplace.incident.oncall")
    drill.assert_unchanged(before, volatile=fault.restless)
    assert run.status == 0 and run.changed == 0, run.output
    assert len(run.remote) <= TRIAGE_TASKS, [event["action"] for event in run.remote]
    assert run.proposal["playbook"] == fault.triage, run.output
    served = drill.answers() == SERVED
    severities = ("P2", "P3") if served and not fault.grave else ("P1",)
    assert not fault.seen_from_host or run.proposal["severity"] in severities, run.output


def plan_changes_nothing(fault: Fault, drill: DrillLab) -> Run:
    """The plan names the cause and what it would ask for."""
    before = drill.look()
    run = drill.run(fault.playbook, "--check", callback="monero_marketplace.incident.oncall")
    drill.assert_unchanged(before, volatile=fault.restless)
    assert run.status == 0, run.output
    assert run.result["outcome"] == "planned", run.result
    told = one_line(run)
    for word in fault.cause:
        assert word in told, f"the plan does not name {word!r}:\n{run.output}"
    if fault.confirm:
        assert f"confirm={fault.confirm.rstrip('*')}" in told, run.output
    return run


def unconfirmed_run_asks(fault: Fault, drill: DrillLab) -> None:
    before = drill.look()
    run = drill.run(fault.playbook, callback="monero_marketplace.incident.oncall")
    drill.assert_unchanged(before, volatile=fault.restless, desk_too=False)
    assert run.status != 0, run.output
    assert run.result["outcome"] == "needs_confirmation", run.result
    assert f"confirm={fault.confirm}" in one_line(run), f"the refusal does not say how to go on:\n{run.output}"


def left_to_a_person(fault: Fault, run: Run) -> None:
    assert run.status != 0, run.output
    assert run.result["outcome"] == fault.outcome, run.result
    for word in fault.cause:
        assert word in one_line(run), f"the summary does not name {word!r}:\n{run.output}"
    assert "Traceback" not in run.output


def healthy_services_were_left_alone(fault: Fault, broken: Snapshot, mended: Snapshot) -> None:
    for service, container in broken.good.items():
        if service in fault.harms:
            continue
        assert mended.containers[service].started == container.started, (
            f"{service} was healthy and was restarted: {container.started} -> {mended.containers[service].started}"
        )


def record_is_whole(drill: DrillLab) -> None:
    """No entry of any record is missing; a backup made before the fault has a record of its own."""
    entries = drill.timeline()
    before = 0
    for entry in entries:
        assert entry["seq"] in (1, before + 1), entries
        before = entry["seq"]
    assert entries[-1]["event"] == "outcome", f"the last word is not an outcome: {entries[-1]}"


def second_run_does_nothing(fault: Fault, drill: DrillLab, first: Run) -> None:
    before, told = drill.look(), drill.timeline()
    run = drill.run(fault.playbook, callback="default")
    assert run.status == first.status, run.output
    assert run.changed == 0 and "changed=0" in run.output, run.output
    assert drill.timeline() == told, "the second run told the desk something new"
    drill.assert_unchanged(before, volatile=fault.restless)
    drill.assert_tidy()
