# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Level unit: pure logic, module shells, rules over the YAML, and the three ways to install."""

from __future__ import annotations

import datetime
import os

from levels.check import PROJECT, Check
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
PLUGINS = PROJECT / "tests/unit/plugins"
# Of what knows nothing of Ansible, every Nth file of tests; which ones, changes from day to day.
ROTATED = 3


def oldest_checks() -> list[Check]:
    """In the oldest pair: what runs inside Ansible, and a share of the rest, which depends on its Python at most."""
    logic = sorted(PLUGINS.glob("module_utils/test_*.py"))[datetime.date.today().toordinal() % ROTATED :: ROTATED]
    shells = [path for path in PLUGINS.iterdir() if path.name != "module_utils" and any(path.glob("test_*.py"))]
    chosen = [str(path.relative_to(PROJECT)) for path in (*sorted(shells), *logic)]
    # Malformed answers meet the same sockets in each pair.
    served = "--ignore=tests/integration/test_hostile_servers.py"
    return [pytest(OLDEST, "unit", *chosen, "-k", EXHAUSTIVE), pytest(OLDEST, "installation", "tests/integration", served)]
