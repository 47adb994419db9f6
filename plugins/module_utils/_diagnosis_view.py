# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What compose_info found, with the questions that causes ask of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import ALL

_BLAMES_A_DISK = re.compile(r"no space left on device|disk is full|read-only file ?system|readonly database", re.IGNORECASE)
# An earlier run that was killed has noted when it began to mend something, not when it was done.
MENDING_SECONDS = 120.0
_DOWN = ("exited", "dead", "created", "missing")


@dataclass(frozen=True)
class Site:
    """What the site is called, what it allows, and what this run has already done."""

    server_service: str
    database_service: str = ""
    proxy_service: str = ""
    health_url: str = ""
    public_url: str = ""
    disk_critical: float = 90.0
    log_minimum_bytes: int = 50 * 1024 * 1024
    release_dir: str = ""
    # Wallets and the Monero daemon: what a restart interrupts there is money, not a request.
    careful: frozenset[str] = frozenset()
    wallets: tuple[dict[str, Any], ...] = ()
    wallet_port: int = 18082
    daemon_service: str = ""
    confirm: frozenset[str] = frozenset()
    # Services that nobody may start now, with the sentence that says why; ALL stands for every one.
    frozen: Mapping[str, str] = field(default_factory=dict)
    tried: frozenset[tuple[str, str]] = frozenset()
    patience_over: bool = False
    acted_at: float | None = None


