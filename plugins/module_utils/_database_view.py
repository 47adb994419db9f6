# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What was found of a database, with the questions that its causes ask: of its files, its locks, the pool and the services on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _diagnosis, _signing_round
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import clock_time, epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import Site, endpoint_words, is_good
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import freezing, words

Holder = Mapping[str, Any]

# Whoever has one of these keeps all others from writing.
WRITE_LOCKS = frozenset(["write", "exclusive", "reserved", "pending"])
# What keeps the write-ahead log from being written back. The "shared" lock is nobody's fault: every connection has it.
READ_LOCKS = frozenset(["read"])
# Twice in this time, with the same lock: that is no commit under way.
HELD_SECONDS = 2.0
# So long every connection has to be taken before a restart is worth it: a burst of requests is over by then.
EXHAUSTED_SECONDS = 8.0
# The freeze that playbooks/data_corruption.yml places while it examines and restores.
FREEZE = "database"
LOCKED = "database is locked"


@dataclass(frozen=True)
class DatabaseSite:
    """What the site is called, what it allows, and what this run has already done."""

    path: str = "/data/marketplace.db"
    server_service: str = "server"
    database_service: str = ""
    proxy_service: str = ""
    health_url: str = ""
    public_url: str = ""
    disk_critical: float = 90.0
    pool_error: str = "Failed to get DB connection"
    saturation_limit: float = 0.8
    wal_limit: int = 32 * 1024 * 1024
    error_ratio_limit: float = 0.05
    counted_seconds: int = 900
    no_signing_query: bool = False
    confirm: frozenset[str] = frozenset()
    tried: tuple[str, ...] = ()
    patience_over: bool = False
    acted_at: float | None = None


