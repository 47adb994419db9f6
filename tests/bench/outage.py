# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One fault, repaired twice: by outage.yml and by the handbook's own commands."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.watch import LONGEST, Watch
from drills.fixture import DrillLab
from drills.observe import COMPOSE_DIR, look

FAULTS = ("containers-exited", "unhealthy", "stack-down")
HANDBOOK = f"cd {COMPOSE_DIR}; docker compose down; docker compose up -d"


@dataclass(frozen=True)
class Repair:
    """Seconds since the command was given."""

    served: float
    healthy: float
    total: float
    # Only of the playbook: until the engine was first told to do something, how long the endpoints were watched,
    # and the tasks that went to the host.
    diagnosis: float = 0.0
    proof: float = 0.0
    remote_tasks: int = 0
    retries: int = 0

    @property
    def engine(self) -> float:
        """From the engine's first action to the last service's health: not the playbook's time."""
        return self.healthy - self.diagnosis

    @property
    def overhead(self) -> float:
        """What the playbook takes for itself, beside the engine's work and the seconds it is asked to watch."""
        return self.total - self.engine - self.proof


def wait_until_healthy(shop: DrillLab) -> None:
    deadline = time.monotonic() + LONGEST
    while not look(shop.lab).settled:
        assert time.monotonic() < deadline, f"the services are not healthy within {LONGEST:.0f} s"
        time.sleep(0.5)


def by_playbook(shop: DrillLab, fault: str) -> Repair:
    """Break, run outage.yml, watch."""
    shop.begin(f"bench-{fault}")
    shop.break_(fault)
    with Watch(shop.lab) as watch:
        run = shop.run("outage", callback="monero_marketplace.incident.oncall")
        if run.status != 0:
            raise SystemExit(f"{fault}: outage.yml did not restore, so there is nothing to measure:\n{run.output}")
        watch.wait_until_served()
        wait_until_healthy(shop)
    began = run.began
    return Repair(
        served=_seconds(watch.first_good, began),
        healthy=_seconds(watch.turned_healthy(), began),
        total=run.seconds,
        diagnosis=_seconds(watch.engine_began(), began),
        proof=run.seconds_of("http_probe"),
        remote_tasks=len(run.remote),
        retries=run.retries,
    )


def by_handbook(shop: DrillLab, fault: str) -> Repair:
    """Break, give the handbook's commands over SSH, poll as it says, watch."""
    shop.begin(f"bench-{fault}")
    shop.break_(fault)
    with Watch(shop.lab) as watch:
        began = time.time()
        answer = shop.lab.ssh(["sh", "-c", HANDBOOK])
        if answer.returncode != 0:
            raise SystemExit(f"{fault}: the handbook's commands failed, so there is nothing to compare:\n{answer.stderr}")
        watch.wait_until_served()
        total = time.time() - began
        wait_until_healthy(shop)
    return Repair(
        served=_seconds(watch.first_good, began),
        healthy=_seconds(watch.turned_healthy(), began),
        total=total,
    )


def _seconds(moment: float | None, began: float) -> float:
    assert moment is not None, "the moment was not seen"
    return moment - began
