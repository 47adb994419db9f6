# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host after role docker_health, asked by the engine's own words."""

from __future__ import annotations

import json
from typing import Any

STOPPED = {"database", "nginx"}
# Depend on the database and lose it with it; the role may have to act on them too.
ABOVE = {"server"}


def containers(host: Any) -> dict[str, dict[str, Any]]:
    """All containers of the project by service, as the engine describes them."""
    identifiers = host.check_output("docker ps --all --quiet --filter label=com.docker.compose.project=marketplace").split()
    described = json.loads(host.check_output("docker inspect " + " ".join(identifiers)))
    return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in described}


def test_there_is_a_marketplace(host):
    assert len(containers(host)) >= 10


def test_every_service_runs_and_is_well(host):
    found = {name: one["State"] for name, one in containers(host).items()}
    well = {name for name, state in found.items() if state["Status"] == "running" and _health(state) == "healthy"}
    assert set(found) - well == set()


def _health(state: dict[str, Any]) -> str:
    # Some services have no health check.
    return str(state.get("Health", {}).get("Status", "healthy"))


def test_only_what_was_down_was_started(host):
    before = dict(line.strip("/").split(" ") for line in host.file("/run/started_before").content_string.splitlines())
    now = containers(host)
    touched = {service for service, one in now.items() if one["State"]["StartedAt"] != before[one["Name"].strip("/")]}
    assert touched >= STOPPED
    assert touched - ABOVE == STOPPED


def test_the_logs_of_what_was_started_are_kept(host):
    kept = host.check_output("ls /var/lib/marketplace_incident/kept")
    assert all(f"{service}-" in kept for service in STOPPED)


def test_the_host_is_given_back(host):
    assert not host.file("/run/marketplace_incident/lease.json").exists
