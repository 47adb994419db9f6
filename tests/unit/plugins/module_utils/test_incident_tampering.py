# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A record that was touched on the desk is named by entry, to incident_info, in the summary, and against the host's memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_desk as desk
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_guard as guard
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_timeline as timeline
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_pins import MOST, read_pins, remember
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_record import Said, record
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_refusals import Request
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_status import incident_words
from ansible_collections.monero_marketplace.incident.plugins.module_utils._outcome import judge
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import summary

DESK = "alice@laptop:/desk"
SAID = Said(
    host="market-1", playbook="outage", responder="alice", run_id="run-1", event="note", text="", severity="P1", open=True
)


def say(desk_dir: str, text: str, **more: Any) -> dict[str, Any]:
    return record(desk_dir, Said(**{**SAID.__dict__, "text": text, **more}))


@pytest.fixture
def desk_dir(tmp_path: Path) -> str:
    return str(tmp_path / "desk")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(state_dir=str(tmp_path / "state"), lease_dir=str(tmp_path / "run"))


@pytest.fixture
def folder(desk_dir: str, places: Places) -> Path:
    """Five entries on the desk; the host remembers all of them, as after a close."""
    for number in range(1, 6):
        last = say(desk_dir, f"note {number}")
    request = Request(responder="alice", controller="c", run_id="run-1", playbook="outage", action="", desk=DESK, incident=last["incident"],
                      head=last["head"], entries=last["entries"])  # fmt: skip
    guard.release(places, request)
    return Path(desk_dir, last["incident"])


def lines(folder: Path) -> list[bytes]:
    return (folder / timeline.FILE).read_bytes().splitlines(keepends=True)


def put(folder: Path, content: list[bytes]) -> None:
    (folder / timeline.FILE).write_bytes(b"".join(content))


def edit(folder: Path) -> None:
    put(folder, [line.replace(b"note 3", b"note x") for line in lines(folder)])


def removal(folder: Path) -> None:
    there = lines(folder)
    put(folder, there[:2] + there[3:])


def reordering(folder: Path) -> None:
    there = lines(folder)
    put(folder, [there[0], there[2], there[1], *there[3:]])


def truncation(folder: Path) -> None:
    path = folder / timeline.FILE
    path.write_bytes(path.read_bytes()[:-40])


def removal_of_the_last(folder: Path) -> None:
    put(folder, lines(folder)[:3])


def removal_made_to_fit(folder: Path) -> None:
    """Whoever knows the format: the end is gone, and incident.json beside it agrees."""
    removal_of_the_last(folder)
    fit(folder)


def rewriting_made_to_fit(folder: Path) -> None:
    """The same number of entries, another story, the whole chain and incident.json recomputed."""
    forged: list[dict[str, Any]] = []
    for line in lines(folder):
        entry = {key: value for key, value in json.loads(line).items() if key not in ("seq", "previous", "hash")}
        entry["text"] = entry["text"].replace("note 3", "nothing")
        forged.append(timeline.next_entry(forged[-1] if forged else None, folder.name, entry))
    put(folder, [timeline.canonical(entry).encode() + b"\n" for entry in forged])
    fit(folder)


def fit(folder: Path) -> None:
    last = json.loads(lines(folder)[-1])
    path = folder / "incident.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "entries": last["seq"], "head": last["hash"]}))


TOUCHED: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "edit": (edit, 3, "edited"),
    "removal": (removal, 3, "entry 3 is missing"),
    "reordering": (reordering, 2, "reordered"),
    "truncation": (truncation, 5, "last 1 of 5"),
    "removal of the last entries": (removal_of_the_last, 4, "last 2 of 5"),
    "removal of the last entries, made to fit": (removal_made_to_fit, 4, "last 2 of 5 entries that the host remembers"),
    "rewriting, made to fit": (rewriting_made_to_fit, 5, "not the one that the host remembers"),
}
touched = pytest.mark.parametrize(("touch", "entry", "why"), TOUCHED.values(), ids=TOUCHED)


@touched
def test_looking_names_the_entry(desk_dir, places, folder, touch, entry, why):
    assert desk.look(desk_dir, "market-1", 3600, read_pins(places)[DESK])["open_incident"]["intact"]
    touch(folder)
    found = desk.look(desk_dir, "market-1", 3600, read_pins(places)[DESK])["open_incident"]
    assert (found["intact"], found["broken_at"]["entry"]) == (False, entry)
    assert why in found["broken_at"]["why"]
    assert f"TIMELINE BROKEN at entry {entry}" in incident_words(found)


