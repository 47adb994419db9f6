# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Level unit: pure logic, module shells, rules over the YAML, and the three ways to install."""

from __future__ import annotations

import os

from levels.check import Check
from levels.sanity import NEWEST, OLDEST, Pair


def pytest(pair: Pair, name: str, *folders: str, shown: bool = False) -> Check:
    """pytest over some folders in one pair's environment."""
    return Check(
        f"{name}, {pair.name}",
        [pair.folder / "bin" / "python", "-m", "pytest", "--quiet", *folders],
        # ansible-playbook has to be the pair's own.
        env={"PATH": os.pathsep.join([str(pair.folder / "bin"), str(NEWEST.folder / "bin"), os.environ["PATH"]])},
        counted=True,
        shown=shown,
        seconds=1800,
    )


def checks() -> list[Check]:
    """In the newest pair, as a person calls it."""
    return [pytest(NEWEST, "unit", "tests/unit", shown=True), pytest(NEWEST, "installation", "tests/integration")]


# Minutes of damages and kills: what they find depends on SQLite and on the kernel, not on the pair.
EXHAUSTIVE = "not corpus and not killed and not many_writers and not large"


def oldest_checks() -> list[Check]:
    """In the oldest pair: what runs inside Ansible; the rest depends on neither Python nor core."""
    return [pytest(OLDEST, "unit", "tests/unit/plugins", "-k", EXHAUSTIVE), pytest(OLDEST, "installation", "tests/integration")]
