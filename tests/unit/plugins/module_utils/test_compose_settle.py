# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting within one task: as long as needed, never longer."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_settle as settle
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_collect import Look


@pytest.mark.parametrize(
    ("state", "health", "restarts", "waits"),
    [
        ("running", "starting", 0, True),
        ("running", "healthy", 0, False),
        ("running", "unhealthy", 0, False),
        ("running", "none", 0, False),
        ("restarting", "unknown", 1, True),
        ("restarting", "unknown", 2, False),
        ("exited", "unknown", 0, False),
        ("missing", "none", None, False),
        (None, "unknown", None, False),
    ],
)
def test_what_is_on_its_way(state: Any, health: str, restarts: Any, waits: bool) -> None:
    assert settle.is_on_its_way({"state": state, "health": health, "restart_count": restarts}) is waits


@pytest.fixture
def starting(engine: Any, recorded: Any) -> Any:
    """The database is starting until the engine has been asked for it three times."""
    containers = json.loads(recorded("inspect_paused.json"))
    database = next(one for one in containers if "database" in one["Name"])
    database["State"]["Health"]["Status"] = "starting"
    engine.says("starting.json", json.dumps(containers))
    database["State"]["Health"]["Status"] = "healthy"
    engine.says("healthy.json", json.dumps(containers))
    count = engine.answers / "count"
    count.touch()
    engine.does(
        "docker_inspect",
        f"echo x >> {count}; [ $(wc -l < {count}) -gt 3 ] && cat {engine.answers}/healthy.json || cat {engine.answers}/starting.json",
    )
    return engine


def database_of(found: dict[str, Any]) -> str:
    return str(next(one["health"] for one in found["services"] if one["name"] == "database"))


def test_it_ends_as_soon_as_nothing_is_starting(starting: Any, project_dir: str) -> None:
    began = time.monotonic()
    assert database_of(settle.look_when_settled(Look(project_dir), 30)) == "healthy"
    assert time.monotonic() - began < 10


def test_it_ends_when_the_time_is_over(starting: Any, project_dir: str) -> None:
    starting.does("docker_inspect", f"cat {starting.answers}/starting.json")
    began = time.monotonic()
    assert database_of(settle.look_when_settled(Look(project_dir), 0.5)) == "starting"
    assert time.monotonic() - began < 5


def test_without_patience_one_look_is_taken(starting: Any, project_dir: str) -> None:
    assert database_of(settle.look_when_settled(Look(project_dir), 0)) == "starting"
    assert sum(call.startswith("docker inspect") for call in starting.calls) == 1


def test_a_daemon_that_dies_meanwhile_ends_the_waiting(starting: Any, project_dir: str) -> None:
    count = starting.answers / "count"
    starting.does(
        "docker_inspect", f"echo x >> {count}; [ $(wc -l < {count}) -gt 1 ] && exit 1; cat {starting.answers}/starting.json"
    )
    found = settle.look_when_settled(Look(project_dir), 5)
    assert found["daemon"]["state"] == "not_responding"