class DatabaseView:
    """One look at the database and at what works with it, readable."""

    def __init__(self, facts: Mapping[str, Any], site: DatabaseSite) -> None:
        self.site = site
        self.compose: Mapping[str, Any] = facts["compose"]
        self.clock: float = self.compose["clock"]
        self.at: float = facts.get("at") or self.clock
        self.sqlite: Mapping[str, Any] = facts.get("sqlite") or {}
        self.prometheus: Mapping[str, Any] = facts.get("prometheus") or {}
        self.freezes: list[Mapping[str, Any]] = list(facts.get("freezes") or [])
        # The first look since the last step, so that what lasts can be told from what passes.
        self.earlier: Mapping[str, Any] = facts.get("earlier") or {}
        self.services: dict[str, Mapping[str, Any]] = {one["name"]: one for one in self.compose["services"]}
        self.endpoints: dict[str, dict[str, Any]] = {one["url"]: one for one in self.compose["endpoints"]}
        self._tried = _diagnosis.tried_from(list(site.tried))
        self.health: Mapping[str, Any] = _diagnosis.plan(dict(self.compose), self._site())

    def _site(self) -> Site:
        """As role docker_health asks about the services; what needs a confirmation there is asked for there."""
        site = self.site
        ours = [
            name for name in (site.server_service, site.database_service, site.proxy_service) if name and self.is_frozen(name)
        ]
        return Site(
            server_service=site.server_service,
            database_service=site.database_service,
            proxy_service=site.proxy_service,
            health_url=site.health_url,
            public_url=site.public_url,
            disk_critical=site.disk_critical,
            frozen={name: self.is_frozen(name) for name in ours},
            tried=self._tried,
            patience_over=site.patience_over,
            acted_at=site.acted_at,
        )

    def tried(self, do: str, what: str) -> bool:
        return (do, what) in self._tried

    def allows(self, what: str) -> bool:
        return what in self.site.confirm

    def is_frozen(self, service: str) -> str:
        """Why a service must not be started; empty where it may."""
        found = freezing(self.freezes, [service])
        return words(found[1]) if found else ""

    @property
    def freeze(self) -> Mapping[str, Any] | None:
        return next((one for one in self.freezes if one.get("name") == FREEZE), None)

    # What the server says.

    @property
    def serves(self) -> bool | None:
        """Whether the server's own health endpoint, which writes to the database, answers well; None where there is none."""
        one = self.endpoints.get(self.site.health_url)
        return None if one is None else is_good(one)

    def complaints(self) -> list[str]:
        """What the health endpoint says of the database now."""
        one = self.endpoints.get(self.site.health_url)
        if one is None or is_good(one):
            return []
        body = str(one.get("body") or "")
        try:
            said = json.loads(body)
        except ValueError:
            return [body] if body else []
        reasons = said.get("reasons") if isinstance(said, dict) else None
        told = [str(reason) for reason in reasons] if isinstance(reasons, list) else [body]
        return [reason for reason in told if not reason.startswith("wallet ")]

    def complains(self, *texts: str) -> str:
        """The first complaint that has one of the texts."""
        return next((one for one in self.complaints() if any(text.lower() in one.lower() for text in texts)), "")

    def last_words(self, *texts: str) -> str:
        """The newest log line of server or database service with one of the texts."""
        for name in (self.site.server_service, self.site.database_service):
            for line in reversed((self.services.get(name) or {}).get("log") or []):
                if any(text.lower() in str(line).lower() for text in texts):
                    return str(line)
        return ""

    def counted(self, text: str) -> int | None:
        said = (self.services.get(self.site.server_service) or {}).get("said")
        return said.get(text) if isinstance(said, Mapping) else None

    # Files.

    @property
    def state(self) -> str:
        return str(self.sqlite.get("state") or "unknown")

    def seen(self) -> list[str]:
        """What the look at a copy says, most important first."""
        told = [str(one) for one in self.sqlite.get("sentences") or []]
        problem = self.sqlite.get("problem")
        return told or ([str(problem)] if problem else [])

    @property
    def wal_bytes(self) -> int | None:
        """What of the write-ahead log still counts: the file itself does not shrink when it is begun anew."""
        wal = self.sqlite.get("wal") or {}
        frames, page = wal.get("valid_frames"), self.sqlite.get("page_size")
        if isinstance(frames, int) and isinstance(page, int):
            return frames * (page + 24)
        size = wal.get("bytes")
        return size if isinstance(size, int) else None

    # Who has it open.

    @property
    def holders(self) -> list[Holder]:
        return [one for one in self.sqlite.get("holders") or [] if isinstance(one, Mapping)]

    def is_main(self, holder: Holder) -> bool:
        """Whether it is what its container lives by, or was started by that: below an init, say, or as one of its workers."""
        service = self.services.get(str(holder.get("service") or ""))
        lineage = [holder.get("pid"), *(holder.get("ancestors") or [])]
        return service is not None and service.get("pid") is not None and service.get("pid") in lineage

    def is_ours(self, holder: Holder) -> bool:
        """Whether it is the server or the database service itself, which lock and read all the time."""
        return self.is_main(holder) and holder.get("service") in (self.site.server_service, self.site.database_service)

    def holds(self, holder: Holder, locks: frozenset[str]) -> bool:
        return bool(locks & set(holder.get("locks") or []))

    def keeps_holding(self, holder: Holder, locks: frozenset[str]) -> bool:
        """Whether it had such a lock some seconds ago, too. One look that calls the database locked has watched by itself.

        Who writes all the time has the lock in every look, and keeps nobody out: then something was committed in between.
        """
        if self.state == "locked" and self.holds(holder, WRITE_LOCKS & locks):
            return True
        before = self.earlier.get("sqlite") or {}
        if locks & WRITE_LOCKS and (before.get("progress") is None or before.get("progress") != self.sqlite.get("progress")):
            return False
        return self.seconds_watched >= HELD_SECONDS and any(
            all(one.get(key) == holder.get(key) for key in ("pid", "start_ticks")) and locks & set(one.get("locks") or [])
            for one in before.get("holders") or []
        )

    @property
    def seconds_watched(self) -> float:
        """Since the first look, by the controller's clock: not every look asks everything anew."""
        began = self.earlier.get("at")
        return max(0.0, self.at - began) if isinstance(began, (int, float)) else 0.0

    # The pool.

    def number(self, name: str) -> float | None:
        """The one number of a query; no series is not zero."""
        result = (self.prometheus.get("results") or {}).get(name) or {}
        values = [one.get("value") for one in result.get("samples") or []]
        return float(values[0]) if len(values) == 1 and isinstance(values[0], (int, float)) else None

    @property
    def pool(self) -> tuple[float, float] | None:
        """Taken and all connections."""
        size, taken = self.number("pool_size"), self.number("pool_in_use")
        return None if size is None or taken is None or size <= 0 else (taken, size)

    @property
    def saturation(self) -> float | None:
        return None if self.pool is None else self.pool[0] / self.pool[1]

    def pool_words(self) -> str:
        """pool 10/10, 4 waiting"""
        if self.pool is None:
            return "pool unknown"
        waiting = self.number("pool_waiting")
        return f"pool {self.pool[0]:.0f}/{self.pool[1]:.0f}" + (f", {waiting:.0f} waiting" if waiting else "")

    def is_exhausted(self, earlier: bool = False) -> bool:
        """Whether no connection is to be had now; of the earlier look where that is asked."""
        if earlier:
            return bool(self.earlier.get("exhausted"))
        if self.complains(self.site.pool_error):
            return True
        full = self.saturation is not None and self.saturation >= 1
        # An endpoint that does not write shows nothing of it: then the log and the count have to agree.
        silent = self.serves is None or (self.serves and bool(self.number("pool_waiting")))
        return full and (self.serves is False or (silent and bool(self.counted(self.site.pool_error))))

    # Signing rounds.

    def signing(self) -> tuple[str, str]:
        return _signing_round.judge(self.sqlite, no_query=self.site.no_signing_query)

    # Symptoms of the handbook.

    def alerts(self) -> list[str]:
        """DatabaseUnavailable is firing since 02:03:11 UTC"""
        found = []
        for one in self.prometheus.get("alerts") or []:
            if one.get("name") in ("DatabaseUnavailable", "DatabaseConnectionPoolSaturation") and one.get("state") == "firing":
                at = one.get("since")
                since = f" since {clock_time(at)}" if isinstance(at, (int, float)) else ""
                found.append(f"{one['name']} is firing{since}")
        return found

    def error_ratio(self) -> float | None:
        requests, errors = self.number("requests"), self.number("errors")
        return None if requests is None or requests < 1 else (errors or 0.0) / requests

    def symptoms(self) -> list[str]:
        found = []
        count = self.counted(self.site.pool_error)
        if count:
            found.append(f'{count:,} "{self.site.pool_error}" in {self.site.counted_seconds // 60} min')
        if self.saturation is not None and self.saturation > self.site.saturation_limit:
            found.append(self.pool_words())
        ratio = self.error_ratio()
        if ratio is not None and ratio > self.site.error_ratio_limit:
            found.append(f"{100 * ratio:.0f} % of the requests failed")
        one = self.endpoints.get(self.site.health_url)
        if one is not None and not is_good(one):
            found.append(endpoint_words(one))
        return found + self.alerts()


def holder_words(holder: Holder) -> str:
    """pid 4121 (sqlite3, user deploy, since 01:52:10 UTC, container backup)"""
    at = epoch(holder.get("since"))
    parts = [
        str(holder.get("command") or "unknown"),
        f"user {holder['user']}" if holder.get("user") else "",
        f"since {clock_time(at)}" if at is not None else "",
        f"container {holder['container']}" if holder.get("container") else "",
    ]
    return f"pid {holder.get('pid')} ({', '.join(part for part in parts if part)})"
