# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container that is a Debian host: systemd, sshd, its own Docker Engine, on file systems of its own."""

import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab import filesystems
from lab.engine import Engine
from lab.errors import LabError
from lab.places import COMPOSE_DIR, home
from lab.shell import reason, run, wait_until

LABEL = "marketplace-lab.home"

# Ports of the handbook, as they are on the host.
INSIDE_PORTS = {"ssh": 22, "http": 80, "https": 443, "health": 8080, "prometheus": 9090, "alertmanager": 9093}

SERVICE_UID = 10001


@dataclass(frozen=True)
class HostContainer:
    """One host; its folder holds its file systems, SSH keys and ledger."""

    engine: Engine
    name: str
    folder: Path

    def create(self, image: str, hostname: str, ports: Mapping[str, int], kind: str) -> None:
        """Create the container; its file systems are mounted, its folders exist."""
        ledger = self.folder / "ledger"
        ledger.mkdir(exist_ok=True)
        _own_by_services(ledger)
        volumes = [(filesystems.mount_point(self.folder, system), system.target) for system in filesystems.FILE_SYSTEMS]
        volumes.append((ledger, "/ledger"))
        words: list[str] = []
        for outside, inside in volumes:
            words += ["--volume", f"{outside}:{inside}"]
        for port, number in ports.items():
            words += ["--publish", f"127.0.0.1:{number}:{INSIDE_PORTS[port]}"]
        created = self.engine.docker(
            [
                "create", "--name", self.name, "--hostname", hostname,
                "--label", f"{LABEL}={home()}", "--label", f"marketplace-lab.kind={kind}",
                # The clock is the whole machine's: nothing inside may set it.
                "--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--cap-drop=SYS_TIME",
                "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
                "--security-opt", "systempaths=unconfined", "--cgroupns=private",
                "--tmpfs", "/run", "--tmpfs", "/run/lock",
                "--device-cgroup-rule", "b 7:* rmw", "--device-cgroup-rule", "c 10:237 rmw",
                "--volume", f"{self.folder / 'ssh' / 'host'}:/etc/ssh/lab:ro",
                *words, image,
            ],
            check=False,
        )  # fmt: skip
        if created.returncode != 0:
            raise LabError(f"The host container {self.name} could not be created: {reason(created)}")

    def start(self) -> None:
        """Start it."""
        started = self.engine.docker(["start", self.name], check=False)
        if started.returncode == 0:
            return
        said = reason(started)
        if "already allocated" in said or "address already in use" in said:
            raise LabError(f"A port of the lab was taken by another program meanwhile; run script/lab up again. ({said})")
        raise LabError(f"The host container {self.name} did not start: {said}")

    def state(self) -> str | None:
        """running, exited, created ...; None when it is not there."""
        return self.engine.container_state(self.name)

    def put_project(self, archive: Path) -> None:
        """Lay the Compose project into the container, before its engine starts the services."""
        with archive.open("rb") as file:
            self.engine.docker(["cp", "-", f"{self.name}:/"], stdin=file)

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        timeout: float | None = 600,
        stdin: str | IO[bytes] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside as root, without SSH."""
        interactive = ["--interactive"] if stdin is not None else []
        return self.engine.docker(["exec", *interactive, self.name, *argv], check=check, timeout=timeout, stdin=stdin)

    def compose(self, argv: Sequence[str], *, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run docker compose on the project inside."""
        return self.run(["docker", "compose", "--project-directory", COMPOSE_DIR, *argv], check=check, timeout=timeout)

    def wait_for_engine(self, seconds: float = 60) -> None:
        """Until the engine inside answers."""

        def answers() -> bool:
            return self.run(["docker", "version", "--format", "{{.Server.Version}}"], check=False).returncode == 0

        if not wait_until(answers, seconds, every=0.2):
            log = self.run(["journalctl", "--unit=docker", "--lines=3", "--output=cat"], check=False).stdout.strip()
            raise LabError(f"The Docker Engine inside {self.name} did not answer within {seconds:.0f} s: {log}")

    def stop_engine(self) -> None:
        """Stop the services and the engine inside, in the order that brings them back at the next start."""
        self.run(["systemctl", "stop", "docker.socket", "docker", "containerd"], timeout=180)

    def remove(self) -> None:
        """Remove the container and its volumes, and unmount its file systems."""
        if self.state() is not None:
            _thaw(self.engine.docker(["container", "inspect", "--format", "{{.Id}}", self.name]).stdout.strip())
            self.engine.docker(["rm", "--force", "--volumes", self.name])
        filesystems.unmount(self.folder)


def _thaw(identifier: str) -> None:
    """Let go of what is paused inside: the frozen cannot be killed, and would keep the container for ever."""
    for root in (Path("/sys/fs/cgroup/freezer"), Path("/sys/fs/cgroup")):
        for own in (root / "docker" / identifier, root / "system.slice" / f"docker-{identifier}.scope"):
            for state in own.rglob("freezer.state"):
                state.write_text("THAWED")
            for state in own.rglob("cgroup.freeze"):
                state.write_text("0")


def _own_by_services(folder: Path) -> None:
    run(["chown", "--recursive", f"{SERVICE_UID}:{SERVICE_UID}", folder])


def make_keys(folder: Path, hostname: str) -> None:
    """Keys of the host and of its user, so that the host is known before the first connection."""
    keys = folder / "ssh"
    host = keys / "host"
    host.mkdir(parents=True, exist_ok=True)
    keys.chmod(0o700)
    for file, comment in ((keys / "id_ed25519", f"deploy@{hostname}"), (host / "host_key", hostname)):
        file.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file])
    authorized = host / "authorized_keys"
    authorized.write_text((keys / "id_ed25519.pub").read_text())
    authorized.chmod(0o644)


def write_known_hosts(folder: Path, address: str, port: int) -> None:
    """The host's key under the address it is reached by."""
    key = (folder / "ssh/host/host_key.pub").read_text().split()
    (folder / "ssh/known_hosts").write_text(f"[{address}]:{port} {key[0]} {key[1]}\n")


def ssh_answers(address: str, port: int) -> bool:
    """Does sshd greet? A published port accepts long before anybody listens behind it."""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