class View:
    """One look at the site, readable."""

    def __init__(self, compose: dict[str, Any], site: Site) -> None:
        self.site = site
        self.clock: float = compose["clock"]
        self.daemon: dict[str, Any] = compose["daemon"]
        self.engine: dict[str, Any] = compose.get("engine") or {}
        self.living: list[dict[str, Any]] = self.engine.get("living") or []
        self.project: str = (compose.get("project") or {}).get("name") or ""
        self.disk: list[dict[str, Any]] = compose["disk"]
        self.reclaimable: dict[str, Any] = compose.get("reclaimable") or {}
        self.network: dict[str, Any] = compose.get("network") or {}
        self.storage: dict[str, Any] = compose.get("storage") or {}
        self.services: dict[str, dict[str, Any]] = {one["name"]: one for one in compose["services"]}
        self.endpoints: dict[str, dict[str, Any]] = {one["url"]: one for one in compose["endpoints"]}
        self.files: dict[str, Any] = {"directory": "", "problem": None, **(compose.get("project") or {})}
        self.certificates: dict[str, Any] = compose.get("certificates") or {}
        self._needs = {
            name: [need for need in one["depends_on"] if need in self.services] for name, one in self.services.items()
        }
        # Compose files often leave out what the site's own names already say.
        self._add_need(site.proxy_service, site.server_service)
        self._add_need(site.server_service, site.database_service)
        self.order = self._in_dependency_order()

    def _add_need(self, name: str, need: str) -> None:
        if name in self.services and need in self.services and name != need and name not in self._reached_from(need):
            self._needs[name].append(need)

    def _in_dependency_order(self) -> list[str]:
        order: list[str] = []
        seen: set[str] = set()

        def visit(name: str) -> None:
            if name in seen:
                return  # also ends a circle, which Compose itself would refuse
            seen.add(name)
            for need in sorted(self._needs[name]):
                visit(need)
            order.append(name)

        for name in sorted(self.services):
            visit(name)
        return order

    def upstream(self, name: str) -> list[str]:
        """All that a service needs, directly or not, the deepest first."""
        found = self._reached_from(name)
        return [one for one in self.order if one in found]

    def _reached_from(self, name: str) -> set[str]:
        found: set[str] = set()
        waiting = list(self._needs.get(name, []))
        while waiting:
            need = waiting.pop()
            if need not in found and need != name:
                found.add(need)
                waiting.extend(self._needs[need])
        return found

    def dependents_first(self, names: list[str]) -> list[list[str]]:
        """Groups in which services may end: each after all that need it."""
        groups, left = (
            [],
            [name for name in self.order if name in names] + [name for name in names if name not in self.services],
        )
        while left:
            needed = {need for name in left if name in self.services for need in self._reached_from(name)}
            group = [name for name in left if name not in needed] or left  # a circle ends at once
            groups.append(sorted(group))
            left = [name for name in left if name not in group]
        return groups

    @property
    def compose_can_act(self) -> bool:
        """Not while it cannot read the project's files: then it refuses every command."""
        problem = self.files["problem"]
        return problem is None or bool(problem["readable"])

    def endpoint_of(self, name: str) -> dict[str, Any] | None:
        """The endpoint that shows whether a service serves."""
        if name == self.site.server_service:
            return self.endpoints.get(self.site.health_url)
        if name == self.site.proxy_service:
            return self.endpoints.get(self.site.public_url)
        return None

    def seconds_since(self, stamp: str | None) -> float | None:
        at = epoch(stamp)
        return None if at is None else max(0.0, self.clock - at)

    def ran_for(self, service: dict[str, Any]) -> float | None:
        """How long the last finished run of a service lasted."""
        started, finished = epoch(service["started_at"]), epoch(service["finished_at"])
        return finished - started if started is not None and finished is not None and finished >= started else None

    def frozen(self, service: str) -> str | None:
        """Why nobody may start a service now."""
        return self.site.frozen.get(service) or self.site.frozen.get(ALL)

    def tried(self, service: str, *what: str) -> bool:
        return any((do, service) in self.site.tried for do in what)

    def tried_on_host(self, do: str) -> bool:
        return (do, "") in self.site.tried

    def was_mended_since(self, service: dict[str, Any]) -> bool:
        """Whether a disk or files of a service were mended after its last run ended: then that run tells nothing."""
        if self._blames_a_disk_that_is_well(service):
            return True
        ended, name = epoch(service["finished_at"]), service["name"]
        if ended is None:
            return False
        ours = self.tried(name, "own") or self.tried_on_host("remount")
        if ours and self.site.acted_at is not None and ended < self.site.acted_at:
            return True
        return any(ended < one["at"] + MENDING_SECONDS for one in self._mendings(name))

    def needs_one_that_is_down(self, name: str) -> bool:
        """Whether a service ends because another is not there: nginx, for one, whose upstream has no name then."""
        needs = [self.services[need] for need in self.upstream(name)]
        return any(one["state"] in _DOWN and one["wanted_containers"] > 0 and not one["job"] for one in needs)

    def needs_one_that_came_back_since(self, service: dict[str, Any]) -> bool:
        """Of late, after its last run ended: the longest that Docker waits before the next one is a minute."""
        ended = epoch(service["finished_at"])
        begun = [epoch(self.services[need]["started_at"]) for need in self.upstream(service["name"])]
        return ended is not None and any(
            one is not None and ended < one and self.clock - one < MENDING_SECONDS for one in begun
        )

    def _blames_a_disk_that_is_well(self, service: dict[str, Any]) -> bool:
        if not any(_BLAMES_A_DISK.search(line) for line in service["log"]) or self.storage.get("read_only"):
            return False
        shares = [one[key] for one in self.disk for key in ("used_percent", "inodes_used_percent")]
        return all(share < self.site.disk_critical for share in shares if share is not None)

    def _mendings(self, name: str) -> list[dict[str, Any]]:
        """What earlier runs did to disks, or to files of a service."""
        return [one for one in self.storage.get("mended") or [] if one["service"] in (None, name)]

    def is_settling(self, name: str) -> bool:
        """Whether the last verdict on a service may be older than the repair of it, or of something that it needs."""
        service = self.services[name]
        # Two of its own health checks; or the ten seconds for which nginx remembers a dead upstream, and a little.
        grace = max(12.0, 2 * (service["health_interval"] or 0) + 5)
        acted = self.site.acted_at
        if any(0 <= self.clock - one["at"] < 2 * grace for one in self._mendings(name)):
            return True
        if acted is not None and self.clock - acted < grace:
            return True
        if acted is None and self.tried(name, "resume", "unpause"):
            return True
        ages = [self.seconds_since(self.services[need]["started_at"]) for need in self.upstream(name)]
        own = self.seconds_since(service["started_at"])
        return any(age is not None and age < grace and (own is None or age < own) for age in ages)


def endpoint_words(endpoint: dict[str, Any]) -> str:
    """GET http://127.0.0.1:8080/api/health: 503"""
    if endpoint["status"] is not None:
        return f"GET {endpoint['url']}: {endpoint['status']}"
    words = {"refused": "connection refused", "timeout": f"no answer within {endpoint['seconds']:.0f} s", "tls": "TLS failed"}
    said = words.get(endpoint["error"], str(endpoint["error"]))
    return f"GET {endpoint['url']}: {said}"


def is_good(endpoint: dict[str, Any]) -> bool:
    return endpoint["status"] is not None and 200 <= endpoint["status"] < 400
