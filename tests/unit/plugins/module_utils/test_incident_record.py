# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desk: what is recorded stays, whoever writes and whenever it is cut off."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_desk as desk
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_files as files
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_timeline as timeline
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_record import Said, record

MONITORING = 3600


@pytest.fixture
def desk_dir(tmp_path: Path) -> str:
    return str(tmp_path / "desk")


def said(**changes: Any) -> Said:
    known: dict[str, Any] = {
        "host": "market-1", "playbook": "outage", "responder": "alice", "run_id": "run-1", "event": "note", "text": "hello",
        "severity": "P1", "open": True,
    }  # fmt: skip
    return Said(**{**known, **changes})


def folder(desk_dir: str, incident: str) -> Path:
    return Path(desk_dir, incident)


def lines(desk_dir: str, incident: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder(desk_dir, incident) / timeline.FILE).read_text().splitlines()]


def seen(desk_dir: str, host: str | None = "market-1") -> dict[str, Any]:
    return desk.look(desk_dir, host, MONITORING)


def snapshot(desk_dir: str) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(Path(desk_dir).rglob("*")) if path.is_file()
    }


def test_the_first_entry_opens_an_incident_by_the_minute(desk_dir):
    before = time.strftime("INC-%Y%m%d-%H%M", time.gmtime())
    found = record(desk_dir, said(event="intent", text="start server"))
    assert found["incident"] in (before, time.strftime("INC-%Y%m%d-%H%M", time.gmtime()))
    assert (found["status"], found["severity"], found["changed"], found["intact"]) == ("open", "P1", True, True)
    assert found["entry"]["seq"] == 1
    assert found["head"] == found["entry"]["hash"]
    assert sorted(os.listdir(folder(desk_dir, found["incident"]))) == ["evidence", "incident.json", "outbox", "timeline.jsonl"]


