# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries that the desk did not take: they lie on the host in the desk's own form until the desk has them.

Three steps, each of which may be the last one of a run: read on the host, deliver on the desk, clear on the host.
Each entry is known by its hash, so that whatever is delivered twice stands there once.

This module is private to the collection.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_desk as desk
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_record as recorder
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_timeline as timeline
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    clean,
    locked,
    private_directory,
    read_json,
    sync_directory,
    write_json,
)

# What one run delivers at most; the rest follows with the next one.
MOST_ENTRIES = 200
MOST_BYTES = 2_000_000
CLEARED = ".cleared-"
# How many entries of a record the desk has, from the first one on.
MARK = "delivered.json"
WORDS = ("host", "playbook", "responder", "run_id", "event", "text", "time")


def _done(folder: str, found: timeline.Timeline) -> int:
    """How many entries the desk is known to have; a mark that does not fit the timeline counts for nothing."""
    try:
        mark = read_json(os.path.join(folder, MARK)) or {}
    except ValueError:
        return 0
    count = mark.get("entries")
    if not isinstance(count, int) or not 0 < count <= len(found.entries):
        return 0
    return count if found.entries[count - 1]["hash"] == mark.get("head") else 0


def waiting(spool_dir: str) -> dict[str, Any]:
    """What lies in the spool, in the order it was written, and what of it cannot be understood."""
    entries: list[dict[str, Any]] = []
    problems: list[str] = []
    count = size = 0
    leftover = os.path.isdir(spool_dir) and any(name.startswith(CLEARED) for name in os.listdir(spool_dir))
    for name, folder in desk.folders(spool_dir):
        state, found, broken_at = desk.read_both(folder, name)
        done = _done(folder, found)
        sound = found.entries
        # Without its pin a spooled record can still be delivered: each entry says itself whether it is as written.
        if broken_at and broken_at["entry"]:
            sound = found.entries[: broken_at["entry"] - 1]
            problems.append(f"{os.path.join(folder, timeline.FILE)}: {broken_at['why']}; what follows stays there")
        elif done and done == len(found.entries):
            leftover = True
        count += len(found.entries) - done
        for entry in sound[done:]:
            size += len(timeline.canonical(entry))
            if len(entries) < MOST_ENTRIES and size <= MOST_BYTES:
                entries.append({"record": name, "severity": (state or {}).get("severity"), "entry": entry})
    return {"count": count, "entries": entries, "leftover": leftover, "problems": problems}


def _refused(item: Any) -> str | None:
    """Why something cannot be an entry of a spool; None when it is one."""
    entry = item.get("entry") if isinstance(item, dict) else None
    name = str(item.get("record")) if isinstance(item, dict) else ""
    if not isinstance(entry, dict) or not (desk.INCIDENT.match(name) or desk.OPERATIONS.match(name)):
        return "an entry of the spool has not the form of one"
    if not all(isinstance(entry.get(word), str) for word in WORDS) or not isinstance(entry.get("data"), dict):
        return f"an entry of {name} in the spool lacks what every entry has"
    if timeline.digest(entry) != entry.get("hash") or recorder.epoch(entry["time"]) is None:
        return f"entry {entry.get('seq')} of {name} in the spool was edited after it was written"
    return None


def _delivered(desk_dir: str) -> tuple[set[str], dict[tuple[str, str], str]]:
    """The names and hashes of what the desk has, and the folder that a host's spooled record went to."""
    known: set[str] = set()
    places: dict[tuple[str, str], str] = {}
    for name, folder in desk.folders(desk_dir):
        recorder.settle(folder, name)
        for entry in desk.read_timeline(folder, name).entries:
            origin = entry.get("origin")
            # By its name too: a desk may have taken an entry and died before it could say so.
            known.add(str(entry.get("once") or ""))
            if isinstance(origin, dict):
                known.add(str(origin.get("hash")))
                places[(str(entry.get("host")), str(origin.get("record")))] = folder
    return known - {""}, places


def _target(desk_dir: str, said: recorder.Said, record: str, folder: str | None) -> tuple[str, dict[str, Any]]:
    """Where the entries of a spooled record go: with their siblings, into the open incident, or into one of its name."""
    state = desk.read_state(folder) if folder else None
    if folder and state:
        return folder, state
    current = desk.open_incident(desk_dir, said.host, said.monitoring_seconds)
    if current is not None:
        return current
    if desk.OPERATIONS.match(record):
        return recorder.operations(desk_dir, said, record)
    return recorder.allocate(desk_dir, said, record, said.at)


