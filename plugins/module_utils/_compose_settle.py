# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Look again until nothing is on its way any more, without a task for each look."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_parse
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_collect import Look, look
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run

POLL_SECONDS = 0.25
# With fewer restarts than this Docker is still trying; with as many it is a matter for the diagnosis.
FEW_RESTARTS = 2


def is_on_its_way(container: dict[str, Any]) -> bool:
    """Whether only time shows what becomes of it."""
    if container["state"] == "restarting":
        return bool((container["restart_count"] or 0) < FEW_RESTARTS)
    return bool(container["state"] == "running" and container["health"] == "starting")


def look_when_settled(wanted: Look, seconds: float) -> dict[str, Any]:
    """A look at a project in which nothing is starting any more, or in which it still is when the time is over."""
    deadline = time.monotonic() + seconds
    found = look(wanted)
    while time.monotonic() < deadline:
        waiting = [one["container_id"] for one in found["services"] if is_on_its_way(one)]
        if not waiting:
            break
        _wait_for(waiting, deadline, wanted.docker_timeout)
        found = look(wanted)
    return found


def _wait_for(ids: list[str], deadline: float, timeout: float) -> None:
    while time.monotonic() < deadline:
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        answer = run(["docker", "inspect", "--type", "container", *ids], timeout)
        if answer.timed_out or not answer.ok:
            return  # the next whole look says what is the matter
        containers = [_compose_parse.container(one) for one in _compose_parse.objects(answer.out)]
        if not any(is_on_its_way(one) for one in containers):
            return
