# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules' shells: arguments in, one JSON answer out."""

from __future__ import annotations

import json
import os
import syslog
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.monero_marketplace.incident.plugins.modules import incident_guard, incident_info, incident_record


@pytest.fixture
def run(capsys, tmp_path):
    """Run a module as Ansible does and return what it said."""

    def answer(module: Any, check: bool = False, **arguments: Any) -> dict[str, Any]:
        with patch_module_args({"_ansible_check_mode": check, **arguments}), pytest.raises(SystemExit):
            module.main()
        return dict(json.loads(capsys.readouterr().out))

    return answer


@pytest.fixture
def dirs(tmp_path) -> dict[str, str]:
    return {"state_dir": str(tmp_path / "state"), "lease_dir": str(tmp_path / "run")}


WHO = {"responder": "alice", "controller": "desk", "run_id": "run-1", "playbook": "outage", "action": "start:server"}


def test_a_run_from_lease_to_release(run, dirs, monkeypatch):
    journal: list[str] = []
    monkeypatch.setattr(syslog, "syslog", lambda *said: journal.append(said[-1]))
    granted = run(incident_guard, **dirs, **WHO)
    assert (granted["granted"], granted["token"], granted["changed"]) == (True, "1", True)
    seen = run(incident_info, source="host", **dirs)
    assert (seen["lease"]["in_force"], seen["lease"]["run_id"], seen["token"], len(seen["attempts"])) == (True, "run-1", 1, 1)
    assert run(incident_guard, state="checked", token="1", **dirs, **WHO)["granted"]
    released = run(incident_guard, state="released", token="1", head="9f3c\nforged", incident="INC-1", **dirs, **WHO)
    assert (released["granted"], released["changed"]) == (True, True)
    assert [line for line in journal if line.startswith("record")] == [
        "record head=9f3c forged entries=0 incident=INC-1 run=run-1 responder=alice"
    ]
    assert run(incident_info, source="host", **dirs)["lease"] is None


def test_a_refusal_is_a_finding_not_a_failure(run, dirs):
    run(incident_guard, **dirs, **WHO)
    refused = run(incident_guard, **dirs, **{**WHO, "responder": "bob", "run_id": "run-2"})
    assert (refused["granted"], refused["refusal"]["kind"], refused["changed"], "failed" in refused) == (
        False,
        "lease",
        False,
        False,
    )


def test_check_mode_of_the_guard(run, dirs):
    assert run(incident_guard, check=True, **dirs, **WHO)["changed"]
    assert not os.path.exists(dirs["state_dir"])


def test_looking_goes_on_where_acting_would_stop(run, dirs):
    run(incident_guard, **dirs, **WHO)
    for name in ("attempts.json", "fencing.json"):
        Path(dirs["state_dir"], name).write_text("garbage")
    seen = run(incident_info, source="host", **dirs)
    assert (seen["attempts"], seen["token"], len(seen["problems"])) == (None, None, 2)
    failed = run(incident_guard, **dirs, **{**WHO, "run_id": "run-2", "resume": "run-1"})
    assert failed["failed"] and "attempts.json cannot be understood" in failed["msg"]


def test_record_and_desk(run, tmp_path):
    desk_dir = str(tmp_path / "desk")
    entry = {"desk_dir": desk_dir, "host": "market-1", "playbook": "outage", "responder": "alice", "run_id": "run-1"}
    opened = run(incident_record, event="intent", text="start server", open=True, severity="P1", status="open", **entry)
    assert opened["incident"].startswith("INC-")
    seen = run(incident_info, source="desk", desk_dir=desk_dir, host="market-1")
    assert seen["open_incident"]["interrupted"]["run_id"] == "run-1"
    run(incident_record, event="outcome", text="escalated: x", data={"outcome": "escalated"}, **entry)
    seen = run(incident_info, source="desk", desk_dir=desk_dir, host="market-1")
    assert (seen["open_incident"]["last_outcome"], seen["open_incident"]["interrupted"]) == ("escalated", None)
    assert run(incident_info, source="desk", desk_dir=desk_dir, host="market-2")["incidents"] == []
    assert len(run(incident_info, source="desk", desk_dir=desk_dir)["incidents"]) == 1


@pytest.mark.parametrize("module", [incident_guard, incident_record])
def test_a_file_where_a_folder_belongs_is_one_sentence(run, tmp_path, module):
    (tmp_path / "file").write_text("")
    arguments = {"responder": "a", "run_id": "r", "state_dir": str(tmp_path / "file"), "lease_dir": str(tmp_path / "run")}
    if module is incident_record:
        arguments = {"responder": "a", "run_id": "r", "desk_dir": str(tmp_path / "file" / "desk"), "host": "h", "text": "t"}
    failed = run(module, **arguments)
    assert failed["failed"]
    assert failed["msg"].count("\n") == 0 and str(tmp_path) in failed["msg"]


def test_a_full_disk_is_one_sentence(run, tmp_path, monkeypatch):
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device", "/srv/desk/timeline.jsonl")

    monkeypatch.setattr(os, "mkdir", full)
    failed = run(incident_record, responder="a", run_id="r", desk_dir=str(tmp_path), host="h", text="t", open=True)
    assert failed["msg"].startswith("No space is left for /srv/desk/timeline.jsonl")


