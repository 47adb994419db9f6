# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty hosts for one run: two full labs and eighteen light ones, all with one desk."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drills.fixture import SCRIPT, running_lab
from drills.playbook import Controller, Run
from lab import fleet
from lab.instance import Lab

LIGHT = 18


@dataclass(frozen=True)
class Many:
    """The hosts by name, and a controller that sees them all."""

    hosts: dict[str, Lab]
    controller: Controller
    desk: Path

    @property
    def light(self) -> list[str]:
        """The light ones."""
        return [name for name in self.hosts if "-light-" in name]

    def run(self, playbook: str, *arguments: str) -> Run:
        """Run it on all of them, as a person sees it."""
        return self.controller.run(
            playbook, "-e", f"incident_desk_dir={self.desk}", *arguments, callback="monero_marketplace.incident.oncall"
        )


@contextlib.contextmanager
def many_hosts(first: Lab, artifacts: Path) -> Iterator[Many]:
    """A second lab and the light hosts beside the first; the light ones are taken down at the end, whoever started them."""
    environment = os.environ | {"LAB": first.name}
    second = f"{first.name}-2"
    booting = subprocess.Popen([SCRIPT, "fleet", "up", str(LIGHT)], env=environment)
    try:
        with running_lab(second, artifacts):
            assert booting.wait(timeout=600) == 0, "script/lab fleet up failed: what it said is above"
            names = [first.name, second, *fleet.names(first.name)]
            controller = Controller(",".join(names), artifacts)
            try:
                yield Many({name: Lab.named(name) for name in names}, controller, artifacts / "desk")
            finally:
                controller.close()
    finally:
        booting.wait()
        subprocess.run([SCRIPT, "fleet", "down"], env=environment, check=True)


def results(run: Run) -> dict[str, dict[str, Any]]:
    """What the run handed to machines, by host."""
    return {result["host"]: result for result in run.results}
