# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first look: by triage.yml, and by the handbook's own commands, each in a session of its own as a person types them."""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import time

from drills.fixture import DrillLab
from drills.observe import COMPOSE_DIR

FAULTS = (None, "containers-exited", "docker-stopped")
# Their curl and git for what the handbook opens in a browser; df and the health endpoint come later in it.
HANDBOOK = (
    f"cd {COMPOSE_DIR} && docker compose ps",
    f"git -c safe.directory='*' -C {COMPOSE_DIR} log --oneline -10",
    "curl -s -m 5 http://localhost:9090/api/v1/alerts",
    "df -h",
    "curl -s -m 5 -I http://localhost:8080/api/health",
)
SECONDS, TASKS = 8.0, 8


def compare(shop: DrillLab, times: int) -> list[str]:
    """The table, then each promise and whether this machine saw it kept."""
    lines, verdicts = ["fault                 ours  theirs   ratio   remote tasks"], []
    for fault in FAULTS:
        name = fault or "healthy"
        print(f"{name}: triage.yml against {len(HANDBOOK)} commands over ssh", flush=True)
        shop.begin(f"triage-{name}")
        if fault is not None:
            shop.break_(fault)
        runs = [shop.run("triage", callback="monero_marketplace.incident.oncall") for _ in range(times)]
        theirs = statistics.median(by_hand(shop) for _ in range(times))
        ours, tasks = statistics.median(run.seconds for run in runs), max(len(run.remote) for run in runs)
        lines.append(f"{name:<19}{ours:7.1f} {theirs:7.1f} {ours / theirs:7.2f} {tasks:14d}")
        for what, found, limit in (("seconds", ours, SECONDS), ("remote tasks", float(tasks), float(TASKS))):
            verdicts.append(f"{'PASS' if found <= limit else 'OVER'}  {name}: {found:.1f} of {limit:.0f} {what}")
    shop.heal()
    head = f"\nbench triage: {os.cpu_count()} cores, median of {times}, seconds until all is shown\n"
    return [head, *lines, "", *verdicts]


def by_hand(shop: DrillLab) -> float:
    """Typed without a pause, over one ssh connection that is kept open."""
    began = time.monotonic()
    for command in HANDBOOK:
        # Some of them fail on a broken host: that is what they show.
        subprocess.run([*shop.lab.ssh_command(), f"sudo -n sh -c {shlex.quote(command)}"], capture_output=True, check=False)
    return time.monotonic() - began
