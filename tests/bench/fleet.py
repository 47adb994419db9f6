# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host against twenty: how much longer a playbook takes when nothing is wrong."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

from drills.fixture import DrillLab
from drills.many import many_hosts
from drills.playbook import PROJECT, Run

PLAYBOOKS = ("outage", "verify", "triage")
# What the design promises: twenty hosts in at most this many times the time of one.
MOST = 8.0


def compare(shop: DrillLab, folder: Path, times: int) -> list[str]:
    """The table, then each promise and whether this machine saw it kept."""
    lines, verdicts = ["playbook              one    twenty     ratio"], []
    with many_hosts(shop.lab, folder) as many:
        for playbook in PLAYBOOKS:
            if not (PROJECT / "playbooks" / f"{playbook}.yml").exists():
                continue
            print(f"{playbook}.yml on one host and on {len(many.hosts)}", flush=True)
            # Turn about, so that what else the machine does falls on both.
            pairs = [(seconds(many.run(playbook, "--limit", shop.lab.name)), seconds(many.run(playbook))) for _ in range(times)]
            one, all_ = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = all_ / one
            lines.append(f"{playbook:<17}{one:8.1f} {all_:9.1f} {ratio:9.2f}")
            verdicts.append(
                f"{'PASS' if ratio <= MOST else 'OVER'}  {playbook}: twenty hosts in {ratio:.1f} of {MOST:.1f} times one"
            )
    head = f"\nbench fleet: {os.cpu_count()} cores, median of {times}, seconds of a run on healthy hosts\n"
    return [head, *lines, "", *verdicts]


def seconds(run: Run) -> float:
    """Of a run in which nothing was wrong; anything else would be no comparison."""
    if run.status != 0:
        raise SystemExit(f"a host was not healthy, so there is nothing to compare:\n{run.output}")
    return run.seconds
