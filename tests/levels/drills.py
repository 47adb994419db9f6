# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Level drills: break, run the playbook, look from outside. The drills bring their own lab."""

from __future__ import annotations

from collections.abc import Sequence

from levels.check import Check, python


def drills(*options: str, name: str = "drills") -> Check:
    """pytest over the drills, with what it says as it says it."""
    return Check(
        name,
        [python(), "-m", "pytest", "--verbose", "tests/drills", *options],
        counted=True,
        shown=True,
        seconds=3000,
    )


def chosen(arguments: Sequence[str]) -> Check:
    """As on the command line: a prefix, a set, or all."""
    options = [argument if argument.startswith("-") else f"--drill-prefix={argument}" for argument in arguments]
    return drills(*options)
