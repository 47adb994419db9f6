# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of the host with not one byte left: one sentence, nothing cut in half, and a later run heals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from drills.fixture import DrillLab
from drills.ledger import Ledger
from drills.playbook import Run
from lab.shell import wait_until

ONCALL = "monero_marketplace.incident.oncall"
FILLER = "filler-of-a-drill"
# Until the file system refuses a single byte more.
FILL = """
import errno, os, sys
with open(sys.argv[1], "wb", buffering=0) as file:
    size = 1 << 28
    end = 0
    while size:
        try:
            os.posix_fallocate(file.fileno(), end, size)
            end += size
        except OSError as full:
            if full.errno != errno.ENOSPC:
                raise
            size //= 2
"""


@contextmanager
def full(drill: DrillLab, disk: str) -> Iterator[None]:
    """A disk on which nothing fits any more."""
    try:
        drill.lab.run(["python3", "-c", FILL, f"{disk}/{FILLER}"], check=True)
        left = drill.lab.run(["df", "--output=avail", "-B1", disk], check=True).stdout.split()[1]
        assert int(left) < 4096, f"{disk} still has {left} bytes"
        yield
    finally:
        drill.lab.run(["rm", "-f", f"{disk}/{FILLER}"], check=True)


def ends_in_a_sentence(run: Run, *words: str) -> None:
    assert run.status != 0 and run.result["outcome"] == "escalated", run.output
    assert "Traceback" not in run.output and "Errno" not in run.output, run.output
    for word in words:
        assert word in run.output, run.output


def heals(drill: DrillLab, *arguments: str) -> None:
    run = drill.run("outage", *arguments, callback=ONCALL)
    assert run.status == 0, run.output
    assert drill.answers() == {"https": 200, "health": 200}
    drill.assert_tidy()


@pytest.mark.drill(name="outage-full-data", pool="rotated")
def test_a_full_data_disk_is_left_to_a_person(drill: DrillLab) -> None:
    ledger = Ledger(drill.lab)
    with full(drill, "/data"):
        assert wait_until(lambda: drill.answers()["health"] == 503, 30), "users do not notice"
        before = drill.look()
        run = drill.run("outage", callback=ONCALL)
        ends_in_a_sentence(run, "disk of /data 100 % full", "du -xh")
        after = drill.look()
        # Prometheus ends by itself where it cannot write.
        assert {name: one.started for name, one in after.containers.items() if name != "prometheus"} == {
            name: one.started for name, one in before.containers.items() if name != "prometheus"
        }, "somebody was started in vain"
        drill.assert_tidy()
    heals(drill)
    drill.heal()
    ledger.assert_nothing_lost()


@pytest.mark.drill(name="outage-full-engine", pool="rotated")
def test_not_one_byte_on_the_engines_disk(drill: DrillLab) -> None:
    ledger = Ledger(drill.lab)
    drill.break_("two-causes")
    with full(drill, "/var/lib/docker"):
        heals(drill)
    drill.heal()
    ledger.assert_nothing_lost()


def logs(drill: DrillLab) -> dict[str, int]:
    """The large logs of containers, with their sizes."""
    command = "find /var/lib/docker/containers -name '*-json.log' -size +48M -printf '%p %s\\n'"
    lines = drill.lab.run(["sh", "-c", command], check=True).stdout.splitlines()
    return {path: int(size) for path, size in (line.split() for line in lines)}


@pytest.mark.drill(name="outage-full-keep", pool="rotated")
def test_a_log_whose_copy_does_not_fit_is_not_cut(drill: DrillLab) -> None:
    keep = ("-e", "docker_health_keep_dir=/backups/kept")
    drill.break_("disk-full")
    before = logs(drill)
    with full(drill, "/backups"):
        run = drill.run("outage", *keep, callback=ONCALL)
        ends_in_a_sentence(run, "/backups", "docker_health_keep_dir")
        after = logs(drill)
        assert before and all(after.get(path, 0) >= size for path, size in before.items()), "a log was cut"
        assert drill.lab.run(["find", "/backups/kept", "-type", "f"]).stdout == ""
        drill.assert_tidy()
    heals(drill, *keep)
    assert not logs(drill)
    drill.lab.run(["rm", "-r", "/backups/kept"], check=True)