@touched
def test_a_run_that_only_looks_names_it_in_its_summary(desk_dir, places, folder, touch, entry, why):
    touch(folder)
    seen = desk.look(desk_dir, "market-1", 3600, read_pins(places)[DESK])
    said = summary(judge({"host": "market-1", "playbook": "outage", "findings": {"settled": True}, "desk": seen}))
    assert f"TIMELINE BROKEN of {folder.name} at entry {entry}" in said and why in said


@touched
def test_the_next_entry_notes_it_and_never_hides_it(desk_dir, places, folder, touch, entry, why):
    touch(folder)
    written = say(desk_dir, "after", pins=read_pins(places)[DESK])
    assert (written["intact"], written["broken_at"]["entry"]) == (False, entry)
    assert why in written["broken_at"]["why"]
    events = [json.loads(line)["event"] for line in lines(folder)]
    assert events[-2:] == ["tampering", "note"]
    said = summary({"host": "market-1", "playbook": "outage", "outcome": "restored"}, written)
    assert "TIMELINE BROKEN" in said and why in said
    say(desk_dir, "more", pins=read_pins(places)[DESK])
    assert not desk.look(desk_dir, "market-1", 3600, read_pins(places)[DESK])["open_incident"]["intact"]
    assert [json.loads(line)["event"] for line in lines(folder)].count("tampering") == 1


def test_a_removed_folder_is_missed_by_the_host(desk_dir, places, folder):
    shutil.rmtree(folder)
    found = desk.look(desk_dir, "market-1", 3600, read_pins(places)[DESK])["incidents"]
    assert [(one["id"], one["intact"], one["broken_at"]["entry"]) for one in found] == [(folder.name, False, 1)]
    assert "all 5 entries" in found[0]["broken_at"]["why"]


def test_a_host_without_memory_says_nothing(desk_dir, folder):
    assert desk.look(desk_dir, "market-1", 3600, {})["open_incident"]["intact"]


@pytest.mark.parametrize("odd", [None, "x", {}, {"entries": "5", "head": "x"}, {"entries": 0, "head": ""}])
def test_a_memory_that_cannot_be_understood_accuses_nobody(desk_dir, folder, odd):
    assert desk.look(desk_dir, "market-1", 3600, {folder.name: odd})["open_incident"]["intact"]


def test_a_longer_record_fits_the_hosts_memory(desk_dir, places, folder):
    say(desk_dir, "written by another host's run")
    assert desk.look(desk_dir, "market-1", 3600, read_pins(places)[DESK])["open_incident"]["intact"]


# What the host keeps -------------------------------------------------------------------------------------------------


def test_the_host_remembers_the_longest_and_forgets_the_oldest(places):
    Path(places.state_dir).mkdir()
    assert remember(places, DESK, "INC-1", 5, "e")
    assert not remember(places, DESK, "INC-1", 4, "d")
    assert read_pins(places)[DESK]["INC-1"]["entries"] == 5
    for number in range(2, MOST + 3):
        remember(places, DESK, f"INC-{number}", 1, "h")
    assert len(read_pins(places)[DESK]) == MOST
    assert "INC-1" not in read_pins(places)[DESK]


def test_a_colleagues_own_desk_is_not_accused(places, tmp_path, folder):
    """Two people whose desks are their own machines: what one has recorded is not missing on the other's desk."""
    theirs = say(str(tmp_path / "theirs"), "written by bob")
    remember(places, "bob@laptop:/desk", theirs["incident"], theirs["entries"], theirs["head"])
    found = read_pins(places)
    assert set(found) == {DESK, "bob@laptop:/desk"}
    seen = desk.look(str(tmp_path / "theirs"), "market-1", 3600, found["bob@laptop:/desk"])["incidents"]
    assert [one["intact"] for one in seen] == [True]


@pytest.mark.parametrize("content", ["", "[]", '{"desks": []}', '{"desks": {"d": 7}}', '{"desks": {"d": {"INC-1": 7}}}'])
def test_a_damaged_memory_is_an_empty_one(places, content):
    Path(places.state_dir).mkdir()
    Path(places.pins).write_text(content)
    assert not any(read_pins(places).values())
    assert remember(places, DESK, "INC-1", 1, "h")


def test_each_check_of_the_lease_remembers_too(places, desk_dir):
    begun = say(desk_dir, "intent")
    request = Request(
        responder="alice", controller="c", run_id="run-1", playbook="outage", action="a", wait_for_orphan_seconds=0
    )
    token = guard.acquire(places, request)["token"]
    known = {"desk": DESK, "incident": begun["incident"], "head": begun["head"], "entries": 1}
    asked = {**request.__dict__, "token": token, **known}
    guard.check(places, Request(**asked), write=False)
    assert read_pins(places) == {}
    guard.check(places, Request(**asked))
    assert read_pins(places)[DESK][begun["incident"]]["head"] == begun["head"]
