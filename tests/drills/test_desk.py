# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desk on another host, down, and full; the host itself full: one sentence, nothing lost, a later run heals."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drills.fixture import DrillLab
from drills.observe import LEASE_DIR, STATE_DIR
from drills.playbook import Controller, Run
from drills.test_exit_status import said_once

ONCALL = "monero_marketplace.incident.oncall"
FAR_DESK = "/srv/incident_desk"
SPOOL = f"{STATE_DIR}/spool"
# Small enough to be filled at once, large enough for what a run writes.
SIZE = "size=512k,nr_inodes=64,mode=700"

# Fill a file system to its last block or its last inode; what was there is not touched.
BLOCKS = "dd if=/dev/zero of={0}/.filler bs=4k 2>/dev/null; i=0; while printf x > {0}/.filler.$i; do i=$((i+1)); done 2>/dev/null; true"
INODES = "i=0; while true > {0}/.filler.$i; do i=$((i+1)); done 2>/dev/null; true"
EMPTY = "rm -f {0}/.filler*"
FILLS = pytest.mark.parametrize("fill", [BLOCKS, INODES], ids=["blocks", "inodes"])


def far_desk(drill: DrillLab, folder: Path, port: int) -> tuple[str, ...]:
    """The desk as another host of the inventory, reached over SSH; a port nobody listens on is a desk that is down."""
    state = drill.lab.state
    host = {
        "ansible_host": state["address"], "ansible_port": port, "ansible_user": state["ssh_user"], "ansible_become": True,
        "ansible_ssh_private_key_file": state["ssh_key"], "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={state['known_hosts']} -o ConnectTimeout=5",
    }  # fmt: skip
    file = folder / "desk.json"
    file.write_text(json.dumps({"incident_desk": {"hosts": {"desk-1": host}}}))
    return "-i", str(file), "-e", f"incident_desk_dir={FAR_DESK}"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def spooled(drill: DrillLab) -> list[dict[str, Any]]:
    return lines(drill.lab.run(["sh", "-c", f"cat {SPOOL}/*/timeline.jsonl 2>/dev/null"]).stdout)


def chained(entries: list[dict[str, Any]]) -> bool:
    return all(one["hash"] == two["previous"] for one, two in itertools.pairwise(entries))


@contextlib.contextmanager
def small(run: Callable[[str], object], folder: str) -> Iterator[None]:
    """A real file system of a few blocks at this place."""
    run(f"mkdir -p -m 700 {folder} && mount -t tmpfs -o {SIZE} drill {folder}")
    try:
        yield
    finally:
        run(f"umount {folder}")


def here(script: str) -> str:
    """On the controller, where the lab's desk is."""
    return subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout


def full(run: Run, place: str) -> None:
    """One sentence that names the place."""
    assert f"No space is left for {place}" in run.output, run.output
    assert run.output.count("No space is left for") == 1, run.output
    assert "Traceback" not in run.output
    said_once(run.output)


@pytest.mark.drill(name="outage-desk-down", pool="often")
def test_a_dead_desk_stops_no_repair_and_gets_everything_later(drill: DrillLab, tmp_path: Path) -> None:
    drill.lab.run(["rm", "-rf", FAR_DESK])
    drill.break_("containers-exited")
    run = drill.run("outage", *far_desk(drill, tmp_path, port=1), callback=ONCALL)
    assert run.status == 0, run.output
    assert "desk-1 did not take the record" in run.output and SPOOL in run.output, run.output
    kept = spooled(drill)
    assert [entry["event"] for entry in kept] == ["intent", "outcome"] and chained(kept)

    back = far_desk(drill, tmp_path, port=drill.lab.ports["ssh"])
    before = drill.look()
    planned = drill.run("outage", *back, "--check", callback=ONCALL)
    assert planned.status == 0, planned.output
    drill.assert_unchanged(before)
    assert "2 entries wait on the host" in drill.run("status", *back, callback=ONCALL).output

    run = drill.run("outage", *back, callback=ONCALL)
    assert run.status == 0 and "2 entries that the desk had not taken were delivered now" in run.output, run.output
    there = lines(drill.lab.run(["sh", "-c", f"cat {FAR_DESK}/INC-*/timeline.jsonl"]).stdout)
    assert [(entry["event"], entry["time"], entry["text"]) for entry in there] == [
        (entry["event"], entry["time"], entry["text"]) for entry in kept
    ]
    assert all(entry["delivered"] > entry["time"] for entry in there) and chained(there)
    assert spooled(drill) == []
    again = drill.run("outage", *back)
    assert (again.status, again.changed) == (0, 0), again.output
    drill.assert_tidy()


