# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker engine that runs the host containers: the one that answers, else one of our own.

A second daemon beside a running one would share its bridge and hand out the same addresses, so there is never more than one:
our own also listens on the usual socket, where the next tool that asks for Docker finds it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.errors import LabError
from lab.places import cache
from lab.shell import run, wait_until

USUAL_SOCKET = Path("/var/run/docker.sock")


@dataclass(frozen=True)
class Engine:
    """One Docker engine, reached through its socket; ours when the lab started it."""

    host: str | None
    ours: bool

    def environment(self) -> dict[str, str]:
        """Environment of a docker command for this engine."""
        # The classic builder needs no plugin, and no person's configuration must change what is built.
        environment = {**os.environ, "DOCKER_BUILDKIT": "0", "DOCKER_CLI_HINTS": "false"}
        environment.pop("DOCKER_CONTEXT", None)
        if self.host:
            environment["DOCKER_HOST"] = self.host
        return environment

    def docker(
        self,
        argv: Sequence[str | Path],
        *,
        check: bool = True,
        timeout: float | None = 600,
        stdin: str | IO[bytes] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the docker command against this engine."""
        return run(["docker", *argv], check=check, timeout=timeout, stdin=stdin, env=self.environment())

    def has_image(self, image: str) -> bool:
        """Is the image in the engine?"""
        return self.docker(["image", "inspect", "--format", "ok", image], check=False).returncode == 0

    def container_state(self, name: str) -> str | None:
        """State of a container (running, exited, created ...), None when there is none."""
        found = self.docker(["container", "inspect", "--format", "{{.State.Status}}", name], check=False)
        return found.stdout.strip() if found.returncode == 0 else None

    def containers(self, label: str) -> list[str]:
        """Names of all containers with a label."""
        listed = self.docker(["ps", "--all", "--filter", f"label={label}", "--format", "{{.Names}}"])
        return listed.stdout.split()


def _folder() -> Path:
    return cache() / "engine"


def _own() -> Engine:
    return Engine(host=f"unix://{_folder() / 'docker.sock'}", ours=True)


def _answers(engine: Engine) -> bool:
    asked = run(["docker", "version", "--format", "{{.Server.Version}}"], check=False, timeout=20, env=engine.environment())
    return asked.returncode == 0


def running_engine() -> Engine | None:
    """The engine that answers: ours first, because our labs are in it."""
    if not shutil.which("docker"):
        raise LabError("The docker command is not on this machine: run script/bootstrap.")
    if (_folder() / "docker.sock").exists() and _answers(_own()):
        return _own()
    usual = Engine(host=None, ours=False)
    if not _answers(usual):
        if os.environ.get("DOCKER_HOST"):
            raise LabError(
                f"No Docker engine answers at DOCKER_HOST={os.environ['DOCKER_HOST']}: start it, or unset DOCKER_HOST."
            )
        return None
    if not _is_local():
        raise LabError(
            "The Docker engine in use is on another machine, where the lab's file systems are not: "
            "unset DOCKER_HOST, or run `docker context use default`."
        )
    return usual


def _is_local() -> bool:
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"].startswith("unix://")
    context = run(["docker", "context", "inspect"], check=False)
    if context.returncode != 0:
        return True
    endpoint = json.loads(context.stdout)[0].get("Endpoints", {}).get("docker", {}).get("Host", "unix://")
    return str(endpoint).startswith("unix://")


def ensure_engine() -> Engine:
    """The engine that answers; started here when none does."""
    return running_engine() or _start()


def _start() -> Engine:
    if not shutil.which("dockerd"):
        raise LabError("No Docker engine answers and dockerd is not on this machine: run script/bootstrap.")
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    engine = _own()
    log = folder / "dockerd.log"
    sockets = ["-H", f"unix://{folder / 'docker.sock'}"]
    if not USUAL_SOCKET.exists():
        sockets += ["-H", f"unix://{USUAL_SOCKET}"]
    arguments = [
        "dockerd", "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"),
        "--pidfile", str(folder / "docker.pid"), "--mtu", str(_smallest_mtu()), *sockets,
    ]  # fmt: skip
    with log.open("ab") as output:
        # systemd inside a host container cannot raise its limits above those of this daemon.
        daemon = subprocess.Popen(
            ["sh", "-c", 'ulimit -n 1048576 2>/dev/null; exec "$@"', "sh", *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    if not wait_until(lambda: daemon.poll() is not None or _answers(engine), 30):
        daemon.terminate()
        raise LabError(f"The Docker engine did not answer within 30 s of its start: read {log}.")
    if daemon.poll() is not None:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise LabError(f"The Docker engine did not start: {' '.join(last)} (all of it in {log}).")
    return engine


def _smallest_mtu() -> int:
    """Packets larger than the machine's own way out takes would be lost."""
    sizes = [int(path.read_text()) for path in Path("/sys/class/net").glob("e*/mtu")]
    return min([1500, *sizes])


def stop_own_engine() -> bool:
    """Stop the engine if it is the one the lab started; True when it was running."""
    pidfile = _folder() / "docker.pid"
    if not pidfile.exists():
        return False
    pid = int(pidfile.read_text())
    process = Path("/proc") / str(pid)
    if not process.exists() or "dockerd" not in (process / "cmdline").read_text(errors="replace"):
        return False
    os.kill(pid, 15)
    # A daemon that ended but was not reaped yet would make the next start say "pid file found".
    if not wait_until(lambda: not _alive(process) and not pidfile.exists(), 60):
        raise LabError(f"The lab's Docker engine (process {pid}) did not stop within 60 s: end it by `kill -9 {pid}`.")
    _unmount_below(_folder())
    run(["ip", "link", "delete", "docker0"], check=False)
    return True


def _alive(process: Path) -> bool:
    try:
        state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def remove_own_engine() -> None:
    """Remove the stopped engine's images and containers."""
    _unmount_below(_folder())
    shutil.rmtree(_folder(), ignore_errors=True)


def _unmount_below(folder: Path) -> None:
    """The daemon mounts its own folder on itself and leaves that at its end."""
    for line in sorted(Path("/proc/mounts").read_text().splitlines(), reverse=True):
        mount = line.split()[1]
        if mount.startswith(f"{folder}/"):
            run(["umount", "--lazy", mount], check=False)
