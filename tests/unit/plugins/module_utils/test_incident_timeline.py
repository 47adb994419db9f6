# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A timeline that was touched says where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_timeline as timeline

INCIDENT = "INC-20261123-0213"


def chain(count: int, incident: str = INCIDENT) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        said = {
            "time": "2026-11-23T02:13:44.000Z",
            "host": "market-1",
            "event": "note",
            "text": f"note {number}",
            "data": {"n": number},
        }
        entries.append(timeline.next_entry(entries[-1] if entries else None, incident, said))
    return entries


def content(entries: list[dict[str, Any]]) -> bytes:
    return b"".join(timeline.canonical(entry).encode() + b"\n" for entry in entries)


def pin(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"entries": len(entries), "head": entries[-1]["hash"] if entries else timeline.genesis(INCIDENT)}


def judged(raw: bytes, pinned: dict[str, Any] | None) -> dict[str, Any] | None:
    return timeline.pinned(timeline.parse(raw, INCIDENT), pinned)


def edited(entries: list[dict[str, Any]], number: int, **changes: Any) -> bytes:
    return content([{**entry, **changes} if entry["seq"] == number else entry for entry in entries])


def rehashed(entries: list[dict[str, Any]], number: int, text: str) -> bytes:
    """Somebody who knows the format and repairs the whole chain after the edit."""
    forged: list[dict[str, Any]] = []
    for entry in entries:
        said = {key: value for key, value in entry.items() if key not in ("seq", "previous", "hash")}
        if entry["seq"] == number:
            said["text"] = text
        forged.append(timeline.next_entry(forged[-1] if forged else None, INCIDENT, said))
    return content(forged)


WHOLE = chain(6)
TAMPERED = {
    "edited": (edited(WHOLE, 3, text="nothing happened"), 3, "edited"),
    "edited data": (edited(WHOLE, 4, data={"n": 5}), 4, "edited"),
    "hash made to fit": (edited(WHOLE, 3, text="x", hash=timeline.digest({**WHOLE[2], "text": "x"})), 4, "does not follow"),
    "same meaning, other bytes": (content(WHOLE).replace(b'"seq":2', b'"seq": 2'), 2, "edited"),
    "a field twice": (content(WHOLE).replace(b'"text":"note 2"', b'"text":"x","text":"note 2"'), 2, "edited"),
    "removed in the middle": (content(WHOLE[:2] + WHOLE[3:]), 3, "missing"),
    "first removed": (content(WHOLE[1:]), 1, "missing"),
    "reordered": (content([WHOLE[0], WHOLE[2], WHOLE[1], *WHOLE[3:]]), 2, "reordered"),
    "repeated": (content([*WHOLE[:3], WHOLE[2], *WHOLE[3:]]), 4, "stands where"),
    "last one removed": (content(WHOLE[:5]), 6, "last 1 of 6"),
    "last two removed": (content(WHOLE[:4]), 5, "last 2 of 6"),
    "all removed": (b"", 1, "last 6 of 6"),
    "cut within a line": (content(WHOLE)[:-10], 6, "last 1 of 6"),
    "two added": (content(chain(8)), 7, "added"),
    "rewritten": (rehashed(WHOLE, 2, "x"), 6, "rewritten"),
    "from another incident": (content(chain(6, "INC-20261123-0214")), 1, "does not follow"),
    "not JSON": (content(WHOLE[:2]) + b"garbage\n" + content(WHOLE[3:]), 3, "not an entry"),
    "an empty line": (content(WHOLE[:2]) + b"\n" + content(WHOLE[2:]), 3, "not an entry"),
    "not UTF-8": (content(WHOLE[:5]) + b"\xff\xfe\n", 6, "not an entry"),
}


@pytest.mark.parametrize("raw, entry, why", TAMPERED.values(), ids=TAMPERED)
def test_tampering_is_named(raw, entry, why):
    found = judged(raw, pin(WHOLE))
    assert found is not None
    assert (found["entry"], why in found["why"]) == (entry, True), found


def test_as_written_is_intact():
    assert judged(content(WHOLE), pin(WHOLE)) is None
    assert judged(b"", pin([])) is None


def test_a_crash_before_the_pin_is_not_tampering():
    assert judged(content(WHOLE), pin(WHOLE[:5])) is None


def test_an_unfinished_line_is_told_from_a_removed_one():
    torn = content(WHOLE) + b'{"seq":7,"te'
    assert timeline.parse(torn, INCIDENT).torn == b'{"seq":7,"te'
    assert judged(torn, pin(WHOLE)) is None


def test_without_a_pin_nothing_is_proven():
    assert judged(content(WHOLE), None)["why"].startswith("incident.json")


def test_text_from_outside_stays_one_harmless_line():
    said = {
        "time": "t",
        "host": "h",
        "event": "note",
        "text": "a\nb\x1b[2J\x00\u202ec\u2028d",
        "data": {"log\x1b": "one\r\ntwo\x07", "nan": float("nan")},
    }
    entry = timeline.next_entry(None, INCIDENT, said)
    line = timeline.canonical(entry)
    assert entry["text"] == "a b [2J  c d"
    assert entry["data"] == {"log ": "one\ntwo ", "nan": "nan"}
    assert "\n" not in line and line.isascii()
    assert timeline.digest(json.loads(line)) == entry["hash"]


def test_text_and_data_are_bounded():
    deep: Any = "x"
    for _turn in range(50):
        deep = [deep]
    entry = timeline.next_entry(None, INCIDENT, {"text": "x" * 9999, "data": {"log": "y" * 99999, "deep": deep, "odd": {1, 2}}})
    assert len(entry["text"]) == timeline.LONGEST_TEXT
    assert len(entry["data"]["log"]) == timeline.LONGEST_VALUE
    assert len(timeline.canonical(entry)) < 30000
    shallow = entry["data"]["deep"]
    for _round in range(timeline.DEEPEST - 1):
        shallow = shallow[0]
    assert isinstance(shallow, str)