def test_a_hold_is_placed_and_lifted_and_stands_in_the_hosts_journal(run, dirs, monkeypatch):
    journal: list[str] = []
    monkeypatch.setattr(syslog, "syslog", lambda *said: journal.append(said[-1]))
    hold = {"hold_name": "evidence", "reason": "evidence is\nbeing taken", "hold_playbooks": "outage, playbooks/rollback.yml,"}
    assert run(incident_guard, check=True, state="held", **dirs, **WHO, **hold)["changed"]
    assert not os.path.exists(dirs["state_dir"])
    placed = run(incident_guard, state="held", **dirs, **WHO, **hold)
    assert (placed["changed"], placed["hold"]["playbooks"]) == (True, ["outage", "rollback"])
    assert placed["once"].startswith("hold evidence ")
    assert not run(incident_guard, state="held", **dirs, **WHO, **hold)["changed"]
    assert run(incident_guard, **dirs, **WHO)["refusal"]["kind"] == "hold"
    lifted = run(incident_guard, state="unheld", hold_name="evidence", reason="sealed", **dirs, **WHO)
    assert (lifted["changed"], lifted["holds"], lifted["hold"]["released_by"]) == (True, [], "alice")
    assert [line for line in journal if line.startswith("hold")] == [
        "hold evidence held by alice: evidence is being taken",
        "hold evidence unheld by alice: sealed",
    ]


def test_a_hold_without_a_reason_is_one_sentence(run, dirs):
    failed = run(incident_guard, state="held", hold_name="evidence", **dirs, **WHO)
    assert failed["failed"] and "reason" in failed["msg"]


def test_spooled_on_the_host_delivered_on_the_desk_cleared_on_the_host(run, dirs, tmp_path):
    entry = {"host": "market-1", "playbook": "outage", "responder": "alice", "run_id": "run-1", "open": True}
    spool, desk_dir = f"{dirs['state_dir']}/spool", str(tmp_path / "desk")
    run(incident_record, desk_dir=spool, event="intent", text="start server", **entry)
    waits = run(incident_info, source="host", **dirs)["spool"]
    assert waits["count"] == 1
    assert run(incident_record, check=True, state="delivered", desk_dir=desk_dir, entries=waits["entries"])["changed"]
    assert not os.path.exists(desk_dir)
    found = run(incident_record, state="delivered", desk_dir=desk_dir, entries=waits["entries"])
    assert (found["added"], found["problems"]) == (1, [])
    assert run(incident_record, check=True, state="cleared", desk_dir=spool, delivered=found["delivered"])["changed"]
    assert run(incident_info, source="host", **dirs)["spool"]["count"] == 1
    assert run(incident_record, state="cleared", desk_dir=spool, delivered=found["delivered"])["changed"]
    assert run(incident_info, source="host", **dirs)["spool"]["count"] == 0
    assert run(incident_info, source="desk", desk_dir=desk_dir, host="market-1")["open_incident"]["last"]["delivered"]


def test_a_spool_that_cannot_be_read_keeps_nobody_from_looking(run, dirs):
    os.makedirs(dirs["state_dir"])
    Path(dirs["state_dir"], "spool").write_text("")
    seen = run(incident_info, source="host", **dirs)
    assert (seen["spool"]["count"], "spool" in seen["spool"]["problems"][0]) == (0, True)


def test_the_hosts_memory_reaches_the_desk(run, dirs, tmp_path, monkeypatch):
    monkeypatch.setattr(syslog, "syslog", lambda *_said: None)
    entry = {"desk_dir": str(tmp_path), "host": "market-1", "responder": "alice", "run_id": "run-1", "open": True}
    written = [run(incident_record, text=text, **entry) for text in ("one", "two")][-1]
    token = run(incident_guard, **dirs, **WHO)["token"]
    known = {"desk": "d", "incident": written["incident"], "head": written["head"], "entries": written["entries"]}
    run(incident_guard, state="released", token=token, **known, **dirs, **WHO)
    pins = run(incident_info, source="host", **dirs)["pins"]["d"]
    assert pins[written["incident"]]["entries"] == 2
    path = tmp_path / written["incident"] / "timeline.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    (tmp_path / written["incident"] / "incident.json").write_text(
        json.dumps(
            {**json.loads((path.parent / "incident.json").read_text()), "entries": 1, "head": written["entry"]["previous"]}
        )
    )
    looked = {"source": "desk", "desk_dir": str(tmp_path), "host": "market-1"}
    assert run(incident_info, **looked)["open_incident"]["intact"], "the desk alone cannot know"
    assert run(incident_info, **looked, pins=pins)["open_incident"]["broken_at"]["entry"] == 2
    assert run(incident_record, text="three", pins=pins, **entry)["broken_at"]["entry"] == 2


def test_a_check_tells_of_a_run_that_came_and_went_since(run, dirs):
    token = run(incident_guard, **dirs, **WHO)["token"]
    assert run(incident_guard, state="checked", token=token, **dirs, **WHO)["superseded"] is False
    bob = {**WHO, "responder": "bob", "run_id": "run-2"}
    run(incident_guard, state="released", token=run(incident_guard, take_over=True, **dirs, **bob)["token"], **dirs, **bob)
    found = run(incident_guard, state="checked", token=token, **dirs, **WHO)
    assert (found["superseded"], found["refusal"]["kind"]) == (True, "token")
    assert "another run has acted here since" in found["refusal"]["sentence"]
