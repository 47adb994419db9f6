# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hold binds every run, also after a reboot, until it is lifted with the command that the refusal prints."""

from __future__ import annotations

import json
import shlex

import pytest

from drills.fixture import DrillLab
from drills.observe import STATE_DIR
from drills.playbook import Run

ONCALL = "monero_marketplace.incident.oncall"
HOLD = ("-e", "hold_name=evidence hold_reason='evidence is being taken'")


def refused(run: Run) -> str:
    """The command that the refusal prints."""
    assert run.status != 0 and run.result["outcome"] == "held", run.output
    assert "'evidence'" in run.output and "evidence is being taken" in run.output, run.output
    return next(line for line in run.output.splitlines() if "playbooks/release_hold.yml" in line)


def lift(drill: DrillLab, command: str) -> Run:
    words = shlex.split(command.partition("playbooks/release_hold.yml")[2])
    return drill.run("release_hold", *words, callback=ONCALL)


def changes_nothing(drill: DrillLab, playbook: str, *arguments: str) -> None:
    before, told = drill.look(), drill.timeline()
    run = drill.run(playbook, *arguments)
    assert (run.status, run.changed) == (0, 0), run.output
    assert drill.timeline() == told
    drill.assert_unchanged(before)


@pytest.mark.drill(name="outage-hold-and-reboot", pool="often")
def test_a_hold_survives_a_reboot(drill: DrillLab) -> None:
    before = drill.look()
    planned = drill.run("hold", *HOLD, "--check", callback=ONCALL)
    assert planned.result["outcome"] == "planned", planned.output
    drill.assert_unchanged(before)

    placed = drill.run("hold", *HOLD, callback=ONCALL)
    assert placed.status == 0 and placed.result["outcome"] == "done", placed.output
    path = f"{STATE_DIR}/holds/evidence.json"
    assert drill.lab.run(["stat", "-c", "%U %a", path]).stdout.split() == ["root", "600"]
    assert [(entry["event"], "evidence is being taken" in entry["text"]) for entry in drill.timeline()] == [("hold", True)]
    changes_nothing(drill, "hold", *HOLD)
    assert "evidence is being taken" in drill.run("status", callback=ONCALL).output

    drill.break_("containers-exited")
    refused(drill.run("outage", callback=ONCALL))
    drill.lab.reboot()
    command = refused(drill.run("outage", callback=ONCALL))

    lifted = lift(drill, command)
    assert lifted.status == 0 and lifted.result["outcome"] == "done", lifted.output
    kept = drill.lab.run(["sh", "-c", f"cat {STATE_DIR}/holds/released/*.held"]).stdout
    assert json.loads(kept)["reason"] == "evidence is being taken"
    changes_nothing(drill, "release_hold", "-e", "hold_name=evidence hold_reason='once more'")
    assert [entry["event"] for entry in drill.timeline()] == ["hold", "release"]

    run = drill.run("outage", callback=ONCALL)
    assert run.status == 0, run.output
    assert drill.answers() == {"https": 200, "health": 200}
    drill.assert_tidy()


@pytest.mark.drill(name="outage-hold-unreadable", pool="rotated")
def test_an_unreadable_hold_binds_and_is_lifted_by_name(drill: DrillLab) -> None:
    drill.lab.run(["mkdir", "-p", "-m", "700", f"{STATE_DIR}/holds"], check=True)
    drill.lab.run(["sh", "-c", f"echo '{{' > {STATE_DIR}/holds/half.json"], check=True)
    drill.break_("containers-exited")
    run = drill.run("outage", callback=ONCALL)
    assert run.result["outcome"] == "held" and "hold_name=half" in run.output, run.output
    lifted = drill.run("release_hold", "-e", "hold_name=half hold_reason='it was nobodys'", callback=ONCALL)
    assert lifted.status == 0, lifted.output
    assert drill.lab.run(["sh", "-c", f"cat {STATE_DIR}/holds/released/half-*.held"]).stdout == "{\n"
    drill.assert_tidy()


@pytest.mark.drill(name="outage-hold-teaches", pool="rotated")
@pytest.mark.parametrize(
    ("playbook", "arguments"),
    [("hold", ()), ("hold", ("-e", "hold_name=x")), ("release_hold", ()), ("hold", ("-e", "hold_name=../x hold_reason=y"))],
)
def test_what_is_missing_is_said(drill: DrillLab, playbook: str, arguments: tuple[str, ...]) -> None:
    before = drill.look()
    run = drill.run(playbook, *arguments, callback=ONCALL)
    assert run.status != 0, run.output
    assert "hold" in run.output and ("reason" in run.output or "letters" in run.output), run.output
    assert "Traceback" not in run.output
    drill.assert_unchanged(before)
