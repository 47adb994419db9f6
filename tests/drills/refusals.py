# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sites that a run must refuse, each made on the host or in an inventory, and unmade afterwards."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from drills.fixture import DrillLab
from drills.observe import COMPOSE_DIR, STATE_DIR

ELSEWHERE = "/opt/marketplace/elsewhere"
WRAPPER = "/usr/local/bin/docker"
SUDOERS = "/etc/sudoers.d/deploy"

OLD_COMPOSE = """#!/bin/sh
# An old Compose in front of the real one.
case "$*" in
  "compose version"*json*) echo '{"version":"v2.10.2"}' ;;
  "compose version"*short*) echo 2.10.2 ;;
  "compose version"*) echo 'Docker Compose version v2.10.2' ;;
  *) exec /usr/bin/docker "$@" ;;
esac
"""

BROKEN_COMPOSE = "services:\n  server:\n    image: [unclosed\n  nginx: {}\n"

HOLD = {
    "hold": "drill",
    "reason": "evidence is being taken",
    "by": "alice",
    "responder": "alice",
    "placed_at": "2026-01-01T00:00:00Z",
    "since": "2026-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class Refusal:
    """One way to be refused, and the words of its sentence."""

    name: str
    says: tuple[str, ...]
    prepare: Callable[[DrillLab, Path], AbstractContextManager[None]]
    arguments: tuple[str, ...] = ()
    playbook: str = "outage"
    # Reads the inventory from the drill's folder instead of the lab's own.
    own_inventory: bool = False
    # A run that asks for a confirmation says so on the desk.
    desk_too: bool = True


def on_host(drill: DrillLab, script: str) -> None:
    answer = drill.lab.run(["sh", "-ec", script])
    assert answer.returncode == 0, f"{script}: {answer.stderr}"


def write(path: str, content: str, mode: str = "644") -> str:
    """Shell that writes a file."""
    return f"mkdir -p -m 700 {path.rpartition('/')[0]}; cat > {path} <<'END'\n{content}\nEND\nchmod {mode} {path}\n"


@contextlib.contextmanager
def nothing(drill: DrillLab, folder: Path) -> Iterator[None]:
    """The host is healthy; what is wrong stands in the arguments."""
    yield


@contextlib.contextmanager
def empty_group(drill: DrillLab, folder: Path) -> Iterator[None]:
    (folder / "hosts.yml").write_text("marketplace:\n  hosts: {}\n")
    yield


@contextlib.contextmanager
def unreachable(drill: DrillLab, folder: Path) -> Iterator[None]:
    host = {"ansible_host": "127.0.0.1", "ansible_port": 1, "incident_desk_dir": str(drill.desk)}
    (folder / "hosts.yml").write_text(json.dumps({"marketplace": {"hosts": {"market-9": host}}}))
    yield


@contextlib.contextmanager
def lease_of_another(drill: DrillLab, folder: Path) -> Iterator[None]:
    """Alice's run dies while it acts; what it repaired breaks again. Her lease has not run out."""
    drill.break_("stack-down")
    alice = drill.controller.start("outage", "-e", "incident_responder=alice")
    while alice.running and not any(entry["event"] == "intent" for entry in drill.timeline()):
        time.sleep(0.05)
    assert alice.running, f"the run ended before it acted:\n{alice.finish().output}"
    alice.kill(tree=True)
    deadline = time.monotonic() + 60
    while drill.lab.run(["pgrep", "-f", "[B]ECOME-SUCCESS"]).returncode == 0:
        assert time.monotonic() < deadline, "what Alice's run left on the host does not end"
        time.sleep(0.5)
    drill.heal()
    drill.break_("containers-exited")
    yield


@contextlib.contextmanager
def broken(drill: DrillLab, folder: Path, fault: str) -> Iterator[None]:
    drill.break_(fault)
    yield


def fault(name: str) -> Callable[[DrillLab, Path], AbstractContextManager[None]]:
    return lambda drill, folder: broken(drill, folder, name)


@contextlib.contextmanager
def script(drill: DrillLab, folder: Path, before: str, after: str) -> Iterator[None]:
    on_host(drill, before)
    try:
        yield
    finally:
        on_host(drill, after)


def host(before: str, after: str) -> Callable[[DrillLab, Path], AbstractContextManager[None]]:
    return lambda drill, folder: script(drill, folder, before, after)


@contextlib.contextmanager
def held(drill: DrillLab, folder: Path) -> Iterator[None]:
    drill.break_("containers-exited")
    hold = f"{STATE_DIR}/holds/drill.json"
    with script(drill, folder, write(hold, json.dumps(HOLD), "600"), f"rm {hold}"):
        yield


REFUSALS = (
    Refusal("empty-group", ("marketplace", "inventor"), empty_group, own_inventory=True),
    Refusal("unreachable", ("market-9", "127.0.0.1"), unreachable, own_inventory=True),
    Refusal("lease-held", ("alice", "take_over=true"), lease_of_another, ("-e", "incident_responder=bob")),
    Refusal("missing-confirmation", ("confirm=unpause:server",), fault("paused"), desk_too=False),
    Refusal(
        "verify-server-down",
        ("/api/health",),
        fault("containers-exited"),
        ("-e", "service_verify_deadline=10"),
        playbook="verify",
    ),
    Refusal("unknown-service", ("servre", "server"), nothing, ("-e", "marketplace_server_service=servre")),
    Refusal(
        "wrong-path",
        ("/opt/nowhere", "marketplace_compose_dir"),
        nothing,
        ("-e", "marketplace_compose_dir=/opt/nowhere"),
    ),
    Refusal(
        "no-compose-file",
        (ELSEWHERE,),
        host(f"mkdir -p {ELSEWHERE}", f"rm -r {ELSEWHERE}"),
        ("-e", f"marketplace_compose_dir={ELSEWHERE}"),
    ),
    Refusal(
        "broken-compose-file",
        (ELSEWHERE, "L3"),
        host(write(f"{ELSEWHERE}/compose.yml", BROKEN_COMPOSE), f"rm -r {ELSEWHERE}"),
        ("-e", f"marketplace_compose_dir={ELSEWHERE}"),
    ),
    Refusal("old-compose", ("2.10.2", "2.18"), host(write(WRAPPER, OLD_COMPOSE, "755"), f"rm {WRAPPER}")),
    Refusal("no-sudo", ("sudo", "password"), host(f"mv {SUDOERS} /root/", f"mv /root/deploy {SUDOERS}")),
    Refusal("hold", ("alice", "hold"), held),
)

assert COMPOSE_DIR != ELSEWHERE
