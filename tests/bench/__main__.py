# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry point of script/bench."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from bench import fleet, monero, restore, triage
from bench.outage import FAULTS, Repair, by_handbook, by_playbook
from drills.fixture import DrillLab, running_lab

# What the design promises, in seconds and as a share of the handbook's time.
SLACK = 10.0
OVERHEAD = 10.0
SERVED_SHARE = 0.5


def median(repairs: Sequence[Repair]) -> Repair:
    """The middle of each figure."""
    return Repair(**{one.name: statistics.median(getattr(each, one.name) for each in repairs) for one in fields(Repair)})


def measure(how: Callable[[DrillLab, str], Repair], shop: DrillLab, fault: str, times: int) -> Repair:
    """Repair it as often as asked."""
    return median([how(shop, fault) for _ in range(times)])


def table(rows: dict[str, tuple[Repair, Repair]]) -> list[str]:
    """Ours and theirs side by side, then where our time went."""
    lines = [
        "                     first outside 200           all services healthy",
        "fault                 ours  theirs   ratio        ours  theirs   ratio",
    ]
    lines += [
        f"{fault:<19}{ours.served:7.1f} {theirs.served:7.1f} {ours.served / theirs.served:7.2f}"
        f"     {ours.healthy:7.1f} {theirs.healthy:7.1f} {ours.healthy / theirs.healthy:7.2f}"
        for fault, (ours, theirs) in rows.items()
    ]
    lines += [
        "",
        "outage.yml           whole run   diagnosis   engine   proof   own overhead   remote tasks   retries",
    ]
    lines += [
        f"{fault:<19}{ours.total:11.1f} {ours.diagnosis:11.1f} {ours.engine:8.1f} {ours.proof:7.1f}"
        f" {ours.overhead:14.1f} {ours.remote_tasks:14.0f} {ours.retries:9.0f}"
        for fault, (ours, _) in rows.items()
    ]
    return lines


def targets(rows: dict[str, tuple[Repair, Repair]]) -> list[str]:
    """Each promise, and whether this machine saw it kept."""
    lines = []
    for fault, (ours, theirs) in rows.items():
        lines.append(verdict(ours.healthy, theirs.healthy + SLACK, f"{fault}: time to healthy, at most theirs + {SLACK:.0f} s"))
        lines.append(verdict(ours.overhead, OVERHEAD, f"{fault}: own overhead"))
        if fault == "containers-exited":
            lines.append(
                verdict(ours.served, theirs.served * SERVED_SHARE, f"{fault}: first outside 200, at most half of theirs")
            )
    return lines


def verdict(found: float, limit: float, what: str) -> str:
    """One promise as one line."""
    return f"{'PASS' if found <= limit else 'OVER'}  {what}: {found:.1f} s of {limit:.1f} s"


def main() -> int:
    """Measure and print; a slow machine is no failure."""
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("what", choices=["outage", "triage", "monero", "fleet", "restore"])
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; the table shows the median")
    parser.add_argument("--fault", choices=FAULTS, action="append", help="only this fault; may be given again")
    parser.add_argument("--megabytes", type=int, default=restore.MEGABYTES, help="how large the database is (restore)")
    options = parser.parse_args()

    if options.what == "restore":
        # Where files really lie on a disk.
        with tempfile.TemporaryDirectory(prefix="bench-", dir="/var/tmp") as folder:
            print("\n".join(restore.compare(Path(folder), options.repeat, options.megabytes)))
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        running_lab(os.environ.get("LAB") or "bench", Path(folder)) as shop,
    ):
        if options.what == "fleet":
            print("\n".join(fleet.compare(shop, Path(folder), options.repeat)))
            return 0
        if options.what == "monero":
            print("\n".join(monero.compare(shop, options.repeat)))
            return 0
        if options.what == "triage":
            print("\n".join(triage.compare(shop, options.repeat)))
            return 0
        rows = {}
        for fault in options.fault or FAULTS:
            print(f"{fault}: outage.yml", flush=True)
            ours = measure(by_playbook, shop, fault, options.repeat)
            print(f"{fault}: docker compose down; docker compose up -d", flush=True)
            rows[fault] = ours, measure(by_handbook, shop, fault, options.repeat)
    print(f"\nbench outage: {os.cpu_count()} cores, median of {options.repeat}, seconds since the command was given\n")
    print("\n".join([*table(rows), "", *targets(rows)]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as failed:
        # script/lab has already said why.
        sys.exit(failed.returncode)
