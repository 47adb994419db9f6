# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Level lint: everything that reads the sources without running them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from levels.check import PROJECT, Check, python
from levels.sanity import NEWEST, sanity

COLLECTION = Path(".collections/ansible_collections/monero_marketplace/incident")


def tracked(*patterns: str) -> list[Path]:
    """Files of the project, those not yet added to git too."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", *patterns],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = [Path(name) for name in listed.stdout.split("\0") if name]
    return [name for name in names if (PROJECT / name).is_file() and not (PROJECT / name).is_symlink()]


def shell_scripts() -> list[Path]:
    """Whatever a shell runs, by its first line."""
    found = []
    for name in tracked():
        with (PROJECT / name).open("rb") as file:
            first = file.readline(80)
        if first.startswith((b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash", b"# shellcheck shell=")):
            found.append(name)
    return found


def checks() -> list[Check]:
    """The longest first: they run two at a time."""
    return [
        sanity(NEWEST),
        Check("ansible-lint, profile production", ["ansible-lint", "--offline", "--strict", "--nocolor"]),
        Check("mypy, plugins", [python(), "-m", "mypy", COLLECTION / "plugins"]),
        Check(
            "mypy, lab and tests",
            [python(), "-m", "mypy", "lab", "tests/levels", "tests/drills", "tests/bench", "tests/recorder"],
        ),
        Check("ruff", ["ruff", "check", "."]),
        Check("yamllint", ["yamllint", "--strict", "."]),
        Check("shellcheck", ["shellcheck", "--external-sources", *shell_scripts()]),
        Check("changelog fragments", ["antsibull-changelog", "lint"]),
    ]
