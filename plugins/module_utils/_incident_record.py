# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing to the incident desk: whatever was recorded stays, in order, also through a crash.

This module is private to the collection.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_desk as desk
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_timeline as timeline
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    PRIVATE_DIRECTORY,
    IncidentError,
    clean,
    draft_of,
    locked,
    private_directory,
    put_in_place,
    read_json,
    remove,
    sync_directory,
    utc,
    write_draft,
    write_json,
)

LOCK_SECONDS = 30.0
SUBFOLDERS = ("outbox", "evidence")
STATE = "incident.json"
POSTMORTEM = "postmortem.md"


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
    # Names what is said: whoever says it a second time, after a crash for example, adds nothing.
    once: str = ""
    monitoring_seconds: float = 3600
    # What the host remembers of its incidents: {id: {entries, head}}.
    pins: dict[str, Any] = field(default_factory=dict)
    # When it was said, in seconds since 1970, where that is not now.
    at: float | None = None


def _stamp(form: str) -> str:
    return datetime.now(timezone.utc).strftime(form)


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def epoch(text: Any) -> float | None:
    """The time that now() wrote; None for anything else."""
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def _new_state(incident: str, said: Said, status: str, opened: float | None = None) -> dict[str, Any]:
    opened = time.time() if opened is None else opened
    return {
        "id": incident,
        "hosts": [said.host],
        "title": said.playbook,
        # The day's log is no incident, so it has no severity either.
        "severity": None if status == "log" else said.severity,
        "status": status,
        "status_at": opened,
        "opened": utc(opened),
        "entries": 0,
        "head": timeline.genesis(incident),
        "broken_at": None,
    }


def allocate(desk_dir: str, said: Said, wanted: str = "", opened: float | None = None) -> tuple[str, dict[str, Any]]:
    """A folder of its own, named by the UTC minute (or as wanted); mkdir decides who gets the name."""
    wanted = wanted or _stamp("INC-%Y%m%d-%H%M")
    incident, number = wanted, 1
    while True:
        folder = os.path.join(desk_dir, incident)
        try:
            os.mkdir(folder, PRIVATE_DIRECTORY)
            break
        except FileExistsError:
            number += 1
            incident = f"{wanted}-{number}"
    state = _new_state(incident, said, "open", opened)
    try:
        for name in SUBFOLDERS:
            os.mkdir(os.path.join(folder, name), PRIVATE_DIRECTORY)
        write_json(os.path.join(folder, STATE), state)
    except OSError:
        shutil.rmtree(folder)  # nothing was said in it yet
        raise
    sync_directory(desk_dir)
    return folder, state


def operations(desk_dir: str, said: Said, name: str = "") -> tuple[str, dict[str, Any]]:
    """The day's log for what belongs to no incident."""
    name = name or _stamp("OPS-%Y%m%d")
    folder = os.path.join(desk_dir, name)
    os.makedirs(folder, PRIVATE_DIRECTORY, exist_ok=True)
    state = desk.read_state(folder)
    if state is None and not desk.read_timeline(folder, name).entries:
        state = _new_state(name, said, "log")
        write_json(os.path.join(folder, STATE), state)
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


def say(folder: str, state: dict[str, Any], found: timeline.Timeline, **said: Any) -> dict[str, Any]:
    """Append one entry and pin it in incident.json.

    The new pin is drafted first: on a full disk either both can be written or the timeline stays as it is.
    """
    last = found.entries[-1] if found.entries else None
    entry = timeline.next_entry(last, state["id"], {"time": now(), **said})
    if (said.get("data") or {}).get("postmortem"):
        # Once it was said it stays: no later run takes it back.
        state["postmortem"] = entry["data"]["postmortem"]
    state.update(entries=len(found.entries) + 1, head=entry["hash"])
    path = os.path.join(folder, STATE)
    draft = write_draft(path, state)
    with ExitStack() as not_said:
        not_said.callback(remove, draft)
        timeline.append(os.path.join(folder, timeline.FILE), entry)
        not_said.pop_all()
    put_in_place(draft, path)
    found.entries.append(entry)
    found.head = entry["hash"]
    return entry


def settle(folder: str, incident: str) -> None:
    """Finish what a process did that was killed between an entry and its pin, or throw away what it had only drafted."""
    path = os.path.join(folder, STATE)
    draft = draft_of(path)
    if not os.path.lexists(draft):
        return
    try:
        drafted = read_json(draft) or {}
    except ValueError:
        drafted = {}
    found = desk.read_timeline(folder, incident)
    if found.entries and (drafted.get("entries"), drafted.get("head")) == (len(found.entries), found.head):
        put_in_place(draft, path)
    else:
        remove(draft)


