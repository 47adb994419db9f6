# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs, answers, health checks and labels that would like to be run: shown as plain text, and nothing else comes of them."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from drills.fixture import DrillLab
from drills.observe import STATE_DIR
from drills.playbook import Run
from lab.faults.hostile_text import MARK, TEMPLATE, TEXT

LONGEST_LINE = 2000


@pytest.mark.drill(name="outage-hostile-text", pool="rotated")
def test_hostile_text(drill: DrillLab) -> None:
    Path(MARK).unlink(missing_ok=True)
    drill.break_("hostile-text")
    before = drill.look()

    plan = drill.run("outage", "--check", callback="monero_marketplace.incident.oncall")
    assert (plan.status, plan.result["outcome"]) == (0, "planned"), plan.output
    drill.assert_unchanged(before, volatile=frozenset({"server"}))

    for callback in ("monero_marketplace.incident.oncall", "default"):
        run = drill.run("outage", callback=callback)
        assert run.status != 0, run.output
        assert run.result["outcome"] == "escalated", run.result
        assert "server exits with 3 right after each start" in run.output, run.output
        assert TEMPLATE in run.output, f"what the server says is not shown as it is:\n{run.output}"
        nothing_came_of_it(drill, run)
    nothing_came_of_it(drill, drill.run("outage", "-vvv", callback="default"), bounded=False)

    hold = json.dumps({"reason": TEXT, "by": TEXT, "since": TEXT, "playbooks": []})
    drill.lab.run(["mkdir", "-p", f"{STATE_DIR}/holds"], check=True)
    drill.lab.run(["tee", f"{STATE_DIR}/holds/strange.json"], check=True, stdin=hold)
    at_a_glance = drill.run("status", callback="default")
    assert at_a_glance.status == 0, at_a_glance.output
    assert TEMPLATE in at_a_glance.output, f"the reason of the hold is not shown as it is:\n{at_a_glance.output}"
    nothing_came_of_it(drill, at_a_glance)
    proposal = drill.run("triage", callback="monero_marketplace.incident.oncall")
    assert "TRIAGE" in proposal.output, proposal.output
    nothing_came_of_it(drill, proposal)

    entries = drill.timeline()
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1)), entries
    drill.assert_tidy()


def nothing_came_of_it(drill: DrillLab, run: Run, bounded: bool = True) -> None:
    assert not Path(MARK).exists(), f"text from outside was run on the controller:\n{run.output}"
    assert drill.lab.run(["test", "-e", MARK]).returncode != 0, f"text from outside was run on the host:\n{run.output}"
    assert "Traceback" not in run.output, run.output
    strange = {letter for letter in run.output if unicodedata.category(letter) in ("Cc", "Cf") and letter not in "\n\t"}
    assert not strange, f"{strange} reached the terminal:\n{run.output!r}"
    if bounded:
        assert max(map(len, run.output.splitlines())) <= LONGEST_LINE, run.output
