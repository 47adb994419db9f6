# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The incident desk: one folder for each incident, with its state and its timeline.

This module is private to the collection.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_timeline as timeline
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import read_json

INCIDENT = re.compile(r"INC-\d{8}-\d{4}(-\d+)?\Z")
OPERATIONS = re.compile(r"OPS-\d{8}\Z")
STATE_FIELDS: dict[str, Any] = {
    "id": str,
    "hosts": list,
    "status": str,
    "opened": str,
    "entries": int,
    "head": str,
    "status_at": (int, float),
}
OVER = "resolved"
READINGS = 10


def read_state(folder: str) -> dict[str, Any] | None:
    """incident.json; None when it is missing or not what the recorder writes."""
    try:
        state = read_json(os.path.join(folder, "incident.json"))
    except ValueError:
        return None
    if state is None or not all(isinstance(state.get(name), kind) for name, kind in STATE_FIELDS.items()):
        return None
    return state


def read_timeline(folder: str, incident: str) -> timeline.Timeline:
    try:
        handle = os.open(os.path.join(folder, timeline.FILE), os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return timeline.parse(b"", incident)
    with os.fdopen(handle, "rb") as source:
        return timeline.parse(source.read(), incident)


def is_open(state: dict[str, Any], now: float, monitoring_seconds: float) -> bool:
    """Whether a rerun joins this incident: it is open, or mended so recently that it counts as the same one."""
    if state["status"] == "monitoring":
        return bool(now - state["status_at"] <= monitoring_seconds)
    return bool(state["status"] != OVER)


def folders(desk_dir: str) -> Iterator[tuple[str, str]]:
    """(id, folder) of every incident and operations log, oldest first."""
    try:
        names = os.listdir(desk_dir)
    except FileNotFoundError:
        return
    for name in sorted(names, key=lambda name: [int(part) if part.isdigit() else 0 for part in name.split("-")]):
        folder = os.path.join(desk_dir, name)
        if (INCIDENT.match(name) or OPERATIONS.match(name)) and os.path.isdir(folder) and not os.path.islink(folder):
            yield name, folder


def open_incident(desk_dir: str, host: str, monitoring_seconds: float) -> tuple[str, dict[str, Any]] | None:
    """The folder and the state of the newest incident of the host that is not over."""
    now = time.time()
    newest = None
    for name, folder in folders(desk_dir):
        state = read_state(folder) if INCIDENT.match(name) else None
        if state and host in state["hosts"] and is_open(state, now, monitoring_seconds):
            newest = (folder, state)
    return newest


def of_host(entries: list[dict[str, Any]], host: str | None) -> list[dict[str, Any]]:
    return [entry for entry in entries if host is None or entry.get("host") == host]


def unfinished(entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The last intent without an outcome: a run that was interrupted, or is still acting.

    A verb that was done, such as a backup, ends its own intent only: the repair that was interrupted before it still is.
    """
    intents: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.get("event") == "intent":
            intents[str(entry.get("playbook"))] = entry
        elif entry.get("event") == "outcome" and _outcome_of(entry) == "done":
            intents.pop(str(entry.get("playbook")), None)
        elif entry.get("event") == "outcome":
            intents.clear()
    if not intents:
        return None
    intent = max(intents.values(), key=entries.index)
    return {"run_id": intent["run_id"], "responder": intent["responder"], "since": intent["time"], "text": intent["text"]}


def last_outcome(entries: list[dict[str, Any]]) -> str | None:
    """How the last repair ended; a verb that was done meanwhile, such as a backup, is none."""
    for entry in reversed(entries):
        if entry.get("event") == "outcome" and _outcome_of(entry) != "done":
            return _outcome_of(entry)
    return None


def _outcome_of(entry: dict[str, Any]) -> str | None:
    found = entry["data"].get("outcome") if isinstance(entry.get("data"), dict) else None
    return str(found) if found is not None else None


def read_both(folder: str, incident: str) -> tuple[dict[str, Any] | None, timeline.Timeline, dict[str, Any] | None]:
    """State, timeline, and where they disagree. Nothing is locked, so a recorder at work is waited out by reading again."""
    for _attempt in range(READINGS):
        state = read_state(folder)
        found = read_timeline(folder, incident)
        broken_at = timeline.pinned(found, state)
        if broken_at is None or read_state(folder) == state:
            break
    return state, found, broken_at


def gone(name: str, host: str | None, pin: Any) -> dict[str, Any]:
    """What the host remembers of an incident that is not on the desk any more."""
    length = pin.get("entries") if isinstance(pin, dict) else None
    why = f"all {length or 'its'} entries that the host remembers were removed, with their folder"
    return {
        "id": name, "hosts": [host], "status": "unknown", "severity": None, "title": None, "opened": None, "entries": 0,
        "head": timeline.genesis(name), "last": None, "intact": False, "broken_at": {"entry": 1, "why": why}, "torn": False,
        "interrupted": None, "last_outcome": None,
    }  # fmt: skip


def view(name: str, folder: str, host: str | None, pin: Any = None) -> dict[str, Any] | None:
    """One incident as the desk tells it; None for a folder that never became one."""
    state, found, broken_at = read_both(folder, name)
    broken_at = broken_at or timeline.unlike_host(found, pin)
    if state is None and not found.entries and not found.torn and pin is None:
        return None
    if state and state.get("broken_at"):
        broken_at = state["broken_at"]
    ours = of_host(found.entries, host)
    last = found.entries[-1] if found.entries else None
    state = state or {}
    return {
        "id": name,
        "hosts": state.get("hosts") or sorted({str(entry.get("host")) for entry in found.entries}),
        "status": state.get("status", "unknown"),
        "severity": state.get("severity"),
        "title": state.get("title"),
        "opened": state.get("opened") or (found.entries[0].get("time") if found.entries else None),
        "entries": len(found.entries),
        "head": found.head,
        "last": {key: last.get(key) for key in ("seq", "time", "host", "event", "text", "responder", "run_id", "delivered")}
        if last
        else None,
        "intact": broken_at is None,
        "broken_at": broken_at,
        "torn": bool(found.torn),
        "interrupted": unfinished(ours),
        "last_outcome": last_outcome(ours),
    }


def look(desk_dir: str, host: str | None, monitoring_seconds: float, pins: dict[str, Any] | None = None) -> dict[str, Any]:
    """Everything on the desk, and the host's open incident; compared with what the host remembers (pins)."""
    there = dict(folders(desk_dir))
    pins = pins or {}
    incidents = [found for found in (view(name, folder, host, pins.get(name)) for name, folder in there.items()) if found]
    if host is not None:
        incidents = [found for found in incidents if host in found["hosts"] or found["id"] in pins]
    missing = [name for name in sorted(pins) if name not in there and (INCIDENT.match(name) or OPERATIONS.match(name))]
    incidents = [gone(name, host, pins[name]) for name in missing] + incidents
    current = open_incident(desk_dir, host, monitoring_seconds) if host is not None else None
    current_id = current[1]["id"] if current else None
    return {"incidents": incidents, "open_incident": next((found for found in incidents if found["id"] == current_id), None)}
