# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing to the incident desk: whatever was recorded stays, in order, also through a crash.

This module is private to the collection.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_desk as desk
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_timeline as timeline
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    PRIVATE_DIRECTORY,
    clean,
    locked,
    private_directory,
    sync_directory,
    utc,
    write_json,
)

LOCK_SECONDS = 30.0
SUBFOLDERS = ("outbox", "evidence")


@dataclass(frozen=True)
class Said:
    """What is to be recorded, and about which host."""

    host: str
    playbook: str
    responder: str
    run_id: str
    event: str
    text: str
    data: dict[str, Any] = field(default_factory=dict)
    severity: str | None = None
    status: str | None = None
    open: bool = False
    unless_repeated: bool = False
    monitoring_seconds: float = 3600


def _stamp(form: str) -> str:
    return datetime.now(timezone.utc).strftime(form)


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _new_state(incident: str, said: Said, status: str) -> dict[str, Any]:
    return {
        "id": incident,
        "hosts": [said.host],
        "title": said.playbook,
        "severity": said.severity,
        "status": status,
        "status_at": time.time(),
        "opened": utc(time.time()),
        "entries": 0,
        "head": timeline.genesis(incident),
        "broken_at": None,
    }


def _allocate(desk_dir: str, said: Said) -> tuple[str, dict[str, Any]]:
    """A folder of its own, named by the UTC minute; mkdir decides who gets the name."""
    minute = _stamp("INC-%Y%m%d-%H%M")
    incident, number = minute, 1
    while True:
        folder = os.path.join(desk_dir, incident)
        try:
            os.mkdir(folder, PRIVATE_DIRECTORY)
            break
        except FileExistsError:
            number += 1
            incident = f"{minute}-{number}"
    for name in SUBFOLDERS:
        os.mkdir(os.path.join(folder, name), PRIVATE_DIRECTORY)
    state = _new_state(incident, said, "open")
    write_json(os.path.join(folder, "incident.json"), state)
    sync_directory(desk_dir)
    return folder, state


def _operations(desk_dir: str, said: Said) -> tuple[str, dict[str, Any]]:
    """The day's log for what belongs to no incident."""
    name = _stamp("OPS-%Y%m%d")
    folder = os.path.join(desk_dir, name)
    os.makedirs(folder, PRIVATE_DIRECTORY, exist_ok=True)
    state = desk.read_state(folder)
    if state is None and not desk.read_timeline(folder, name).entries:
        state = _new_state(name, said, "log")
        write_json(os.path.join(folder, "incident.json"), state)
        sync_directory(desk_dir)
    return folder, state or _rebuilt(name, said, folder)


def _rebuilt(name: str, said: Said, folder: str) -> dict[str, Any]:
    """A state for a timeline that lost its own: it goes on, and says for ever that it was broken."""
    found = desk.read_timeline(folder, name)
    return {
        **_new_state(name, said, "log"),
        "entries": len(found.entries),
        "head": found.head,
        "broken_at": timeline.pinned(found, None),
    }


def repeats(entries: list[dict[str, Any]], said: Said) -> bool:
    """Whether the host's last entry of this event says the same, and nothing was begun since."""
    for entry in reversed(desk.of_host(entries, said.host)):
        if entry.get("event") == said.event:
            return bool(entry.get("text") == clean(said.text, timeline.LONGEST_TEXT))
        if entry.get("event") == "intent":
            return False
    return False


def _say(folder: str, state: dict[str, Any], found: timeline.Timeline, **said: Any) -> dict[str, Any]:
    """Append one entry, then pin it in incident.json."""
    last = found.entries[-1] if found.entries else None
    entry = timeline.next_entry(last, state["id"], {"time": _now(), **said})
    timeline.append(os.path.join(folder, timeline.FILE), entry)
    found.entries.append(entry)
    found.head = entry["hash"]
    state.update(entries=len(found.entries), head=entry["hash"])
    write_json(os.path.join(folder, "incident.json"), state)
    return entry


def _mend(folder: str, state: dict[str, Any], found: timeline.Timeline, said: Said) -> None:
    """Before a new entry: keep a torn line aside; never let a new pin hide that the timeline was tampered with."""
    about = {"host": said.host, "playbook": said.playbook, "responder": said.responder, "run_id": said.run_id}
    broken_at = timeline.pinned(found, state)
    notes = []
    if found.torn:
        aside = timeline.set_torn_aside(os.path.join(folder, timeline.FILE), found.torn, _stamp("%Y%m%dT%H%M%SZ"))
        notes.append(
            (
                "repaired",
                f"an unfinished line of {len(found.torn)} bytes, left by a crash, was kept as {aside}",
                {"file": aside},
            )
        )
        found.torn = b""
    if broken_at and not state.get("broken_at"):
        state["broken_at"] = {
            **broken_at,
            "noticed": utc(time.time()),
            "pinned_entries": state["entries"],
            "pinned_head": state["head"],
        }
        notes.append(("tampering", f"the timeline is not as it was written: {broken_at['why']}", dict(state["broken_at"])))
    for event, text, data in notes:
        _say(folder, state, found, event=event, text=text, data=data, **about)


def _answer(state: dict[str, Any], entry: dict[str, Any] | None, changed: bool) -> dict[str, Any]:
    broken_at = state.get("broken_at")
    return {"incident": state["id"], "opened": state["opened"], "status": state["status"], "severity": state["severity"], "head": state["head"],
            "entry": entry, "intact": broken_at is None, "broken_at": broken_at, "changed": changed}  # fmt: skip


def record(desk_dir: str, said: Said, write: bool = True) -> dict[str, Any]:
    """Add an entry to the host's open incident, opening one where that was asked for."""
    if not write:
        return _predict(desk_dir, said)
    private_directory(desk_dir)
    with locked(os.path.join(desk_dir, ".lock"), LOCK_SECONDS):
        current = desk.open_incident(desk_dir, said.host, said.monitoring_seconds)
        if current is None:
            current = _allocate(desk_dir, said) if said.open else _operations(desk_dir, said)
        folder, state = current
        found = desk.read_timeline(folder, state["id"])
        new_status = (
            said.status if said.status and said.status != state["status"] and desk.INCIDENT.match(state["id"]) else None
        )
        if said.unless_repeated and new_status is None and repeats(found.entries, said):
            return _answer(state, None, changed=False)
        _mend(folder, state, found, said)
        if said.host not in state["hosts"]:
            state["hosts"] = sorted([*state["hosts"], said.host])
        if said.severity and said.severity != state["severity"] and desk.INCIDENT.match(state["id"]):
            state["severity"] = said.severity
        if new_status:
            state.update(status=new_status)
        if said.status:
            state.update(status_at=time.time())
        entry = _say(
            folder, state, found,
            host=said.host, playbook=said.playbook, responder=said.responder, run_id=said.run_id,
            event=said.event, text=said.text, data=said.data, status=state["status"],
        )  # fmt: skip
    return _answer(state, entry, changed=True)


def _predict(desk_dir: str, said: Said) -> dict[str, Any]:
    """What record() would say, without writing."""
    current = desk.open_incident(desk_dir, said.host, said.monitoring_seconds)
    if current is None:
        state = _new_state(_stamp("INC-%Y%m%d-%H%M" if said.open else "OPS-%Y%m%d"), said, "open" if said.open else "log")
        return _answer(state, None, changed=True)
    folder, state = current
    found = desk.read_timeline(folder, state["id"])
    same = said.unless_repeated and repeats(found.entries, said) and said.status in (None, state["status"])
    return _answer(state, None, changed=not same)