@pytest.mark.drill(name="outage-desk-full", pool="often")
@FILLS
def test_a_full_desk_loses_nothing(drill: DrillLab, fill: str) -> None:
    desk = str(drill.desk)
    with small(here, desk):
        first = drill.run("hold", "-e", "hold_name=first hold_reason='before the desk was full' hold_playbooks=rollback")
        assert first.status == 0, first.output
        before = drill.timeline()
        here(fill.format(desk))

        run = drill.run(
            "hold", "-e", "hold_name=second hold_reason='the desk is full' hold_playbooks=rollback", callback=ONCALL
        )
        assert run.status == 0, run.output
        full(run, desk)
        assert drill.timeline() == before, "nothing of the record is truncated"
        assert [entry["event"] for entry in spooled(drill)] == ["hold"]

        here(EMPTY.format(desk))
        run = drill.run("release_hold", "-e", "hold_name=second hold_reason='there is room again'", callback=ONCALL)
        assert run.status == 0 and "delivered now" in run.output, run.output
        said = drill.timeline()
        assert said[: len(before)] == before and chained(said)
        assert [entry["event"] for entry in said] == ["hold", "hold", "release"]
        assert spooled(drill) == []
    drill.assert_tidy()


@pytest.mark.drill(name="outage-host-full", pool="often")
@FILLS
def test_a_full_host_is_one_sentence_and_heals_later(drill: DrillLab, fill: str) -> None:
    def there(script: str) -> str:
        return drill.lab.run(["sh", "-c", script], check=True).stdout

    files = f"find {STATE_DIR} {LEASE_DIR} -type f ! -name '.filler*' ! -name '*.lock' -exec sha256sum {{}} +"
    drill.break_("containers-exited")
    for place in (STATE_DIR, LEASE_DIR):
        with small(there, place):
            there(fill.format(place))
            before, desk = there(files), drill.timeline()
            run = drill.run("outage", callback=ONCALL)
            assert run.status != 0, run.output
            full(run, place)
            after = {line for line in there(files).splitlines() if not line.endswith(("/fencing.json", "/attempts.json"))}
            assert after <= set(before.splitlines()), "nothing half is left"
            assert drill.timeline() == desk
    run = drill.run("outage", callback=ONCALL)
    assert run.status == 0, run.output
    assert drill.answers() == {"https": 200, "health": 200}
    drill.assert_tidy()


@pytest.mark.drill(name="outage-desk-two-writers", pool="rotated")
def test_two_controllers_write_to_one_desk_at_once(drill: DrillLab, tmp_path: Path) -> None:
    controllers = [Controller(drill.lab.name, tmp_path / str(number)) for number in range(2)]
    try:
        runs = [
            controller.start("hold", "-e", f"hold_name=hold-{number} hold_reason=both")
            for number, controller in enumerate(controllers)
        ]
        assert [run.finish().status for run in runs] == [0, 0]
    finally:
        for controller in controllers:
            controller.close()
    told = drill.timeline()
    assert chained(told) and [entry["seq"] for entry in told] == [1, 2]
    assert {entry["data"]["name"] for entry in told} == {"hold-0", "hold-1"}


@pytest.mark.drill(name="outage-recorded-nowhere", pool="rotated")
def test_what_nobody_took_is_said_and_the_host_is_given_back(drill: DrillLab, tmp_path: Path) -> None:
    drill.lab.run(["sh", "-c", f"mkdir -p -m 700 {STATE_DIR} && touch {SPOOL}"], check=True)
    drill.break_("containers-exited")
    before = {name: one.started for name, one in drill.look().containers.items()}
    run = drill.run("outage", *far_desk(drill, tmp_path, port=1), callback=ONCALL)
    assert run.status != 0 and SPOOL in run.output and "RECORDED NOWHERE" in run.output, run.output
    assert "Traceback" not in run.output and "OUTAGE" in run.output, run.output
    assert {name: one.started for name, one in drill.look().containers.items()} == before, (
        "without an intent nothing is changed"
    )
    drill.assert_tidy()