def _status(state: dict[str, Any], found: timeline.Timeline, entry: dict[str, Any], at: float) -> None:
    """An entry from the past says what the incident was then; it does not undo what was said since."""
    status = entry.get("status")
    if not desk.INCIDENT.match(state["id"]) or status not in ("open", "monitoring", "resolved"):
        return
    if not any(str(other.get("time")) > str(entry["time"]) for other in found.entries):
        state.update(status=status, status_at=at)


def deliver(desk_dir: str, items: Iterable[Any], monitoring_seconds: float = 3600) -> dict[str, Any]:
    """Write spooled entries to the desk, each once, in their order, with the time they were written at."""
    delivered: list[str] = []
    problems: list[str] = []
    stuck: set[str] = set()
    added = 0
    private_directory(desk_dir)
    with locked(os.path.join(desk_dir, ".lock"), recorder.LOCK_SECONDS):
        known, places = _delivered(desk_dir)
        for item in items:
            refused = _refused(item)
            record = str(item.get("record")) if isinstance(item, dict) else ""
            if refused or record in stuck:
                # In order means: nothing that comes after it in its record overtakes it.
                stuck.add(record)
                problems += [clean(f"{refused}: it stays there")] if refused else []
                continue
            entry = item["entry"]
            if entry["hash"] not in known and entry.get("once") not in known:
                folder = _write(desk_dir, item, places.get((entry["host"], record)), monitoring_seconds)
                places[(entry["host"], record)] = folder
                known.add(entry["hash"])
                added += 1
            delivered.append(entry["hash"])
    return {"delivered": delivered, "added": added, "problems": problems, "changed": added > 0}


def _write(desk_dir: str, item: dict[str, Any], folder: str | None, monitoring_seconds: float) -> str:
    entry = item["entry"]
    at = recorder.epoch(entry["time"])
    said = recorder.Said(
        host=entry["host"], playbook=entry["playbook"], responder=entry["responder"], run_id=entry["run_id"],
        event=entry["event"], text=entry["text"], severity=item.get("severity"), monitoring_seconds=monitoring_seconds, at=at,
    )  # fmt: skip
    folder, state = _target(desk_dir, said, item["record"], folder)
    found = desk.read_timeline(folder, state["id"])
    recorder.mend(folder, state, found, said)
    if said.host not in state["hosts"]:
        state["hosts"] = sorted([*state["hosts"], said.host])
    _status(state, found, entry, at or 0.0)
    kept = {key: value for key, value in entry.items() if key not in ("seq", "previous", "hash", "status")}
    origin = {"record": item["record"], "seq": entry["seq"], "hash": entry["hash"]}
    recorder.say(folder, state, found, **kept, status=state["status"], delivered=recorder.now(), origin=origin)
    return folder


def clear(spool_dir: str, delivered: Iterable[str], write: bool = True) -> dict[str, Any]:
    """Remove from the spool the records that the desk has to their last entry; note how far it has the others."""
    have = set(delivered)
    cleared: list[str] = []
    noted = False
    if not os.path.isdir(spool_dir):
        return {"cleared": [], "changed": False}
    with ExitStack() as stack:
        if write:
            stack.enter_context(locked(os.path.join(spool_dir, ".lock"), recorder.LOCK_SECONDS))
            _sweep(spool_dir)
        for name, folder in desk.folders(spool_dir):
            found = desk.read_timeline(folder, name)
            before = done = _done(folder, found)
            while done < len(found.entries) and found.entries[done]["hash"] in have:
                done += 1
            if found.entries and done == len(found.entries) and not found.broken_at:
                cleared.append(name)
                if write:
                    # Under its own name it is whole or not there.
                    parked = os.path.join(spool_dir, f"{CLEARED}{name}")
                    os.rename(folder, parked)
                    sync_directory(spool_dir)
                    shutil.rmtree(parked)
            elif done > before:
                noted = True
                if write:
                    write_json(os.path.join(folder, MARK), {"entries": done, "head": found.entries[done - 1]["hash"]})
    return {"cleared": cleared, "changed": bool(cleared) or noted}


def _sweep(spool_dir: str) -> None:
    """What a run left that was killed while it cleared."""
    for name in os.listdir(spool_dir):
        if name.startswith(CLEARED):
            shutil.rmtree(os.path.join(spool_dir, name))
