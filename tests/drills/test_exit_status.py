# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way to be refused ends with a status that is not zero, one sentence, and nothing changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.fixture import DrillLab
from drills.playbook import INVENTORY
from drills.refusals import REFUSALS, Refusal


def as_drills() -> list[object]:
    return [
        pytest.param(case, id=case.name, marks=pytest.mark.drill(name=f"outage-refuses-{case.name}", pool="often"))
        for case in REFUSALS
    ]


@pytest.mark.parametrize("case", as_drills())
def test_refusal(case: Refusal, drill: DrillLab, tmp_path: Path) -> None:
    with case.prepare(drill, tmp_path):
        before = drill.look()
        run = drill.run(
            case.playbook,
            *case.arguments,
            callback="monero_marketplace.incident.oncall",
            inventory=tmp_path / "hosts.yml" if case.own_inventory else INVENTORY,
        )
        drill.assert_unchanged(before, desk_too=case.desk_too)
    assert run.status != 0, run.output
    assert "Traceback" not in run.output, run.output
    for word in case.says:
        assert word in run.output, f"{word!r} is missing:\n{run.output}"
    said_once(run.output)


def said_once(output: str) -> None:
    """No line of more than a few words appears twice."""
    lines = [line.strip() for line in output.splitlines() if len(line.split()) > 4]
    twice = sorted({line for line in lines if lines.count(line) > 1})
    assert not twice, f"said twice: {twice}\n\n{output}"
