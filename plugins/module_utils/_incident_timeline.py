# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timeline of an incident: one JSON line for each entry, each one carrying the hash of the one before.

The hash of the last line, the head, is kept outside the file too (in incident.json, in the host's journal, in
the printed summary), so that a timeline that was shortened or rewritten shows.

This module is private to the collection.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    PRIVATE_FILE,
    clean,
    naming,
    sync_directory,
    write_all,
)

FILE = "timeline.jsonl"
LONGEST_TEXT = 4000
LONGEST_VALUE = 20000
DEEPEST = 8


@dataclass
class Timeline:
    """What a file says, and whether it can be believed."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    head: str = ""
    broken_at: dict[str, Any] | None = None
    torn: bytes = b""


def genesis(incident: str) -> str:
    """What the first entry follows: its incident, so that a timeline cannot be moved to another one."""
    return hashlib.sha256(f"marketplace_incident {incident}".encode()).hexdigest()


# Made once: a long timeline is read before each new entry.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def canonical(entry: dict[str, Any]) -> str:
    return _encode(entry)


def digest(entry: dict[str, Any]) -> str:
    return hashlib.sha256(canonical({key: value for key, value in entry.items() if key != "hash"}).encode()).hexdigest()


def harmless(value: Any, depth: int = 0) -> Any:
    """Data from outside, bounded and without control characters (a line break stays)."""
    if isinstance(value, str):
        kept = "\n".join(clean(line, LONGEST_VALUE) for line in value.replace("\r\n", "\n").split("\n"))
        return kept if len(kept) <= LONGEST_VALUE else kept[: LONGEST_VALUE - 1] + "…"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth >= DEEPEST:
        return clean(repr(value), 200)
    if isinstance(value, dict):
        return {clean(str(key), 200): harmless(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [harmless(item, depth + 1) for item in value]
    return clean(str(value), LONGEST_VALUE)


def next_entry(last: dict[str, Any] | None, incident: str, said: dict[str, Any]) -> dict[str, Any]:
    """The entry that says something, chained to the last one."""
    entry = {
        **said,
        "text": clean(str(said["text"]), LONGEST_TEXT),
        "data": harmless(said["data"]),
        "seq": last["seq"] + 1 if last else 1,
        "previous": last["hash"] if last else genesis(incident),
    }
    return {**entry, "hash": digest(entry)}


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    shaped = isinstance(found, dict) and isinstance(found.get("seq"), int) and isinstance(found.get("hash"), str)
    return found if shaped else None


def _unlike(entry: dict[str, Any] | None, line: bytes, number: int, previous: str) -> str | None:
    """Why a line cannot be the entry with this number; None when it can."""
    if entry is None:
        return f"line {number} is not an entry: it was edited or damaged"
    if entry["seq"] != number:
        if entry["seq"] > number:
            return f"entry {number} is missing: the next one there is entry {entry['seq']} (removed or reordered)"
        return f"entry {entry['seq']} stands where entry {number} belongs (reordered or inserted)"
    # As a part of the line the hash is one piece of text; without it the line is what was hashed.
    bare = line.replace(f'"hash":"{entry["hash"]}",'.encode(), b"", 1)
    if hashlib.sha256(bare).hexdigest() != entry["hash"] or canonical(entry).encode() != line:
        return f"entry {number} was edited after it was written"
    if entry.get("previous") != previous:
        return f"entry {number} does not follow the one before it (inserted, replaced, or moved from another incident)"
    return None


def parse(content: bytes, incident: str) -> Timeline:
    """Read a timeline as far as it goes and name the first entry that is not as it was written."""
    found = Timeline(head=genesis(incident))
    whole, _newline, found.torn = content.rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if whole else [], start=1):
        entry = _entry(line)
        why = None if found.broken_at else _unlike(entry, line, number, found.head)
        if why:
            found.broken_at = {"entry": number, "why": why}
        if entry is not None:
            found.entries.append(entry)
            found.head = entry["hash"]
    return found


def pinned(found: Timeline, pin: dict[str, Any] | None) -> dict[str, Any] | None:
    """The first entry that is not as the pin outside the file says; None when they agree.

    One entry more than pinned is what a crash between writing the line and pinning it leaves.
    """
    if found.broken_at:
        return found.broken_at
    if pin is None:
        return {"entry": 0, "why": "incident.json with the length and the head of the timeline is missing or cannot be read"}
    length, have = pin["entries"], len(found.entries)
    if have < length:
        return {"entry": have + 1, "why": f"the last {length - have} of {length} entries were removed"}
    if have > length + 1:
        return {"entry": length + 1, "why": f"{have - length} entries were added by something other than the recorder"}
    at_pin = found.entries[length - 1]["hash"] if length else None
    if length and at_pin != pin["head"]:
        return {"entry": length, "why": f"entry {length} is not the one that was last recorded (the timeline was rewritten)"}
    return None


def unlike_host(found: Timeline, pin: Any) -> dict[str, Any] | None:
    """The same question to the length and the head that a marketplace host remembers; the desk cannot rewrite those."""
    if not isinstance(pin, dict) or not isinstance(pin.get("entries"), int) or not isinstance(pin.get("head"), str):
        return None
    length, have = pin["entries"], len(found.entries)
    if have < length:
        return {"entry": have + 1, "why": f"the last {length - have} of {length} entries that the host remembers were removed"}
    if length > 0 and found.entries[length - 1]["hash"] != pin["head"]:
        return {"entry": length, "why": f"entry {length} is not the one that the host remembers (the timeline was rewritten)"}
    return None


def set_torn_aside(path: str, torn: bytes, stamp: str) -> str:
    """Keep what a crash left of an unfinished line, and end the timeline at its last whole one."""
    folder = os.path.dirname(path)
    number = 1
    while True:
        aside = os.path.join(folder, f"timeline.torn-{stamp}-{number}")
        try:
            handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE)
            break
        except FileExistsError:
            number += 1
    with ExitStack() as half_written:
        half_written.callback(os.unlink, aside)
        with naming(aside):
            try:
                write_all(handle, torn)
                os.fsync(handle)
            finally:
                os.close(handle)
        half_written.pop_all()
    sync_directory(folder)
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        os.ftruncate(handle, os.fstat(handle).st_size - len(torn))
        os.fsync(handle)
    finally:
        os.close(handle)
    return os.path.basename(aside)


def append(path: str, entry: dict[str, Any]) -> None:
    """Add one whole line or nothing: on a full disk the timeline ends where it ended before."""
    new = not os.path.exists(path)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, PRIVATE_FILE)
    try:
        before = os.fstat(handle).st_size
        with ExitStack() as half_written:
            half_written.callback(os.ftruncate, handle, before)
            with naming(path):
                write_all(handle, canonical(entry).encode() + b"\n")
                os.fsync(handle)
            half_written.pop_all()
    finally:
        os.close(handle)
    if new:
        sync_directory(os.path.dirname(path))
