# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One lab that is up, as people and tests use it: its host over SSH, its engine, its published ports."""

import json
import shlex
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.engine import Engine, running_engine
from lab.errors import LabError
from lab.host_container import HostContainer, ssh_answers
from lab.places import COMPOSE_DIR, lab_name, labs
from lab.shell import run, wait_until

# Opening a wallet derives its key for seconds on one core, and meanwhile the RPC answers nobody: minutes, where others work too.
HEALTHY_SECONDS = 300


@dataclass(frozen=True)
class Service:
    """What the engine says about one service's container."""

    name: str
    state: str
    health: str

    @property
    def well(self) -> bool:
        """Running, and healthy if it says anything about health."""
        return self.state == "running" and self.health in ("healthy", "none")


@dataclass(frozen=True)
class Lab:
    """A running lab."""

    name: str
    engine: Engine
    state: dict[str, Any]

    @classmethod
    def named(cls, name: str | None = None) -> "Lab":
        """The lab of that name, by default the caller's ($LAB, else market-1)."""
        name = name or lab_name()
        file = labs() / name / "state.json"
        if not file.exists():
            raise LabError(f"There is no lab {name}: start it by `{command(name, 'up')}`.")
        engine = running_engine()
        if engine is None:
            raise LabError(f"The Docker engine of lab {name} is not running: `{command(name, 'up')}` starts both.")
        state = json.loads(file.read_text())
        if "authority" not in state:
            raise LabError(f"Lab {name} was started by an older script/lab: `{command(name, 'down')}` and up makes it anew.")
        return cls(name, engine, state)

    @property
    def folder(self) -> Path:
        """Everything that is kept for this lab outside."""
        return labs() / self.name

    @property
    def host(self) -> HostContainer:
        """Its host container."""
        return HostContainer(self.engine, str(self.state["container"]), self.folder)

    @property
    def ports(self) -> dict[str, int]:
        """Ports on this machine: ssh, http, https, health, prometheus, alertmanager."""
        return dict(self.state["ports"])

    @property
    def ledger(self) -> Path:
        """Folder of the writer's ledger, readable outside."""
        return Path(self.state["ledger"])

    @property
    def desk(self) -> Path:
        """The incident desk that belongs to this lab."""
        return Path(self.state["desk"])

    def ssh_command(self) -> list[str]:
        """The ssh command up to the host's name."""
        return ["ssh", *ssh_options(self.state), f"{self.state['ssh_user']}@{self.state['address']}"]

    def ssh(
        self, argv: Sequence[str], *, check: bool = False, timeout: float = 120, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root on the host, the way an operator does: SSH, then sudo."""
        remote = f"sudo -n -- {shlex.join(argv)}"
        return run([*self.ssh_command(), remote], check=check, timeout=timeout, stdin=stdin)

    def run(
        self, argv: Sequence[str], *, check: bool = False, timeout: float = 120, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root on the host without SSH: faster, and it works when sshd does not."""
        return self.host.run(argv, check=check, timeout=timeout, stdin=stdin)

    def reboot(self, seconds: float = 60) -> None:
        """The host off and on again; it returns when sshd and its engine answer."""
        self.engine.docker(["restart", "--time", "90", self.host.name])
        if not wait_until(lambda: ssh_answers(str(self.state["address"]), self.ports["ssh"]), seconds, every=0.2):
            raise LabError(f"The host of lab {self.name} did not come back within {seconds:.0f} s of its reboot.")
        self.host.wait_for_engine(seconds)

    def docker(self, argv: Sequence[str], *, check: bool = False, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run docker on the host."""
        return self.run(["docker", *argv], check=check, timeout=timeout)

    def compose(self, argv: Sequence[str], *, check: bool = False, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run docker compose on the host's project."""
        folder = str(self.state.get("compose_dir", COMPOSE_DIR))
        return self.docker(["compose", "--project-directory", folder, *argv], check=check, timeout=timeout)

    def container(self, service: str) -> str | None:
        """Identity of a service's container, whatever its state; None when there is none."""
        return self.compose(["ps", "--all", "--quiet", service]).stdout.strip() or None

    def services(self) -> list[Service]:
        """All containers of the project and how they are; empty when the engine inside does not answer."""
        # As JSON, because a label may hold anything, line breaks too.
        shape = '{{json (.Label "com.docker.compose.service")}}\t{{.State}}\t{{.Status}}'
        only = "label=com.docker.compose.project=marketplace"
        listed = self.docker(["ps", "--all", "--filter", only, "--format", shape], timeout=20)
        rows = (line.split("\t") for line in listed.stdout.splitlines()) if listed.returncode == 0 else ()
        return sorted((Service(json.loads(name), state, _health(status)) for name, state, status in rows), key=lambda s: s.name)

    def expected_services(self) -> list[str]:
        """The services that the project names, from the state kept at the start."""
        return list(self.state["services"])

    def all_healthy(self) -> bool:
        """Does every service run and is it healthy?"""
        found = {service.name: service.well for service in self.services()}
        return all(found.get(name, False) for name in self.expected_services())

    def get(self, port: str, path: str = "/", timeout: float = 3) -> tuple[int | None, str]:
        """GET from outside through a published port; status None when nothing answered."""
        secure = port == "https"
        url = f"{'https' if secure else 'http'}://{self.state['address']}:{self.ports[port]}{path}"
        request = urllib.request.Request(url, headers={"Connection": "close"})
        # As a customer's browser, which has the site's authority among those it trusts.
        context = ssl.create_default_context(cafile=self.state["authority"]) if secure else None
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode(errors="replace")
        except (OSError, urllib.error.URLError) as silent:
            return None, str(silent)

    def serves(self) -> bool:
        """Does a customer get an answer from the health endpoint?"""
        return self.get("health", "/api/health")[0] == 200

    def wait_until_serving(self, seconds: float = 60) -> bool:
        """Until the health endpoint says 200."""
        return wait_until(self.serves, seconds)

    def wait_until_healthy(self, seconds: float = HEALTHY_SECONDS) -> bool:
        """Until every service is healthy and the health endpoint says 200."""
        return wait_until(self.all_healthy, seconds, every=0.25) and self.wait_until_serving(seconds)


def _health(status: str) -> str:
    for word in ("unhealthy", "healthy", "starting"):
        if word in status:
            return word
    return "none"


def command(name: str, *words: str) -> str:
    """A script/lab command for this lab, as a person would type it."""
    prefix = "" if name == "market-1" else f"LAB={name} "
    return f"{prefix}script/lab {' '.join(words)}"


def ssh_options(state: dict[str, Any]) -> list[str]:
    """Options that reach the host with its own key and known host, reusing one connection."""
    socket = Path(state["ssh_key"]).parent / "control"
    return [
        "-i", state["ssh_key"], "-p", str(state["ports"]["ssh"]), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
        "-o", f"UserKnownHostsFile={state['known_hosts']}", "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR",
        "-o", "ControlMaster=auto", "-o", f"ControlPath={socket}", "-o", "ControlPersist=60", "-F", "/dev/null",
    ]  # fmt: skip
