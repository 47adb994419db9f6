# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may act on a marketplace host now: one responder, no hold, not too often, nothing left at work.

A refusal is a finding, not an error: the caller decides what it means.

This module is private to the collection.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack, contextmanager
from typing import Any, Iterable, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_host as host
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_processes as processes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    IncidentError,
    clean,
    draft_of,
    locked,
    private_directory,
    remove,
    try_lock,
    utc,
    write_all,
    write_json,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import freezing, read_freezes, words
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_pins import remember
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_refusals import (
    Request,
    attempts_refusal,
    clock_refusal,
    freeze_refusal,
    hold_refusal,
    lease_refusal,
    orphan_refusal,
    owner,
    token_refusal,
)

LOCK_SECONDS = 10.0
ORPHAN_POLL = 0.2


def orphan(places: Places, project_dir: str) -> dict[str, Any] | None:
    """What an earlier run, killed since, has left at work on this host."""
    # Only a file that is there can be locked by anybody; looking for orphans must not make one.
    handle = try_lock(places.acting_lock) if os.path.exists(places.acting_lock) else -1
    if handle is None:
        with open(places.acting_lock, encoding="utf-8", errors="replace") as source:
            try:
                said = json.loads(source.read(4096))
            except ValueError:
                said = {}
        pid = said.get("pid") if isinstance(said, dict) else None
        if not isinstance(pid, int):
            return {"pid": None, "command": "a module of this collection", "started": None}
        return processes.describe(pid, clean(str(said.get("what"))))
    if handle >= 0:
        os.close(handle)
    left = processes.left_at_work(project_dir) if project_dir else []
    return left[0] if left else None


def answer(
    attempts: dict[str, Any], holds: list[dict[str, Any]], freezes: list[dict[str, Any]], **found: Any
) -> dict[str, Any]:
    """What the module returns, whatever was asked."""
    return {
        "granted": found.get("refusal") is None,
        "token": None,
        "lease": None,
        "holds": holds,
        "freezes": freezes,
        "attempts": attempts,
        "refusal": None,
        "changed": False,
        **found,
    }


def _prepare(places: Places) -> None:
    for path in (places.state_dir, places.holds, places.lease_dir):
        private_directory(path)


def _sweep(places: Places) -> None:
    """Drafts of a killed run; under the guard's lock nobody else has one."""
    for path in (places.lease, places.fencing, places.attempts, places.pins):
        remove(draft_of(path))


def _succession(request: Request, earlier: dict[str, Any] | None) -> dict[str, Any]:
    """After whom a new lease comes, and how that happened."""
    found: dict[str, Any] = {"resumed": None, "taken_over": None, "expired": None}
    if earlier is not None:
        before = {"run_id": earlier["run_id"], "since": earlier["since"], "owner": owner(earlier)}
        resumed = request.owns(earlier) and request.resume
        found["resumed" if resumed else "taken_over" if host.in_force(earlier) else "expired"] = before
    return found


def _written(places: Places, request: Request, token: int, earlier: dict[str, Any] | None) -> dict[str, Any]:
    """Write the lease of this request, remembering since when and after whom."""
    if earlier is not None and earlier["run_id"] == request.run_id and earlier["token"] == token:
        lease = {**earlier, "action": request.action or earlier.get("action", "")}
    else:
        lease = {
            "token": token,
            "responder": request.responder,
            "controller": request.controller,
            "run_id": request.run_id,
            "pid": request.pid,
            "pid_started": request.pid_started,
            "playbook": request.playbook,
            "action": request.action,
            "since": utc(time.time()),
            **_succession(request, earlier),
        }
    lease.update(
        # For the modules that act under it, which read the holds in the call that acts.
        state_dir=places.state_dir,
        boot_id=processes.boot_id(),
        expires=host.boot_clock() + request.lease_seconds,
        until=utc(time.time() + request.lease_seconds),
        lease_seconds=request.lease_seconds,
    )
    write_json(places.lease, lease)
    return lease


