# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about a database, recorded or changed by hand, and what tests ask of a plan for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.filter.sqlite_integrity_plan import sqlite_integrity_plan

RECORDED = Path(__file__).parent / "recorded"
QUERY = "SELECT id FROM escrows WHERE state = 'signing'"
HEALTH, PUBLIC = "http://127.0.0.1:8080/api/health", "https://127.0.0.1/api/health"
NONE_OPEN = {"signing": {"rows": [], "more": False, "problem": None}}
ONE_OPEN = {"signing": {"rows": [[7]], "more": False, "problem": None}}
POOL_ERROR = "Failed to get DB connection"
STRANGER = 4121
LOCKED = "database: database is locked"
FREEZE = {
    "name": "database", "reason": "damage is suspected", "by": "alice", "since": "2026-11-24T02:14:09Z", "services": ["server", "database"],
    "readable": True,
}  # fmt: skip


def facts(name: str = "healthy", **more: Any) -> dict[str, Any]:
    """A recorded look at the services beside a look at a sound database; a fresh copy each time."""
    compose = json.loads((RECORDED / f"look_{name}.json").read_text(encoding="utf-8"))
    server = next(one for one in compose["services"] if one["name"] == "server")
    keeper = next(one for one in compose["services"] if one["name"] == "database")
    found = {
        "compose": compose,
        "sqlite": {
            "state": "ok", "problem": None, "sentences": [], "page_size": 4096, "queries": dict(NONE_OPEN), "lock_problem": None,
            "wal": {"bytes": 412032, "valid_frames": 100}, "deleted": None,
            "invariants": {"money": {"rows": 0, "sample": [], "problem": None}},
            "progress": "(1, 2) 41", "holders": [
                holder(server["pid"], "python3", ["shared"], container="marketplace-server-1", service="server"),
                holder(keeper["pid"], "python3", ["shared"], container="marketplace-database-1", service="database"),
            ],
        },
        "prometheus": pool(10, 2),
        "freezes": [],
        "earlier": {},
        "at": compose["clock"],
    }  # fmt: skip
    found.update(more)
    return found


def holder(pid: int, command: str, locks: list[str], **more: Any) -> dict[str, Any]:
    return {
        "pid": pid, "start_ticks": 100 * pid, "command": command, "user": "deploy", "since": "2026-11-24T01:52:10Z", "container_id": None,
        "container": None, "service": None, "files": ["db", "shm", "wal"], "deleted": False, "deleted_files": {}, "locks": locks, **more,
    }  # fmt: skip


def pool(size: float, taken: float, waiting: float = 0, alerts: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    def sample(value: float) -> dict[str, Any]:
        return {"samples": [{"labels": {}, "value": value, "time": 1.0}], "series": [], "problem": None}

    return {
        "answered": True,
        "alerts": list(alerts),
        "results": {
            "pool_size": sample(size),
            "pool_in_use": sample(taken),
            "pool_waiting": sample(waiting),
            "requests": sample(1000),
            "errors": sample(0),
        },
    }


def says(found: dict[str, Any], reason: str, status: int = 503) -> dict[str, Any]:
    """Have the health endpoint say something of the database."""
    for one in found["compose"]["endpoints"]:
        one.update(status=status, error=None, body=json.dumps({"status": "unavailable", "reasons": [reason]}))
    return found


def watched(found: dict[str, Any], seconds: float = 10.0, exhausted: bool = False) -> dict[str, Any]:
    """As after a second look that saw the same as the first."""
    found["earlier"] = {
        "at": found["at"] - seconds,
        "sqlite": {key: found["sqlite"][key] for key in ("holders", "progress")},
        "exhausted": exhausted,
    }
    return found


def locked(locks: tuple[str, ...] = ("shared", "read", "write"), **more: Any) -> dict[str, Any]:
    """A stranger keeps the write lock, and the server complains of it."""
    found = says(facts(), LOCKED)
    found["sqlite"]["state"] = "locked"
    found["sqlite"]["holders"].append(holder(STRANGER, "sqlite3", list(locks), **more))
    return found


def service(found: dict[str, Any], name: str) -> dict[str, Any]:
    one: dict[str, Any] = next(one for one in found["compose"]["services"] if one["name"] == name)
    return one


def stopped(found: dict[str, Any], name: str) -> dict[str, Any]:
    one = service(found, name)
    one.update(state="exited", health="none", exit_code=0, pid=None, finished_at="2026-11-24T11:43:00.0Z")
    for container in one["containers"]:
        container.update(state="exited", health="none")
    return found


def decide(found: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {
        "database_service": "database",
        "proxy_service": "nginx",
        "health_url": HEALTH,
        "public_url": PUBLIC,
        "signing_query": QUERY,
    }
    return sqlite_integrity_plan(found, **{**given, **more})


def doing(decided: dict[str, Any]) -> list[str]:
    return [step["key"] for step in decided["steps"]]


def asking(decided: dict[str, Any]) -> list[str]:
    return [one["what"] for one in decided["confirm"] if not one["given"]]


def roots(decided: dict[str, Any]) -> list[str]:
    return [one["cause"] for one in decided["causes"] if one["consequence_of"] is None]


def told(decided: dict[str, Any]) -> str:
    return " ".join(one["sentence"] for one in decided["escalate"])
