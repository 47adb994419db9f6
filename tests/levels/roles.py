# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Level roles: molecule, one scenario per role, on a lab of its own."""

from __future__ import annotations

import os

from levels.check import PROJECT, Check, python

# Two test runs on one machine keep apart by LAB=name; each has a lab for its drills and one for its roles.
LAB = f"{os.environ['LAB']}-roles" if os.environ.get("LAB") else "roles"
SCENARIOS = PROJECT / "molecule"


def names() -> list[str]:
    """All scenarios."""
    return sorted(path.parent.name for path in SCENARIOS.glob("*/molecule.yml"))


def checks(name: str = "") -> list[Check]:
    """One scenario, or all; one after the other, because they share the lab."""
    return [
        Check(
            f"role {scenario}",
            # There is nothing to create or destroy; the lab is there before and after.
            [python(), "-m", "molecule", "test", "--destroy", "never", "--scenario-name", scenario],
            env={"LAB": LAB},
            # What testinfra held; a scenario that verified nothing has failed.
            counted=True,
            shown=bool(name),
            seconds=900,
        )
        for scenario in ([name] if name else names())
    ]