def test_everything_is_private(desk_dir):
    incident = record(desk_dir, said())["incident"]
    record(desk_dir, said(host="market-2", open=False))
    for path in [Path(desk_dir), *Path(desk_dir).rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert incident


def test_a_rerun_joins_the_open_incident(desk_dir):
    first = record(desk_dir, said())
    again = record(desk_dir, said(run_id="run-2", text="again"))
    assert again["incident"] == first["incident"]
    assert [entry["seq"] for entry in lines(desk_dir, first["incident"])] == [1, 2]
    assert lines(desk_dir, first["incident"])[1]["previous"] == first["head"]


def test_another_host_in_the_same_minute_gets_its_own(desk_dir):
    found = [record(desk_dir, said(host=f"market-{number}"))["incident"] for number in range(3)]
    assert len(set(found)) == 3
    assert all(desk.INCIDENT.match(name) for name in found)


def test_what_belongs_to_no_incident_goes_to_the_days_log(desk_dir):
    found = record(desk_dir, said(open=False))
    assert found["incident"] == time.strftime("OPS-%Y%m%d", time.gmtime())
    assert found["status"] == "log"
    assert record(desk_dir, said(open=False, host="market-2"))["entry"]["seq"] == 2
    assert seen(desk_dir)["open_incident"] is None
    assert record(desk_dir, said())["incident"].startswith("INC-"), "the log is no incident to join"


def test_without_open_the_hosts_open_incident_is_joined(desk_dir):
    first = record(desk_dir, said())
    assert record(desk_dir, said(open=False))["incident"] == first["incident"]


def backdate(desk_dir: str, incident: str, seconds: float) -> None:
    path = folder(desk_dir, incident) / "incident.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "status_at": state["status_at"] - seconds}))


@pytest.mark.parametrize(
    "status, age, joined",
    [("open", 90000, True), ("monitoring", 3500, True), ("monitoring", 3700, False), ("resolved", 0, False)],
)
def test_which_incident_counts_as_open(desk_dir, status, age, joined):
    first = record(desk_dir, said(status=status))["incident"]
    backdate(desk_dir, first, age)
    assert (seen(desk_dir)["open_incident"] is not None) is joined
    assert (record(desk_dir, said(text="more"))["incident"] == first) is joined


def test_a_new_intent_reopens_what_was_only_monitored(desk_dir):
    record(desk_dir, said(status="monitoring"))
    assert record(desk_dir, said(event="intent", status="open"))["status"] == "open"


def test_saying_the_same_again_adds_nothing(desk_dir):
    outcome = said(event="outcome", text="escalated: server dies at every start", unless_repeated=True, status="open")
    first = record(desk_dir, outcome)
    before = snapshot(desk_dir)
    again = record(desk_dir, outcome)
    assert (again["changed"], again["entry"], again["head"]) == (False, None, first["head"])
    assert snapshot(desk_dir) == before
    assert record(desk_dir, said(event="outcome", text="something else", unless_repeated=True))["changed"]
    assert record(desk_dir, outcome)["changed"], "it is news again after something else"


def test_the_same_outcome_is_news_after_an_intent(desk_dir):
    outcome = said(event="outcome", text="escalated: x", unless_repeated=True)
    record(desk_dir, outcome)
    record(desk_dir, said(event="intent", run_id="run-2"))
    assert record(desk_dir, outcome)["changed"]


def test_the_same_words_about_another_host_are_news(desk_dir):
    record(desk_dir, said(event="note", open=False, unless_repeated=True))
    assert record(desk_dir, said(event="note", open=False, unless_repeated=True, host="market-2"))["changed"]


def test_an_intent_without_outcome_is_interrupted(desk_dir):
    record(desk_dir, said(event="intent", text="start server"))
    found = seen(desk_dir)["open_incident"]["interrupted"]
    assert (found["run_id"], found["responder"], found["text"]) == ("run-1", "alice", "start server")
    record(desk_dir, said(event="outcome", text="restored", data={"outcome": "restored"}))
    found = seen(desk_dir)["open_incident"]
    assert (found["interrupted"], found["last_outcome"]) == (None, "restored")


def test_a_verb_that_was_done_says_nothing_of_the_repair_before_it(desk_dir):
    record(desk_dir, said(event="outcome", text="escalated", data={"outcome": "escalated"}))
    record(desk_dir, said(event="intent", text="start server"))
    record(desk_dir, said(event="intent", text="back up", run_id="run-2", playbook="backup"))
    assert seen(desk_dir)["open_incident"]["interrupted"]["text"] == "back up"
    record(desk_dir, said(event="outcome", text="done", run_id="run-2", playbook="backup", data={"outcome": "done"}))
    found = seen(desk_dir)["open_incident"]
    assert (found["interrupted"]["text"], found["last_outcome"]) == ("start server", "escalated")


def test_check_mode_writes_nothing(desk_dir):
    assert record(desk_dir, said(), write=False)["incident"].startswith("INC-")
    assert record(desk_dir, said(open=False), write=False)["incident"].startswith("OPS-")
    assert not os.path.exists(desk_dir)
    first = record(desk_dir, said(unless_repeated=True))
    before = snapshot(desk_dir)
    assert not record(desk_dir, said(unless_repeated=True), write=False)["changed"]
    assert record(desk_dir, said(text="new"), write=False)["incident"] == first["incident"]
    assert snapshot(desk_dir) == before


def test_an_empty_desk_is_empty(desk_dir):
    assert seen(desk_dir) == {"incidents": [], "open_incident": None}
    assert not os.path.exists(desk_dir)


# Several at once, and cut off ----------------------------------------------------------------------------------------


def _writer(desk_dir: str, number: int, count: int) -> None:
    for turn in range(count):
        record(desk_dir, said(run_id=f"run-{number}", text=f"{number}-{turn}"))


def test_four_writers_lose_nothing(desk_dir):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_writer, args=(desk_dir, number, 50)) for number in range(4)]
    for writer in writers:
        writer.start()
    readings = 0
    while any(writer.is_alive() for writer in writers):
        assert all(incident["intact"] for incident in seen(desk_dir)["incidents"])
        readings += 1
        writers[0].join(0.02)
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    found = seen(desk_dir)["incidents"]
    assert (len(found), found[0]["entries"], found[0]["intact"]) == (1, 200, True)
    texts = [entry["text"] for entry in lines(desk_dir, found[0]["id"])]
    assert sorted(texts) == sorted(f"{number}-{turn}" for number in range(4) for turn in range(50))
    assert readings > 0