def mend(folder: str, state: dict[str, Any], found: timeline.Timeline, said: Said) -> None:
    """Before a new entry: keep a torn line aside; never let a new pin hide that the timeline was tampered with."""
    about = {"host": said.host, "playbook": said.playbook, "responder": said.responder, "run_id": said.run_id}
    broken_at = timeline.pinned(found, state) or timeline.unlike_host(found, said.pins.get(state["id"]))
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
        say(folder, state, found, event=event, text=text, data=data, **about)


def _said_before(desk_dir: str, once: str) -> bool:
    """Whether any record has an entry of this name. What could hide it from the search is not in a name of ours."""
    mark = f'"once":{json.dumps(once)}'.encode()
    for _name, folder in desk.folders(desk_dir):
        try:
            with open(os.path.join(folder, timeline.FILE), "rb") as source:
                # Only whole lines say something; a torn one was never answered for.
                if mark in source.read().rpartition(b"\n")[0]:
                    return True
        except FileNotFoundError:
            continue
    return False


def _written(folder: str) -> bool:
    try:
        return os.path.getsize(os.path.join(folder, POSTMORTEM)) > 0
    except FileNotFoundError:
        return False


def _answer(state: dict[str, Any], entry: dict[str, Any] | None, changed: bool) -> dict[str, Any]:
    broken_at = state.get("broken_at")
    return {"incident": state["id"], "opened": state["opened"], "status": state["status"], "severity": state["severity"], "head": state["head"],
            "entries": state["entries"], "entry": entry, "intact": broken_at is None, "broken_at": broken_at, "changed": changed}  # fmt: skip


def record(desk_dir: str, said: Said, write: bool = True) -> dict[str, Any]:
    """Add an entry to the host's open incident, opening one where that was asked for."""
    if not write:
        return _predict(desk_dir, said)
    private_directory(desk_dir)
    with locked(os.path.join(desk_dir, ".lock"), LOCK_SECONDS):
        for name, folder in desk.folders(desk_dir):
            settle(folder, name)
        current = desk.open_incident(desk_dir, said.host, said.monitoring_seconds)
        repeated = bool(said.once) and _said_before(desk_dir, said.once)
        if repeated and current is None:
            return _predict(desk_dir, said)
        if current is None:
            current = allocate(desk_dir, said) if said.open else operations(desk_dir, said)
        folder, state = current
        found = desk.read_timeline(folder, state["id"])
        new_status = (
            said.status if said.status and said.status != state["status"] and desk.INCIDENT.match(state["id"]) else None
        )
        if new_status == "resolved" and state.get("postmortem") == "mandatory" and not _written(folder):
            raise IncidentError(
                f"{state['id']} cannot be resolved without its post-mortem, which is mandatory where data was lost: write "
                f"{os.path.join(folder, POSTMORTEM)} with the root cause, then run the same command again."
            )
        if repeated or (said.unless_repeated and new_status is None and repeats(found.entries, said)):
            return _answer(state, None, changed=False)
        mend(folder, state, found, said)
        if said.host not in state["hosts"]:
            state["hosts"] = sorted([*state["hosts"], said.host])
        if said.severity and said.severity != state["severity"] and desk.INCIDENT.match(state["id"]):
            state["severity"] = said.severity
        if new_status:
            state.update(status=new_status)
        if said.status:
            state.update(status_at=time.time())
        entry = say(
            folder, state, found,
            host=said.host, playbook=said.playbook, responder=said.responder, run_id=said.run_id,
            event=said.event, text=said.text, data=said.data, status=state["status"], **({"once": said.once} if said.once else {}),
        )  # fmt: skip
    return _answer(state, entry, changed=True)


def _predict(desk_dir: str, said: Said) -> dict[str, Any]:
    """What record() would say, without writing."""
    current = desk.open_incident(desk_dir, said.host, said.monitoring_seconds)
    repeated = bool(said.once) and _said_before(desk_dir, said.once)
    if current is None:
        state = _new_state(_stamp("INC-%Y%m%d-%H%M" if said.open else "OPS-%Y%m%d"), said, "open" if said.open else "log")
        return _answer(state, None, changed=not repeated)
    folder, state = current
    found = desk.read_timeline(folder, state["id"])
    same = said.unless_repeated and repeats(found.entries, said) and said.status in (None, state["status"])
    return _answer(state, None, changed=not (repeated or same))
