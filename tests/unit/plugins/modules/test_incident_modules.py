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