def test_a_recorder_at_work_is_not_taken_for_tampering(desk_dir, monkeypatch):
    record(desk_dir, said(text="1"))
    real = desk.read_timeline
    waiting = ["2", "3"]

    def meanwhile(folder: str, incident: str) -> timeline.Timeline:
        while waiting:
            monkeypatch.setattr(desk, "read_timeline", real)
            record(desk_dir, said(text=waiting.pop()))
        return real(folder, incident)

    monkeypatch.setattr(desk, "read_timeline", meanwhile)
    assert seen(desk_dir)["incidents"][0]["intact"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("opened", [False, True], ids=["opening", "joining"])
@pytest.mark.parametrize("step", range(1, 12))
def test_killed_at_any_write_the_next_one_goes_on(desk_dir, monkeypatch, opened, step):
    """Every durable step, in turn, is the last thing that happens."""
    if opened:
        record(desk_dir, said(text="before"))
    count = 0

    def counted(real: Any) -> Any:
        def write(*given: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                raise Killed
            return real(*given, **named)

        return write

    for name in ("mkdir", "fsync", "rename", "write"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    try:
        record(desk_dir, said(text="cut off"))
        finished = True
    except Killed:
        finished = False
    monkeypatch.undo()
    if not finished:
        for incident in seen(desk_dir)["incidents"]:
            assert incident["intact"], incident
    found = record(desk_dir, said(text="after"))
    assert found["intact"]
    texts = [entry["text"] for entry in lines(desk_dir, found["incident"])]
    assert texts[-1] == "after"
    assert not opened or texts[0] == "before"
    assert [incident["intact"] for incident in seen(desk_dir)["incidents"]] == [True]


def test_a_torn_line_is_kept_aside_and_noted(desk_dir):
    incident = record(desk_dir, said())["incident"]
    path = folder(desk_dir, incident) / timeline.FILE
    with path.open("ab") as file:
        file.write(b'{"seq":2,"text":"half of')
    assert (seen(desk_dir)["open_incident"]["torn"], seen(desk_dir)["open_incident"]["intact"]) == (True, True)
    record(desk_dir, said(text="after"))
    entries = lines(desk_dir, incident)
    assert [entry["event"] for entry in entries] == ["note", "repaired", "note"]
    kept = folder(desk_dir, incident) / entries[1]["data"]["file"]
    assert kept.read_bytes() == b'{"seq":2,"text":"half of'
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert (seen(desk_dir)["open_incident"]["torn"], seen(desk_dir)["open_incident"]["intact"]) == (False, True)


def test_a_new_entry_never_hides_what_was_removed(desk_dir):
    incident = record(desk_dir, said(text="1"))["incident"]
    for number in (2, 3, 4):
        record(desk_dir, said(text=str(number)))
    path = folder(desk_dir, incident) / timeline.FILE
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert seen(desk_dir)["open_incident"]["broken_at"] == {"entry": 3, "why": "the last 2 of 4 entries were removed"}
    found = record(desk_dir, said(text="5"))
    assert not found["intact"]
    assert [entry["event"] for entry in lines(desk_dir, incident)][-2:] == ["tampering", "note"]
    record(desk_dir, said(text="6"))
    seen_now = seen(desk_dir)["open_incident"]
    assert (seen_now["intact"], seen_now["broken_at"]["entry"], seen_now["broken_at"]["pinned_entries"]) == (False, 3, 4)
    assert [entry["event"] for entry in lines(desk_dir, incident)].count("tampering") == 1


def test_a_lost_state_file_shows(desk_dir):
    incident = record(desk_dir, said())["incident"]
    (folder(desk_dir, incident) / "incident.json").unlink()
    found = seen(desk_dir, None)["incidents"][0]
    assert (found["id"], found["status"], found["intact"]) == (incident, "unknown", False)


def test_a_lost_state_of_the_days_log_shows_for_ever(desk_dir):
    incident = record(desk_dir, said(open=False))["incident"]
    (folder(desk_dir, incident) / "incident.json").write_text("garbage")
    assert not record(desk_dir, said(open=False, text="more"))["intact"]
    assert not seen(desk_dir, None)["incidents"][0]["intact"]


def test_links_are_not_followed(desk_dir, tmp_path):
    incident = record(desk_dir, said())["incident"]
    path = folder(desk_dir, incident) / timeline.FILE
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        record(desk_dir, said())


def test_a_full_disk_is_one_sentence():
    assert files.sentence_for(OSError(28, "No space left on device", "/srv/desk/x")).startswith(
        "No space is left for /srv/desk/x"
    )
    assert "ansible_become" in files.sentence_for(PermissionError(13, "Permission denied", "/run/x"))
    assert "read-only" in files.sentence_for(OSError(30, "Read-only file system", "/srv/x"))
    assert files.sentence_for(OSError(5, "Input/output error", "/srv/x")) == "Cannot use /srv/x: Input/output error."


def test_a_draft_is_not_left_behind(tmp_path, monkeypatch):
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError):
        files.write_json(str(tmp_path / "state.json"), {"a": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_stays_taken_is_one_sentence(tmp_path):
    path = str(tmp_path / "lock")
    with files.locked(path, 1), pytest.raises(IncidentError, match="fuser"), files.locked(path, 0.1):
        pass


def test_the_desk_looks_the_same_to_a_second_reader(desk_dir):
    record(desk_dir, said())
    before = snapshot(desk_dir)
    seen(desk_dir)
    assert snapshot(desk_dir) == before


def test_an_incident_whose_post_mortem_is_mandatory_is_not_resolved_without_one(desk_dir):
    opened = record(desk_dir, said(event="outcome", data={"postmortem": "mandatory"}))
    record(desk_dir, said(event="outcome", text="later", data={"postmortem": ""}))
    state = json.loads((folder(desk_dir, opened["incident"]) / "incident.json").read_text())
    assert state["postmortem"] == "mandatory"
    resolve = said(event="status", text="done", status="resolved")
    with pytest.raises(IncidentError, match="mandatory where data was lost"):
        record(desk_dir, resolve)
    (folder(desk_dir, opened["incident"]) / "postmortem.md").write_text("the disk's controller", encoding="utf-8")
    assert record(desk_dir, resolve)["status"] == "resolved"
