# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Level roles: molecule, one scenario per role, on a lab of its own."""

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence

from levels.check import PROJECT, Check, python

# Two test runs on one machine keep apart by LAB=name; each has a lab for its drills and one for its roles.
LAB = f"{os.environ['LAB']}-roles" if os.environ.get("LAB") else "roles"
SCENARIOS = PROJECT / "molecule"


def names() -> list[str]:
    """All scenarios."""
    return sorted(path.parent.name for path in SCENARIOS.glob("*/molecule.yml"))


def of_today() -> list[str]:
    """Every second one, the others tomorrow."""
    return names()[datetime.date.today().toordinal() % 2 :: 2]


def checks(chosen: Sequence[str]) -> list[Check]:
    """One after the other, because they share the lab."""
    return [
        Check(
            f"role {scenario}",
            # There is nothing to create or destroy; the lab is there before and after.
            [python(), "-m", "molecule", "test", "--destroy", "never", "--scenario-name", scenario],
            env={"LAB": LAB},
            # What testinfra held; a scenario that verified nothing has failed.
            counted=True,
            shown=len(chosen) == 1,
            seconds=900,
        )
        for scenario in chosen
    ]
