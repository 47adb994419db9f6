# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the desk did not take is delivered later: in order, once, and with the time it was written at."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.crash import killed_at_each_effect

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_desk as desk
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_record
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_spool as spool
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_timeline as timeline
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_record import Said, record

INTENT = Said(
    host="market-1", playbook="outage", responder="alice", run_id="run-1", event="intent", text="start server", severity="P1",
    status="open", open=True,
)  # fmt: skip
OUTCOME = replace(INTENT, event="outcome", text="restored: started server", data={"outcome": "restored"}, status="monitoring")


@pytest.fixture
def desk_dir(tmp_path: Path) -> str:
    return str(tmp_path / "desk")


@pytest.fixture
def spool_dir(tmp_path: Path) -> str:
    return str(tmp_path / "spool")


def lines(folder: str, record: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, record, timeline.FILE).read_text().splitlines()]


def seen(desk_dir: str) -> dict[str, Any]:
    return desk.look(desk_dir, "market-1", 3600)


def move(spool_dir: str, desk_dir: str) -> dict[str, Any]:
    """What the role does: read on the host, deliver on the desk, clear on the host; all of it through JSON."""
    waits = json.loads(json.dumps(spool.waiting(spool_dir)))
    found = spool.deliver(desk_dir, waits["entries"])
    cleared = spool.clear(spool_dir, found["delivered"])
    return {**found, "cleared": cleared["cleared"]}


def test_a_spooled_run_becomes_the_incident_it_was_called(desk_dir, spool_dir):
    name = record(spool_dir, INTENT)["incident"]
    record(spool_dir, OUTCOME)
    spooled = lines(spool_dir, name)
    time.sleep(0.01)
    found = move(spool_dir, desk_dir)
    assert (found["added"], found["changed"], found["cleared"], found["problems"]) == (2, True, [name], [])
    there = lines(desk_dir, name)
    for before, after in zip(spooled, there, strict=True):
        same = ("time", "text", "event", "data", "responder", "run_id", "playbook", "host")
        assert {key: before[key] for key in same} == {key: after[key] for key in same}
        assert after["delivered"] > after["time"], "it says that it was delivered later"
        assert after["origin"] == {"record": name, "seq": before["seq"], "hash": before["hash"]}
    known = seen(desk_dir)["incidents"][0]
    assert (known["intact"], known["status"], known["severity"], known["title"]) == (True, "monitoring", "P1", "outage")
    assert known["opened"] == spooled[0]["time"][:19] + "Z"
    assert (known["interrupted"], known["last_outcome"], known["last"]["delivered"]) == (
        None,
        "restored",
        there[-1]["delivered"],
    )
    assert spool.waiting(spool_dir) == {"count": 0, "entries": [], "leftover": False, "problems": []}


def test_the_rest_of_a_run_joins_its_beginning(desk_dir, spool_dir):
    name = record(desk_dir, INTENT)["incident"]
    record(spool_dir, OUTCOME)
    move(spool_dir, desk_dir)
    assert [entry["event"] for entry in lines(desk_dir, name)] == ["intent", "outcome"]
    assert seen(desk_dir)["open_incident"]["interrupted"] is None


def test_a_second_delivery_adds_nothing(desk_dir, spool_dir):
    name = record(spool_dir, INTENT)["incident"]
    waits = spool.waiting(spool_dir)["entries"]
    spool.deliver(desk_dir, waits)
    again = spool.deliver(desk_dir, waits)
    assert (again["added"], again["changed"], again["delivered"]) == (0, False, [waits[0]["entry"]["hash"]])
    assert len(lines(desk_dir, name)) == 1


def test_what_the_desk_took_without_being_heard_is_not_written_twice(desk_dir, spool_dir):
    named = replace(INTENT, once="run-1 market-1 7 intent")
    name = record(desk_dir, named)["incident"]
    record(spool_dir, named)
    record(spool_dir, OUTCOME)
    found = move(spool_dir, desk_dir)
    assert (found["added"], len(found["cleared"])) == (1, 1)
    assert [entry["event"] for entry in lines(desk_dir, name)] == ["intent", "outcome"]


