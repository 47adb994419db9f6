# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placing and lifting a hold: a person's word that binds every run on a host until it is lifted.

No lease is needed: a hold must be possible while somebody else acts, and stops them at their next check.

This module is private to the collection.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import ExitStack
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_host as host
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    IncidentError,
    clean,
    locked,
    private_directory,
    read_json,
    sync_directory,
    utc,
    write_json,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import read_freezes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_refusals import Request, lift_command

LOCK_SECONDS = 10.0
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
LONGEST_REASON = 500
RELEASED = "released"


def _path(places: Places, name: str) -> str:
    return os.path.join(places.holds, f"{name}.json")


def _prepare(places: Places, stack: ExitStack, write: bool) -> None:
    if not write:
        return
    for folder in (places.state_dir, places.holds, places.lease_dir):
        private_directory(folder)
    stack.enter_context(locked(places.guard_lock, LOCK_SECONDS))


def _named(request: Request) -> None:
    if not NAME.match(request.hold_name):
        raise IncidentError(
            f"'{clean(request.hold_name, 80)}' cannot be the name of a hold: use up to 64 letters, digits, dots, hyphens and "
            "underscores, beginning with a letter or a digit, for example evidence-0213."
        )


def _reasoned(request: Request) -> str:
    reason = clean(request.reason.strip(), LONGEST_REASON)
    if not reason:
        raise IncidentError("A hold is placed and lifted with a reason, which everybody it stops will read: give one.")
    return reason


def _playbook(name: str) -> str:
    """A playbook by its own name, whether it was given so or as the file that is run."""
    return os.path.basename(clean(name.strip())).removesuffix(".yml")


def answer(places: Places, hold: dict[str, Any] | None, changed: bool, once: str) -> dict[str, Any]:
    return {
        "granted": True, "token": None, "lease": host.read_lease(places), "attempts": {}, "refusal": None,
        "holds": host.read_holds(places), "freezes": read_freezes(places), "hold": hold, "once": once, "changed": changed,
    }  # fmt: skip


def place(places: Places, request: Request, write: bool = True) -> dict[str, Any]:
    """Hold the host; a hold of this name that says the same is left as it is."""
    _named(request)
    reason = _reasoned(request)
    wanted = [name for name in map(_playbook, request.hold_playbooks) if name]
    with ExitStack() as stack:
        _prepare(places, stack, write)
        there = next((hold for hold in host.read_holds(places) if hold["name"] == request.hold_name), None)
        if there is not None:
            if not there["readable"] or (there["reason"], sorted(there["playbooks"])) != (reason, sorted(wanted)):
                raise IncidentError(
                    f"The hold '{there['name']}' by {there['by']} since {there['since']} is there already, with another content "
                    f"({there['reason']}): choose another name, or lift it first with {lift_command(request, there['name'])}."
                )
            return answer(places, there, False, _once("hold", _path(places, request.hold_name)))
        hold = {"name": request.hold_name, "reason": reason, "by": request.responder, "controller": request.controller,
                "run_id": request.run_id, "since": utc(time.time()), "playbooks": wanted}  # fmt: skip
        if write:
            write_json(_path(places, request.hold_name), hold)
        return answer(places, {**hold, "readable": True}, True, _once("hold", _path(places, request.hold_name)))


def _once(event: str, path: str) -> str:
    """The name of the record's entry about it, so that a rerun adds what a killed run did not get to, and nothing twice."""
    name = os.path.basename(path)[: -len(".json")]
    return f"{event} {clean(name)} {os.lstat(path).st_mtime_ns}" if os.path.lexists(path) else ""


def lift(places: Places, request: Request, write: bool = True) -> dict[str, Any]:
    """Lift a hold, whoever placed it and whether or not it can be read; what it said is kept."""
    reason = _reasoned(request)
    with ExitStack() as stack:
        _prepare(places, stack, write)
        there = next((hold for hold in host.read_holds(places) if hold["name"] == request.hold_name), None)
        path = _path(places, request.hold_name)
        if there is None or not os.path.lexists(path) or os.path.basename(path) != f"{request.hold_name}.json":
            return _lifted_before(places, request)
        kept = os.path.join(places.holds, RELEASED, f"{request.hold_name}-{os.lstat(path).st_mtime_ns}")
        once = _once("release", path)
        released = {**there, "once": once, "released_by": request.responder, "released_at": utc(time.time()), "released_reason": reason,
                    "released_run_id": request.run_id}  # fmt: skip
        if write:
            private_directory(os.path.dirname(kept))
            # What was lifted and by whom first; the hold binds until the one step that takes it away.
            write_json(f"{kept}.json", released)
            os.rename(path, f"{kept}.held")
            sync_directory(places.holds)
            sync_directory(os.path.dirname(kept))
        return answer(places, released, True, once)


def _lifted_before(places: Places, request: Request) -> dict[str, Any]:
    """There is no such hold: nothing to do. The last one of that name that was lifted, if any, is told."""
    folder = os.path.join(places.holds, RELEASED)
    found: list[dict[str, Any]] = []
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        base, _dash, stamp = name[: -len(".json")].rpartition("-")
        if (
            name.endswith(".json")
            and base == request.hold_name
            and os.path.lexists(os.path.join(folder, f"{base}-{stamp}.held"))
        ):
            try:
                hold = read_json(os.path.join(folder, name)) or {}
            except ValueError:
                continue
            if isinstance(hold.get("released_at"), str) and isinstance(hold.get("once"), str):
                found.append({**hold, "name": request.hold_name})
    last = max(found, key=lambda hold: str(hold["released_at"]), default=None)
    return answer(places, last, False, last["once"] if last else "")
