# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What a payout freeze asks and tells a host: Docker's restart policies, nftables, systemd."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _compose_engine,
    _compose_host,
    _engine_files,
    _look_project,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Ran, run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, sentence_from
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError
from ansible_collections.monero_marketplace.incident.plugins.module_utils._payout_freeze_cut import FAMILIES, TABLE, UNIT

SECONDS = 20.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Container:
    """A container of the project, with the engine's rule for starting it again."""

    identity: str
    service: str
    policy: str
    maximum: int = 0


@dataclass(frozen=True)
class Seen:
    """One look: containers is None where Docker gave no answer."""

    containers: list[Container] | None
    why: str = ""
    project: str = ""
    published: frozenset[int] = frozenset()
    living: list[_engine_files.Living] = field(default_factory=list)


class Machine:
    """The real host."""

    def __init__(self, project_dir: str, docker_timeout: float = 3.0) -> None:
        self.project_dir = project_dir
        self.docker_timeout = docker_timeout

    def look(self, wallet_services: Iterable[str]) -> Seen:
        """Who is there. A daemon that is silent, or a project that cannot be read, keeps nobody from freezing."""
        daemon = _compose_engine.read_daemon(self.docker_timeout)
        root = daemon.root_dir or _compose_host.engine_root()
        told = _compose_engine.read_containers(self.docker_timeout) if daemon.running else None
        why = "" if told is not None else f"Docker gives no answer ({daemon.detail})"
        living = _engine_files.living(root)
        try:
            project, _problem = _look_project.read(
                lambda: _compose_engine.read_project(self.project_dir), told, self.project_dir, root
            )
        except _compose_engine.CannotLook as problem:
            return Seen(None, str(problem), living=living)
        wallets = set(wallet_services)
        declared = {
            one["port"]
            for name, service in project.services.items()
            if name in wallets
            for one in service.ports
            if one["protocol"] == "tcp"
        }
        now = {port for one in living if one.project == project.name and one.service in wallets for port in one.published}
        ours = None if told is None else [_container(one) for one in told if _label(one, "project") == project.name]
        return Seen(ours, why, project.name, frozenset(declared | now), living)

    def set_policy(self, identity: str, policy: str, maximum: int) -> None:
        value = f"{policy}:{maximum}" if policy == "on-failure" and maximum else policy or "no"
        deadline = time.monotonic() + SECONDS
        answer = run(["docker", "update", "--restart", value, identity], SECONDS)
        # One that Docker is just starting again has no process for a moment, and is refused.
        while not answer.ok and time.monotonic() < deadline and b"deleted process" in answer.err:
            time.sleep(POLL_SECONDS)
            answer = run(["docker", "update", "--restart", value, identity], SECONDS)
        _must(answer, f"docker update --restart={value} {identity[:12]}")

    def tables(self) -> dict[str, str]:
        """The tables of the cut as the kernel has them now; those it does not have are left out."""
        found = {}
        for family in FAMILIES:
            listed = run([self.nft(), "list", "table", family, TABLE], SECONDS)
            if listed.ok:
                found[family] = listed.out.decode("utf-8", "replace")
        return found

    def enabled(self) -> bool:
        return run(["systemctl", "is-enabled", "--quiet", UNIT], SECONDS).ok

    def apply(self) -> None:
        """By the unit, so that what is in force now is what comes into force at the next boot."""
        _must(run(["systemctl", "daemon-reload"], SECONDS), "systemctl daemon-reload")
        _must(run(["systemctl", "enable", "--quiet", UNIT], SECONDS), f"systemctl enable {UNIT}")
        # A unit that failed too often would not be tried again.
        run(["systemctl", "reset-failed", UNIT], SECONDS)
        started = run(["systemctl", "restart", UNIT], SECONDS)
        if not started.ok:
            said = run(["journalctl", "--unit", UNIT, "--lines", "5", "--output", "cat", "--no-pager", "--quiet"], SECONDS)
            raise IncidentError(
                f"The cut could not be put in force ({sentence_from(said.out) or sentence_from(started.err) or 'no answer in time'}), so "
                "containers still reach the wallets; what else a freeze does stands: stop the server by hand, then look at "
                f"`systemctl status {UNIT}`."
            )

    def disable(self) -> None:
        """The unit starts no more; it may never have been there."""
        run(["systemctl", "disable", "--quiet", "--now", UNIT], SECONDS)

    def forget(self) -> None:
        """After its files are gone."""
        for family in FAMILIES:
            run([self.nft(), "delete", "table", family, TABLE], SECONDS)
        left = sorted(self.tables())
        if left:
            raise IncidentError(
                f"The cut is still in force: `nft delete table {left[0]} {TABLE}` on the host says why; the freeze stands."
            )
        run(["systemctl", "daemon-reload"], SECONDS)

    def nft(self) -> str:
        found = shutil.which("nft", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/sbin"]))
        if found is None:
            raise IncidentError(
                "The command nft is not on this host, so the server cannot be cut off from the wallets: install nftables, then run the "
                "same command again."
            )
        return os.path.realpath(found)


def _must(answer: Ran, what: str) -> None:
    if not answer.ok:
        raise IncidentError(f"{what} failed: {sentence_from(answer.err) or 'no answer in time'}; run the same command again.")


def _label(container: dict[str, Any], name: str) -> str:
    labels = (container.get("Config") or {}).get("Labels") or {}
    return clean_line(str(labels.get(f"com.docker.compose.{name}") or ""), 100)


def _container(container: dict[str, Any]) -> Container:
    policy = (container.get("HostConfig") or {}).get("RestartPolicy") or {}
    return Container(
        identity=str(container.get("Id") or ""),
        service=_label(container, "service"),
        policy=str(policy.get("Name") or "no"),
        maximum=int(policy.get("MaximumRetryCount") or 0),
    )
