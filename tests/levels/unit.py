# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Level unit: pure logic, module shells, rules over the YAML, and the three ways to install."""

from __future__ import annotations

import os

from levels.check import Check
from levels.sanity import NEWEST, OLDEST, Pair


def unit(pair: Pair, *folders: str, shown: bool = False) -> Check:
    """pytest over some folders in one pair's environment."""
    return Check(
        f"unit, {pair.name}",
        [pair.folder / "bin" / "python", "-m", "pytest", "--quiet", "--numprocesses=2", "--dist=loadfile", *folders],
        # ansible-playbook has to be the pair's own.
        env={"PATH": os.pathsep.join([str(pair.folder / "bin"), str(NEWEST.folder / "bin"), os.environ["PATH"]])},
        counted=True,
        shown=shown,
        seconds=300,
    )


def checks() -> list[Check]:
    """In the newest pair, as a person calls it."""
    return [unit(NEWEST, "tests/unit", "tests/integration", shown=True)]


def oldest_checks() -> list[Check]:
    """In the oldest pair: what runs inside Ansible; the rest depends on neither Python nor core."""
    return [unit(OLDEST, "tests/unit/plugins", "tests/integration")]
