# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's site, and what tests ask of a plan for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis import plan, tried_from
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import Site

HEALTH = "http://127.0.0.1:8080/api/health"
PUBLIC = "https://127.0.0.1/api/health"
Looks = Callable[[str], dict[str, Any]]


def decide(look: dict[str, Any], tried: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    site = Site(
        server_service="server",
        database_service="database",
        proxy_service="nginx",
        health_url=HEALTH,
        public_url=PUBLIC,
        release_dir="/releases",
        tried=tried_from(list(tried)),
        **more,
    )
    return plan(look, site)


def service(look: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in look["services"] if one["name"] == name)
    return found


def doing(decided: dict[str, Any]) -> list[str]:
    return [step["key"] for step in decided["steps"]]


def roots(decided: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(one["cause"], one["service"]) for one in decided["causes"] if one["consequence_of"] is None]


def exit_now(look: dict[str, Any], name: str, code: int = 1) -> dict[str, Any]:
    one = service(look, name)
    one.update(state="exited", health="unknown", exit_code=code, finished_at=look["taken_at"])
    one["containers"][0]["state"] = "exited"
    return one
