# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab that the drills share, with what each of them needs at hand."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drills.observe import LEASE_DIR, STATE_DIR, Snapshot, answers, difference, look, timeline, wait_until_good
from drills.playbook import PROJECT, Controller, Run
from lab import faults
from lab.instance import Lab
from lab.places import labs

HEAL_SECONDS = 90.0

# Where else a run may put something for a moment, and what such a thing looks like.
SCRATCH = ("/run/marketplace", "/root/.ansible/tmp", "/home/deploy/.ansible/tmp")
SCRAP = re.compile(
    r"/(\.(?!lock$)|tmp)[^/]*$|(\.tmp|\.part|\.partial|\.new|~)$|/log_archive\.json$|/ansible-tmp-[^/]*$|/\.cleared-"
)
SCRIPT = PROJECT / "script" / "lab"


@contextlib.contextmanager
def running_lab(name: str, artifacts: Path) -> Iterator[DrillLab]:
    """Up, if it is not; taken down at the end only by whoever brought it up."""
    environment = os.environ | {"LAB": name}
    was_up = (labs() / name / "state.json").exists()
    if was_up:
        # It may be as broken as an interrupted session left it; what healing cannot do is made anew.
        healed = subprocess.run([SCRIPT, "heal"], env=environment, check=False).returncode == 0
        if not healed or subprocess.run([SCRIPT, "up"], env=environment, check=False).returncode != 0:
            subprocess.run([SCRIPT, "down"], env=environment, check=True)
    subprocess.run([SCRIPT, "up"], env=environment, check=True)
    running = DrillLab(name, artifacts)
    try:
        yield running
    finally:
        running.controller.close()
        if not was_up:
            subprocess.run([SCRIPT, "down"], env=environment, check=True)


class DrillLab:
    """A running lab, a controller to run playbooks from, and the questions a drill asks."""

    def __init__(self, name: str, artifacts: Path) -> None:
        self.lab = Lab.named(name)
        self.artifacts = artifacts
        self.controller = Controller(name, artifacts / "setup")

    @property
    def desk(self) -> Path:
        return self.lab.desk

    def begin(self, drill: str) -> None:
        """Heal, and forget what earlier drills left on the host and on the desk."""
        self.heal()
        self.lab.run(["find", LEASE_DIR, STATE_DIR, "-mindepth", "1", "-delete"])
        # On a host that never saw a run, the first copy to look at would make them.
        self.lab.run(["mkdir", "-p", "-m", "700", LEASE_DIR, STATE_DIR], check=True)
        for entry in self.desk.glob("*"):
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        self.controller.artifacts = self.artifacts / drill
        self.controller.artifacts.mkdir(exist_ok=True)
        print(f"{drill}: output of every run in {self.controller.artifacts}")

    def heal(self) -> None:
        """Everything healthy again, without the collection."""
        faults.heal(self.lab)
        wait_until_good(self.lab, HEAL_SECONDS)

    def break_(self, fault: str) -> None:
        """The lab's own fault; it returns when users see it."""
        faults.break_lab(self.lab, fault)

    def look(self) -> Snapshot:
        return look(self.lab)

    def timeline(self) -> list[dict[str, Any]]:
        return timeline(self.desk)

    def run(self, playbook: str, *arguments: str, **options: Any) -> Run:
        return self.controller.run(playbook, *arguments, **options)

    def answers(self) -> dict[str, int | None]:
        return answers(self.lab)

    def assert_unchanged(self, before: Snapshot, volatile: frozenset[str] = frozenset(), desk_too: bool = True) -> None:
        """Containers, start times, files on the host and files on the desk are as they were.

        Without the desk: a run that tells the desk something leaves the record's new length on the host too.
        """
        record = (
            ()
            if desk_too
            else ("desk:", *(f"files: {path}: " for path in (f"{STATE_DIR}/", f"{LEASE_DIR}/", f"{STATE_DIR}/records.json")))
        )
        changes = [line for line in difference(before, self.look(), volatile) if not line.startswith(record)]
        assert not changes, "the run changed what it should leave alone:\n" + "\n".join(changes)

    def assert_tidy(self, paused: frozenset[str] = frozenset()) -> None:
        """No lease, no pause but those that were there, no half-written file, no silence, nobody's module at work."""
        found = self.lab.run(["find", LEASE_DIR, STATE_DIR, *SCRATCH, "-mindepth", "1"]).stdout.splitlines()
        leases = [path for path in found if path.endswith("lease.json")]
        assert not leases, f"the run left its lease: {leases}"
        scraps = [path for path in found if SCRAP.search(path)]
        assert not scraps, f"the run left scraps: {scraps}"
        left = {name for name, one in self.look().containers.items() if one.paused} - paused
        assert not left, f"the run left paused: {sorted(left)}"
        status, silences = self.lab.get("alertmanager", "/api/v2/silences?filter=")
        active = [one for one in json.loads(silences) if one["status"]["state"] != "expired"] if status == 200 else []
        assert not active, f"the run left silences: {active}"
