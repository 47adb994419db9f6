# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why somebody may not act now: each reason one sentence, with what to do next.

This module is private to the collection.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from dataclasses import dataclass
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_freezes as freezing
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_host as host
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import clean, utc

CLOCK_TOLERANCE = 30.0


@dataclass(frozen=True)
class Request:
    """Who asks, and for what."""

    responder: str
    controller: str
    run_id: str
    playbook: str
    action: str
    pid: int = 0
    pid_started: str = ""
    lease_seconds: float = 900
    attempts: int = 3
    attempts_window: float = 3600
    take_over: bool = False
    resume: str = ""
    controller_clock: float | None = None
    token: str = ""
    host: str = ""
    project_dir: str = ""
    wait_for_orphan_seconds: float = 60
    desk: str = ""
    incident: str = ""
    head: str = ""
    entries: int = 0
    hold_name: str = ""
    reason: str = ""
    hold_playbooks: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    def owns(self, lease: dict[str, Any]) -> bool:
        return bool(lease["responder"] == self.responder and lease["controller"] == self.controller)


def owner(lease: dict[str, Any]) -> str:
    return clean(f"{lease['responder']}@{lease['controller']}")


def refusal(kind: str, sentence: str, following: str) -> dict[str, str]:
    return {"kind": kind, "sentence": sentence, "next": following}


def _again(request: Request, *extra: str) -> str:
    limit = ["--limit", request.host] if request.host else []
    return " ".join(["ansible-playbook", f"playbooks/{request.playbook}.yml", *limit, *extra])


def lift_words(name: str) -> str:
    """The variables that lift a hold, as a shell takes them: a name that somebody's hand gave may hold anything."""
    if re.fullmatch(r"[\w.-]+", name, re.ASCII):
        return f"-e \"hold_name={name} hold_reason='WHY IT MAY GO ON'\""
    return "-e " + shlex.quote(json.dumps({"hold_name": name, "hold_reason": "WHY IT MAY GO ON"}, ensure_ascii=False))


def lift_command(request: Request, name: str) -> str:
    limit = ["--limit", request.host] if request.host else []
    return " ".join(["ansible-playbook", "playbooks/release_hold.yml", *limit, lift_words(name)])


def clock_refusal(request: Request) -> dict[str, str] | None:
    if request.controller_clock is None:
        return None
    skew = time.time() - request.controller_clock
    if abs(skew) <= CLOCK_TOLERANCE:
        return None
    order = "ahead of" if skew > 0 else "behind"
    return refusal(
        "clock",
        f"The host's clock is {abs(skew):.0f} s {order} the controller's; above {CLOCK_TOLERANCE:.0f} s nothing is done automatically, "
        "since times in the record and in the metrics could not be compared.",
        "timedatectl status  (on both), then run the same command again",
    )


def hold_refusal(request: Request, holds: list[dict[str, Any]]) -> dict[str, str] | None:
    bound = host.binding(holds, request.playbook)
    if not bound:
        return None
    hold = bound[0]
    more = f" ({len(bound) - 1} more)" if len(bound) > 1 else ""
    return refusal(
        "hold",
        f"The hold '{hold['name']}' by {hold['by']} since {hold['since']} forbids {request.playbook}: {hold['reason']}.{more}",
        # What stands for a folder that nobody can list is no hold that could be lifted.
        "look at the folder holds on the host, then run the same command again"
        if hold["name"] == host.UNLISTED
        else lift_command(request, hold["name"]),
    )


def freeze_refusal(request: Request, freezes: list[dict[str, Any]]) -> dict[str, str] | None:
    found = freezing.freezing(freezes, request.services)
    if found is None:
        return None
    service, freeze = found
    return refusal(
        "freeze",
        f"{clean(service)} may not be started: {freezing.words(freeze)}.",
        freezing.thaw_words(str(freeze["name"]), request.host),
    )


def lease_refusal(request: Request, lease: dict[str, Any] | None) -> dict[str, str] | None:
    if lease is None or not host.in_force(lease) or request.take_over:
        return None
    if request.owns(lease) and lease["run_id"] in (request.run_id, request.resume):
        return None
    whose = "Another run of yours" if request.owns(lease) else owner(lease)
    still = (
        f" (pid {lease['pid']} on {clean(lease['controller'])} is still there)"
        if request.owns(lease) and lease.get("pid")
        else ""
    )
    return refusal(
        "lease",
        f"{whose} has been acting here with playbook {clean(lease['playbook'])} since {lease['since']}{still}; "
        f"the lease ends {lease['until']} unless it is renewed.",
        ("" if not request.owns(lease) else "wait for that run, playbooks/status.yml shows it; only if it hangs: ")
        + _again(request, "-e take_over=true"),
    )


def attempts_refusal(request: Request, attempts: dict[str, Any]) -> dict[str, str] | None:
    if attempts["count"] < attempts["limit"]:
        return None
    return refusal(
        "attempts",
        f"{request.action} was tried {attempts['count']} times within {attempts['window'] // 60} min and did not last: "
        f"a person has to look (automatic again from {attempts['next_free']}).",
        _again(request, f"-e incident_attempts={attempts['count'] + 1}"),
    )


def orphan_refusal(request: Request, left: dict[str, Any]) -> dict[str, str]:
    since = f" since {utc(left['started'])}" if left["started"] is not None else ""
    who = f"pid {left['pid']}" if left["pid"] is not None else "a process"
    return refusal(
        "orphan",
        f"An earlier run's step is still at work on the host: {who} ({clean(left['command'], 120)}){since}; "
        f"waited {request.wait_for_orphan_seconds:.0f} s for it.",
        _again(request),
    )


def token_refusal(request: Request, lease: dict[str, Any] | None, latest: int = 0) -> dict[str, str] | None:
    """Why the token of this run no longer counts."""
    if lease is None and request.token.isdigit() and latest > int(request.token):
        why = f"another run has acted here since, and is done (token {latest}, ours is {request.token})"
    elif lease is None:
        why = "the host has no lease any more (released, or the host was restarted)"
    elif str(lease["token"]) != str(request.token) or lease["run_id"] != request.run_id:
        why = f"{owner(lease)} took the lease at {lease['since']} (token {lease['token']}, ours is {request.token or 'none'})"
    elif not host.in_force(lease):
        why = f"the lease ended {lease['until']}"
    else:
        return None
    return refusal("token", f"This run may no longer act: {why}. It stops before its next step.", _again(request))