def _decide(places: Places, request: Request, write: bool, clocks: dict[str, str] | None) -> dict[str, Any]:
    holds, freezes = host.read_holds(places), read_freezes(places)
    lease = host.read_lease(places)
    tried = host.read_attempts(places)
    attempts = host.counted(tried, request.action, request.attempts_window, request.attempts)
    renewal = lease is not None and host.in_force(lease) and request.owns(lease) and lease["run_id"] == request.run_id
    refused = clocks or hold_refusal(request, holds) or freeze_refusal(request, freezes) or lease_refusal(request, lease)
    if refused is None and not renewal:
        refused = attempts_refusal(request, attempts)
    if refused is None and not renewal:
        left = orphan(places, request.project_dir)
        if left is not None:
            return answer(attempts, holds, freezes, lease=lease, refusal=orphan_refusal(request, left))
    if refused is not None:
        return answer(attempts, holds, freezes, lease=lease, refusal=refused)
    if not write:
        return answer(attempts, holds, freezes, lease=lease, changed=not renewal)
    token = lease["token"] if lease is not None and renewal else host.read_token(places) + 1
    if not renewal:
        # The token first: a crash in between wastes a number, it never gives one out twice.
        write_json(places.fencing, {"token": token})
        kept = host.recent(tried, max(request.attempts_window, 86400))
        kept.append({"action": request.action, "at": time.time(), "run_id": request.run_id, "responder": request.responder})
        write_json(places.attempts, {"attempts": kept})
        attempts = host.counted(kept, request.action, request.attempts_window, request.attempts)
    lease = _written(places, request, token, lease)
    return answer(attempts, holds, freezes, lease=lease, token=str(token), changed=not renewal)


def acquire(places: Places, request: Request, write: bool = True) -> dict[str, Any]:
    """Take or renew the lease, waiting (bounded) for what an earlier run left at work."""
    deadline = time.monotonic() + (request.wait_for_orphan_seconds if write else 0)
    # Once, now: the controller's clock was read when the call was made, and waiting is no skew.
    clocks = clock_refusal(request)
    while True:
        with ExitStack() as stack:
            if write:
                _prepare(places)
                stack.enter_context(locked(places.guard_lock, LOCK_SECONDS))
                _sweep(places)
            found = _decide(places, request, write, clocks)
        if found["granted"] or found["refusal"]["kind"] != "orphan" or time.monotonic() >= deadline:
            return found
        time.sleep(ORPHAN_POLL)


def check(places: Places, request: Request, write: bool = True) -> dict[str, Any]:
    """Whether the lease is still ours and no hold came since; extends it."""
    with ExitStack() as stack:
        if write and os.path.isdir(places.lease_dir):
            stack.enter_context(locked(places.guard_lock, LOCK_SECONDS))
        holds, freezes = host.read_holds(places), read_freezes(places)
        lease = host.read_lease(places)
        attempts = host.counted(host.read_attempts(places), request.action, request.attempts_window, request.attempts)
        latest = host.read_token(places)
        refused = token_refusal(request, lease, latest) or hold_refusal(request, holds) or freeze_refusal(request, freezes)
        if refused is None and lease is not None and write:
            _remember(places, request)
            lease = _written(places, request, lease["token"], lease)
    token = None if refused else str(request.token)
    superseded = request.token.isdigit() and latest > int(request.token)
    return answer(attempts, holds, freezes, lease=lease, token=token, refusal=refused, superseded=superseded)


def _remember(places: Places, request: Request) -> None:
    """How long the record is by now, where the desk that keeps it cannot change it."""
    if request.incident and request.head and request.entries:
        private_directory(places.state_dir)
        remember(places, request.desk, request.incident, request.entries, request.head)


