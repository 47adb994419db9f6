# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is true on the host and on the desk, seen by another route than the playbook's."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab.instance import Lab

LEASE_DIR = "/run/marketplace_incident"
STATE_DIR = "/var/lib/marketplace_incident"
COMPOSE_DIR = "/opt/marketplace/4.5/docker"

# Runs on the host. Asks no daemon that is stopped: a socket would start it; and none that is halted: it would not answer.
LOOK = r"""
import hashlib, json, os, subprocess, sys
out = {"files": {}, "units": {}, "containers": {}, "images": [], "stopped": []}
for top in sys.argv[1:]:
    for folder, _, names in os.walk(top):
        for name in [""] + names:
            path = os.path.join(folder, name)
            if path.endswith(("/.git/index", ".lock", "/scratch/", "/wallet_proof/", "/wallet_proof/lock")):
                continue  # git status refreshes the first, asking for a lock makes the others, a copy to look at the rest; it is gone again
            state = os.lstat(path)
            digest = ""
            if name and os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as content:
                    digest = hashlib.sha256(content.read()).hexdigest()
            out["files"][path] = "%o %d %s" % (state.st_mode, state.st_uid, digest)
for unit in ("docker.service", "docker.socket"):
    asked = subprocess.run(["systemctl", "is-active", unit], capture_output=True, text=True)
    out["units"][unit] = asked.stdout.strip()
def halted():
    try:
        with open("/run/docker.pid") as pid, open("/proc/%s/stat" % pid.read().strip()) as stat:
            return stat.read().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False
if out["units"]["docker.service"] == "active" and not halted():
    def docker(*argv):
        return subprocess.run(["docker", *argv], capture_output=True, text=True, check=True, timeout=20).stdout
    ids = docker("ps", "-aq").split()
    found = json.loads(docker("inspect", *ids)) if ids else []
    out["containers"] = {
        one["Config"]["Labels"].get("com.docker.compose.service", one["Name"]): {
            "id": one["Id"], "status": one["State"]["Status"], "paused": one["State"]["Paused"],
            "started": one["State"]["StartedAt"], "restarts": one["RestartCount"],
            "health": one["State"].get("Health", {}).get("Status", "none"),
        } for one in found}
    out["images"] = sorted(docker("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines())
for line in subprocess.run(["ps", "-eo", "pid,stat,comm"], capture_output=True, text=True).stdout.splitlines()[1:]:
    pid, state, command = line.split(None, 2)
    if state.startswith("T"):
        out["stopped"].append(pid + " " + command)
print(json.dumps(out))
"""


@dataclass(frozen=True)
class Container:
    """A service's container as the engine knows it."""

    id: str
    status: str
    paused: bool
    started: str
    restarts: int
    health: str

    @property
    def good(self) -> bool:
        return self.status == "running" and self.health in ("healthy", "none")


@dataclass(frozen=True)
class Snapshot:
    """Everything a run that changes nothing leaves equal."""

    units: dict[str, str]
    containers: dict[str, Container]
    images: list[str]
    stopped: list[str]
    files: dict[str, str]
    desk: dict[str, str]

    @property
    def good(self) -> dict[str, Container]:
        """The services nobody needs to touch."""
        return {name: one for name, one in self.containers.items() if one.good}

    @property
    def settled(self) -> bool:
        return bool(self.containers) and len(self.good) == len(self.containers)

    def fixed(self, volatile: frozenset[str]) -> Snapshot:
        """Without what moves by itself: health states, and the life of containers that restart by themselves."""
        containers = {
            name: replace(one, health="", restarts=0)
            if name not in volatile
            else replace(one, health="", restarts=0, started="", status="")
            for name, one in self.containers.items()
        }
        return replace(self, containers=containers)


def look(lab: Lab) -> Snapshot:
    """Take a snapshot of the host and of the desk."""
    answer = lab.run(["python3", "-c", LOOK, COMPOSE_DIR, LEASE_DIR, STATE_DIR, "/etc/docker"])
    assert answer.returncode == 0, f"the host could not be looked at: {answer.stderr}"
    seen: dict[str, Any] = json.loads(answer.stdout)
    return Snapshot(
        units=seen["units"],
        containers={name: Container(**one) for name, one in seen["containers"].items()},
        images=seen["images"],
        stopped=seen["stopped"],
        files=seen["files"],
        desk=desk_files(lab.desk),
    )


def difference(before: Snapshot, after: Snapshot, volatile: frozenset[str] = frozenset()) -> list[str]:
    """What is not equal, one line each."""
    lines = []
    one, two = before.fixed(volatile), after.fixed(volatile)
    for part in ("units", "containers", "files", "desk"):
        old, new = getattr(one, part), getattr(two, part)
        lines += [
            f"{part}: {key}: {old.get(key)} -> {new.get(key)}"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        ]
    lines += [
        f"{part}: {getattr(one, part)} -> {getattr(two, part)}"
        for part in ("images", "stopped")
        if getattr(one, part) != getattr(two, part)
    ]
    return lines


def desk_files(desk: Path) -> dict[str, str]:
    """Each file of the desk and its hash."""
    if not desk.exists():
        return {}
    return {
        str(path.relative_to(desk)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(desk.rglob("*"))
        if path.is_file()
    }


def timeline(desk: Path) -> list[dict[str, Any]]:
    """Every complete line of every incident's timeline."""
    entries = []
    for path in sorted(desk.glob("*/timeline.jsonl")):
        text = path.read_text(encoding="utf-8")
        entries += [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return entries


def answers(lab: Lab, timeout: float = 3.0) -> dict[str, int | None]:
    """Status from outside: through nginx with TLS, and from the server's own port."""
    return {port: lab.get(port, "/api/health", timeout)[0] for port in ("https", "health")}


def wait_until_good(lab: Lab, seconds: float) -> None:
    """Wait until every service is healthy and both doors answer; says what is missing otherwise."""
    deadline = time.monotonic() + seconds
    while True:
        seen, doors = look(lab), answers(lab)
        if seen.settled and set(doors.values()) == {200}:
            return
        if time.monotonic() > deadline:
            sick = {name: f"{one.status}/{one.health}" for name, one in seen.containers.items() if not one.good}
            raise AssertionError(f"the lab is not healthy after {seconds:.0f} s: {doors}, {sick}")
        time.sleep(0.5)
