# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""outage.yml on twenty hosts, of which some are broken and some are dead."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from drills.fixture import DrillLab
from drills.many import Many, many_hosts, results
from drills.observe import Container, timeline
from drills.observe import look as look_at
from drills.playbook import Run
from lab.instance import Lab

FIRST_CONTACT = "Open | Reach the host, read its lease and holds"
# The connection's time-out, and what twenty first contacts take on a busy machine.
CONTACT_SECONDS = 10.0
MARGIN = 15.0


@pytest.mark.drill(name="outage-fleet", pool="rotated")
def test_twenty_hosts(drill: DrillLab, tmp_path: Path) -> None:
    with many_hosts(drill.lab, tmp_path) as many:
        assert len(many.hosts) == 20
        killed, imageless, silent, off = many.light[1:5]
        kill_server(many.hosts[killed])
        lose_image(many.hosts[imageless])
        # The kernel goes on accepting connections for a stopped sshd; nothing listens for a host that is off.
        many.hosts[silent].run(["pkill", "-STOP", "-x", "sshd"], check=True)
        many.hosts[off].engine.docker(["stop", "--time", "10", many.hosts[off].host.name])
        dead = {silent, off}
        alive = [name for name in many.hosts if name not in dead]
        before = containers(many, alive)

        first = many.run("outage")
        assert first.status != 0, first.output
        assert outcomes(first, many) == {
            **dict.fromkeys(many.hosts, "healthy"),
            killed: "restored",
            imageless: "escalated",
            silent: "failed",
            off: "failed",
        }
        one_line_each(first, many, whole={killed, imageless, *dead})
        assert "TOTAL 20 hosts · 16 healthy · 1 restored · 1 needs a person · 2 unreachable" in first.output, first.output
        assert re.search(rf"^first  {imageless} · NOT RESTORED.* image ", first.output, re.MULTILINE), first.output
        for name in dead:
            assert re.search(rf"^then   {name} · UNREACHABLE", first.output, re.MULTILINE), first.output
        assert delay_of_the_dead(first) < CONTACT_SECONDS + MARGIN
        after = containers(many, alive)
        assert {name for name in alive if before[name] != after[name]} == {killed}, "others were touched"
        assert before[killed]["nginx"] == after[killed]["nginx"], "nginx was well"
        record_holds_only(many.desk, {killed, imageless})

        told = timeline(many.desk)
        second = many.run("outage")
        assert second.status != 0 and second.changed == 0, second.output
        assert "TOTAL 20 hosts · 17 healthy · 1 needs a person · 2 unreachable" in second.output, second.output
        assert containers(many, alive) == after and timeline(many.desk) == told


def kill_server(host: Lab) -> None:
    host.docker(["kill", host.container("server") or "no server"], check=True)
    must_not_serve(host)


def lose_image(host: Lab) -> None:
    host.docker(["rm", "--force", host.container("server") or "no server"], check=True)
    host.docker(["rmi", "--force", "marketplace/server:light"], check=True)
    must_not_serve(host)


def must_not_serve(host: Lab) -> None:
    deadline = time.monotonic() + 10
    while host.serves():
        assert time.monotonic() < deadline, f"{host.name} still serves"
        time.sleep(0.2)


def containers(many: Many, names: list[str]) -> dict[str, dict[str, tuple[str, str]]]:
    """Identity and start of each container of these hosts."""

    def life(one: Container) -> tuple[str, str]:
        return one.id, one.started

    return {name: {service: life(one) for service, one in look_at(many.hosts[name]).containers.items()} for name in names}


def outcomes(run: Run, many: Many) -> dict[str, str]:
    found = {host: str(result["outcome"]) for host, result in results(run).items()}
    assert set(found) == set(many.hosts), f"a host has no result: {set(many.hosts) - set(found)}"
    return found


def one_line_each(run: Run, many: Many, whole: set[str]) -> None:
    """A header for each host; more than that only where there is more to say."""
    lines = run.output.split("\n")
    for name in many.hosts:
        headers = [number for number, line in enumerate(lines) if line.startswith(f"OUTAGE {name} · ")]
        assert len(headers) == 1, f"{name} has {len(headers)} headers:\n{run.output}"
        followed = re.match(r"(cause|why|did|proof) ", lines[headers[0] + 1]) is not None
        assert followed is (name in whole), f"{name}:\n{run.output}"
    assert "Traceback" not in run.output, run.output


def delay_of_the_dead(run: Run) -> float:
    """How long all others waited at the first task that goes to the hosts."""
    begun = [event for event in run.events if event["kind"] == "begin"]
    place = next(number for number, event in enumerate(begun) if event["task"].endswith(FIRST_CONTACT))
    return float(begun[place + 1]["at"] - begun[place]["at"])


def record_holds_only(desk: Path, wanted: set[str]) -> None:
    entries = timeline(desk)
    hosts = {str(entry["host"]) for entry in entries}
    assert hosts == wanted, hosts