def test_an_old_record_stays_together_and_is_known_when_its_incident_is_over(desk_dir, spool_dir, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    name = record(spool_dir, INTENT)["incident"]
    record(spool_dir, OUTCOME)
    waits = spool.waiting(spool_dir)["entries"]
    monkeypatch.setattr(time, "time", lambda: now + 90000)
    assert spool.deliver(desk_dir, waits)["added"] == 2
    record(desk_dir, replace(INTENT, run_id="run-9"))
    assert spool.deliver(desk_dir, waits)["added"] == 0
    assert [entry["event"] for entry in lines(desk_dir, name)] == ["intent", "outcome"]


def test_another_hosts_incident_of_that_name_is_left_alone(desk_dir, spool_dir, monkeypatch):
    monkeypatch.setattr(_incident_record, "_stamp", lambda _form: "INC-20261124-0213")
    theirs = record(desk_dir, replace(INTENT, host="market-2"))["incident"]
    ours = record(spool_dir, INTENT)["incident"]
    assert ours == theirs
    move(spool_dir, desk_dir)
    assert len(lines(desk_dir, theirs)) == 1
    assert lines(desk_dir, f"{theirs}-2")[0]["host"] == "market-1"


def test_what_was_written_since_is_not_undone(desk_dir, spool_dir):
    record(spool_dir, OUTCOME)
    time.sleep(0.01)
    name = record(desk_dir, replace(INTENT, run_id="run-2"))["incident"]
    move(spool_dir, desk_dir)
    assert seen(desk_dir)["open_incident"]["status"] == "open"
    assert [entry["event"] for entry in lines(desk_dir, name)] == ["intent", "outcome"]


def test_a_line_of_the_days_log_goes_to_the_log_of_its_day(desk_dir, spool_dir):
    name = record(spool_dir, replace(INTENT, event="note", open=False, status=None))["incident"]
    assert name.startswith("OPS-")
    move(spool_dir, desk_dir)
    assert (lines(desk_dir, name)[0]["text"], seen(desk_dir)["open_incident"]) == ("start server", None)


def test_what_was_edited_on_the_way_stays_and_so_does_all_behind_it(desk_dir, spool_dir):
    for number in range(3):
        record(spool_dir, replace(INTENT, event="note", text=str(number)))
    waits = spool.waiting(spool_dir)["entries"]
    waits[1]["entry"]["text"] = "nothing happened"
    found = spool.deliver(desk_dir, waits)
    assert (found["added"], len(found["delivered"])) == (1, 1)
    assert "entry 2 of" in found["problems"][0] and "edited" in found["problems"][0]
    assert spool.clear(spool_dir, found["delivered"])["cleared"] == []
    assert spool.waiting(spool_dir)["count"] == 2
    assert move(spool_dir, desk_dir)["added"] == 2, "the host still has it as it was written"


@pytest.mark.parametrize("odd", [{}, {"record": "../x", "entry": {}}, {"record": "INC-20261123-0213", "entry": "x"},
                                 {"record": "INC-20261123-0213", "entry": {"text": "x"}}])  # fmt: skip
def test_what_is_no_entry_is_said_not_written(desk_dir, odd):
    found = spool.deliver(desk_dir, [odd])
    assert (found["added"], len(found["problems"])) == (0, 1)
    assert seen(desk_dir)["incidents"] == []


def test_a_broken_spool_gives_what_is_sound_and_keeps_the_rest(desk_dir, spool_dir):
    for number in range(4):
        name = record(spool_dir, replace(INTENT, event="note", text=f"note {number}"))["incident"]
    path = Path(spool_dir, name, timeline.FILE)
    path.write_text(path.read_text().replace("note 2", "note x"))
    waits = spool.waiting(spool_dir)
    assert (len(waits["entries"]), waits["count"]) == (2, 4)
    assert "entry 3 was edited" in waits["problems"][0]
    found = move(spool_dir, desk_dir)
    assert (found["added"], found["cleared"]) == (2, [])
    assert move(spool_dir, desk_dir)["changed"] is False
    assert path.exists()


def test_what_comes_into_the_spool_meanwhile_waits_for_the_next_run(desk_dir, spool_dir):
    name = record(spool_dir, INTENT)["incident"]
    found = spool.deliver(desk_dir, spool.waiting(spool_dir)["entries"])
    record(spool_dir, OUTCOME)
    assert spool.clear(spool_dir, found["delivered"])["cleared"] == []
    assert move(spool_dir, desk_dir)["cleared"] == [name]
    assert [entry["event"] for entry in lines(desk_dir, name)] == ["intent", "outcome"]


def test_more_than_one_run_can_deliver_goes_on_with_the_next(desk_dir, spool_dir, monkeypatch):
    monkeypatch.setattr(spool, "MOST_ENTRIES", 2)
    for number in range(5):
        name = record(spool_dir, replace(INTENT, event="note", text=str(number)))["incident"]
    assert [move(spool_dir, desk_dir)["added"] for _run in range(4)] == [2, 2, 1, 0]
    assert [entry["text"] for entry in lines(desk_dir, name)] == list("01234")


def test_an_empty_spool_is_nothing(desk_dir, spool_dir):
    assert spool.waiting(spool_dir)["count"] == 0
    assert not spool.clear(spool_dir, [])["changed"]
    assert not Path(spool_dir).exists()


def test_clearing_in_check_mode_removes_nothing(desk_dir, spool_dir):
    name = record(spool_dir, INTENT)["incident"]
    found = spool.deliver(desk_dir, spool.waiting(spool_dir)["entries"])
    assert spool.clear(spool_dir, found["delivered"], write=False)["cleared"] == [name]
    assert Path(spool_dir, name).exists()


def test_killed_at_any_effect_everything_arrives_once_and_in_order(tmp_path):
    def prepare(folder: Path) -> None:
        record(str(folder / "spool"), INTENT)
        record(str(folder / "spool"), OUTCOME)
        record(str(folder / "spool"), replace(INTENT, event="note", text="more", host="market-2", open=False, status=None))

    def act(folder: Path) -> dict[str, Any]:
        return move(str(folder / "spool"), str(folder / "desk"))

    def converged(folder: Path, _result: dict[str, Any]) -> None:
        found = desk.look(str(folder / "desk"), None, 3600)["incidents"]
        assert all(incident["intact"] for incident in found), found
        said = [(entry["event"], entry["text"]) for one in found for entry in lines(str(folder / "desk"), one["id"])
                if entry["event"] != "repaired"]  # fmt: skip
        assert sorted(said) == [("intent", "start server"), ("note", "more"), ("outcome", "restored: started server")]
        assert said.index(("intent", "start server")) < said.index(("outcome", "restored: started server"))
        waits = spool.waiting(str(folder / "spool"))
        assert (waits["count"], waits["leftover"]) == (0, False)
        assert [path.name for path in folder.rglob(".*") if path.name != ".lock"] == []

    assert killed_at_each_effect(tmp_path, prepare, act, converged) > 30