def release(places: Places, request: Request, write: bool = True) -> dict[str, Any]:
    """Give back our own lease; somebody else's stays."""
    with ExitStack() as stack:
        if write and request.head:
            private_directory(places.lease_dir)
        if write and os.path.isdir(places.lease_dir):
            stack.enter_context(locked(places.guard_lock, LOCK_SECONDS))
            _sweep(places)
        lease = host.read_lease(places)
        ours = lease is not None and str(lease["token"]) == str(request.token) and lease["run_id"] == request.run_id
        if ours and write:
            os.unlink(places.lease)
        if write:
            # Last, so that a full disk does not keep the host from being given back.
            _remember(places, request)
        refused = None if ours else token_refusal(request, lease)
    return answer({}, host.read_holds(places), read_freezes(places), lease=lease, refusal=refused, changed=ours)


@contextmanager
def acting(
    lease_dir: str,
    token: str | None,
    what: str = "a module of this collection",
    services: Iterable[str] = (),
    state_dir: str = "",
) -> Iterator[None]:
    """For the life of a module that changes something: nobody else acts, and the token still counts.

    services are those that it starts: none of them may be frozen. Where the freezes lie is told by the lease, else by state_dir.

    A run that is killed leaves the module alone on the host; its lock tells the next run that it is still there.
    """
    places = Places(state_dir="", lease_dir=lease_dir)
    private_directory(lease_dir)
    handle = try_lock(places.acting_lock)
    if handle is None:
        left = orphan(places, "") or {"pid": None}
        raise IncidentError(
            f"Another step is still at work on this host (pid {left['pid']}): wait for it, then run the same command again."
        )
    try:
        lease = host.read_lease(places)
        if host.in_force(lease) and lease is not None and str(lease["token"]) != str(token or ""):
            raise IncidentError(
                f"{owner(lease)} has the lease of this host since {lease['since']} (token {lease['token']}, ours is {token or 'none'}): "
                "this step was not done."
            )
        if token and not host.in_force(lease):
            raise IncidentError(
                f"The lease of this run (token {token}) is over: this step was not done; run the same command again."
            )
        held = _held_since(lease)
        if held is not None:
            raise IncidentError(f"{held} This step was not done.")
        where = str((lease or {}).get("state_dir") or state_dir)
        frozen = freezing(read_freezes(Places(state_dir=where, lease_dir="")), services) if where else None
        if frozen is not None:
            raise IncidentError(f"{clean(frozen[0])} may not be started: {words(frozen[1])}. This step was not done.")
        os.ftruncate(handle, 0)
        note = {"pid": os.getpid(), "what": what, "token": token}
        write_all(handle, json.dumps(note).encode())
        yield
    finally:
        os.ftruncate(handle, 0)
        os.close(handle)


def _held_since(lease: dict[str, Any] | None) -> str | None:
    """The hold that was placed after the guard was asked, in a sentence."""
    if lease is None or not host.in_force(lease) or not lease.get("state_dir"):
        return None
    places = Places(state_dir=str(lease["state_dir"]), lease_dir="")
    bound = host.binding(host.read_holds(places), str(lease["playbook"]))
    return (
        f"The hold '{bound[0]['name']}' by {bound[0]['by']} forbids {lease['playbook']}: {bound[0]['reason']}."
        if bound
        else None
    )


def renew(lease_dir: str, token: str) -> bool:
    """Extend the lease from within a long module; False when it is no longer ours, or a hold came."""
    places = Places(state_dir="", lease_dir=lease_dir)
    with locked(places.guard_lock, LOCK_SECONDS):
        lease = host.read_lease(places)
        if lease is None or not host.in_force(lease) or str(lease["token"]) != str(token):
            return False
        if _held_since(lease) is not None:
            return False
        seconds = float(lease.get("lease_seconds") or 900)
        write_json(places.lease, {**lease, "expires": host.boot_clock() + seconds, "until": utc(time.time() + seconds)})
    return True
