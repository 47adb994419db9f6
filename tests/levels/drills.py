# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Level drills: break, run the playbook, look from outside. The drills bring their own lab."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from levels.check import PROJECT, Check, environment, python, say


def drills(*options: str, name: str = "drills") -> Check:
    """pytest over the drills, with what it says as it says it."""
    return Check(
        name,
        [python(), "-m", "pytest", "--verbose", "tests/drills", *options],
        counted=True,
        shown=True,
        seconds=3000,
    )


def lab(name: str, verb: str) -> Check:
    """script/lab for one lab."""
    return Check(f"lab {name}: {verb}", ["script/lab", verb], env={"LAB": name}, seconds=1200)


def labs(parts: int) -> list[str]:
    """The labs of the parts."""
    first = os.environ.get("LAB") or "drills"
    return [first, *(f"{first}-{number}" for number in range(2, parts + 1))]


def in_parts(parts: int, *options: str) -> list[Check]:
    """Each part on a lab of its own, to be run side by side: most of a drill's time is waiting for the engine."""
    return [
        Check(
            f"drills, part {number}",
            [
                python(),
                "-m",
                "pytest",
                "--verbose",
                "--durations=0",
                "tests/drills",
                f"--drill-part={number}/{parts}",
                *options,
            ],
            env={"LAB": name},
            counted=True,
            shown=True,
            seconds=3000,
        )
        for number, name in enumerate(labs(parts), 1)
    ]


def chosen(arguments: Sequence[str]) -> Check:
    """As on the command line: a prefix, a set, or all."""
    options = [argument if argument.startswith("-") else f"--drill-prefix={argument}" for argument in arguments]
    return drills(*options)


def show_names() -> int:
    """All drills by name; the exit status."""
    listed = subprocess.run(
        [python(), "-m", "pytest", "--quiet", "--no-summary", "tests/drills", "--drill-list"],
        cwd=PROJECT, env=environment({}), capture_output=True, text=True, check=False,
    )  # fmt: skip
    names = [line for line in listed.stdout.splitlines() if line and " " not in line]
    say("\n".join(names) if names else f"{listed.stdout}{listed.stderr}")
    return 0 if names else 1
