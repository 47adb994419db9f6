# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers by Docker, and by the engine's files where Docker says nothing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _engine_files,
    _monero_containers,
    _monero_process,
)

IDENTITY = "c" * 64


def inspected(service: str = "rpc", directory: str = "/site", status: str = "running", **state: Any) -> dict[str, Any]:
    return {
        "Id": IDENTITY, "Name": f"/{service}-1", "LogPath": "/log", "Image": "sha256:1", "RestartCount": 3,
        "State": {"Status": status, "Pid": 4711, "ExitCode": 0, "StartedAt": "2026-11-24T18:18:34.5Z", **state},
        "Config": {
            "Image": "stack:lab", "WorkingDir": "/work",
            "Labels": {
                "com.docker.compose.project": "market", "com.docker.compose.service": service,
                "com.docker.compose.project.working_dir": directory,
            },
        },
        "NetworkSettings": {"Networks": {"b": {"IPAddress": "172.18.0.6"}, "a": {"IPAddress": ""}}},
    }  # fmt: skip


def test_by_docker(engine: Any) -> None:
    engine.says("docker_ps", f"{IDENTITY}\n")
    engine.says("docker_inspect", json.dumps([inspected()]))
    found = _monero_containers.find("/site", ["rpc", "gone"], 2.0)
    assert (found.known, found.through, list(found.by_service)) == (True, "docker", ["rpc"])
    assert found.by_service["rpc"].address == "172.18.0.6"
    assert found.by_service["rpc"].as_dict() == {
        "id": IDENTITY, "name": "rpc-1", "status": "running", "started_at": "2026-11-24T18:18:34.5Z", "pid": 4711, "exit_code": None,
        "restart_count": 3, "image": "stack:lab",
    }  # fmt: skip


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The engine's folder with one container that lives as this very process."""
    monkeypatch.setattr(_monero_containers, "engine_root", lambda: str(tmp_path))
    monkeypatch.setattr(_engine_files, "lives_in", lambda pid, identity: (pid, identity) == (os.getpid(), IDENTITY))
    folder = tmp_path / "containers" / IDENTITY
    folder.mkdir(parents=True)
    note = inspected(Running=True, Pid=os.getpid())
    note["ID"] = note.pop("Id")
    note["State"].pop("Status")
    (folder / "config.v2.json").write_text(json.dumps(note))
    return folder


@pytest.mark.parametrize("silence", ["sleep 60", "exit 1"])
def test_a_daemon_that_says_nothing_costs_its_time_and_no_knowledge(engine: Any, notes: Path, silence: str) -> None:
    engine.does("docker_ps", silence)
    began = time.monotonic()
    found = _monero_containers.find("/site", ["rpc"], 0.3)
    assert time.monotonic() - began < 30
    assert (found.through, found.by_service["rpc"].status, found.by_service["rpc"].address) == (
        "files",
        "running",
        "172.18.0.6",
    )


def test_a_daemon_that_is_down_is_not_started_by_the_question(engine: Any, notes: Path) -> None:
    engine.says(
        "systemctl_show",
        "Id=docker.service\nLoadState=loaded\nActiveState=failed\n\nId=docker.socket\nLoadState=loaded\nActiveState=active\n",
    )
    assert _monero_containers.find("/site", ["rpc"], 1.0).through == "files"
    assert not [call for call in engine.calls if call.startswith("docker")]


def test_a_note_older_than_its_process_is_not_believed(notes: Path) -> None:
    note = json.loads((notes / "config.v2.json").read_text())
    note["State"]["Pid"] = 2**22 + 1
    assert _monero_containers.container(note).status == "exited"
    assert _monero_containers.container({"State": {"Restarting": True, "Running": True}}).status == "restarting"
    assert _monero_containers.container({"State": {}}).status == "created"
    assert _monero_containers.container({"State": {"Dead": True}}).status == "dead"


def test_only_this_project_and_the_best_of_its_containers() -> None:
    other = inspected(directory="/elsewhere")
    other["Config"]["Labels"]["com.docker.compose.project"] = "other"
    ours = [inspected(status="exited"), inspected(status="running")]
    assert _monero_containers._of_project([other, *ours], "/site") == ours
    # A project that was moved, or is reached by a link: there is only one, so it is meant.
    assert _monero_containers._of_project(ours, "/moved") == ours
    assert _monero_containers._of_project([other, *ours], "/moved") == []


def test_addresses() -> None:
    for networks, address in (
        ({"host": {"IPAddress": ""}}, "127.0.0.1"),
        ({"a": {"GlobalIPv6Address": "fd00::6"}}, "[fd00::6]"),
        ({"a": None}, ""),
        ({}, ""),
    ):
        assert _monero_containers._address({"Networks": networks}) == address


def test_a_process_that_works_is_told_from_one_that_waits(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    before = _monero_process.look(os.getpid(), str(log))
    assert _monero_process.moving(before, before) is None, "two looks at once say nothing"
    until, worked = time.monotonic() + 0.4, time.process_time() + 0.2
    while time.monotonic() < until or time.process_time() < worked:
        pass
    after = _monero_process.look(os.getpid(), str(log))
    assert _monero_process.moving(before, after) is True
    assert before is not None and after is not None
    still = _monero_process.Look(before.at + 1, before.pid, before.started, "S", before.ticks, dict(before.logs))
    waiting = _monero_process.Look(before.at, before.pid, before.started, "S", before.ticks, dict(before.logs))
    assert _monero_process.moving(waiting, still) is False
    log.write_text("more")
    grown = _monero_process.Look(still.at, still.pid, still.started, "S", still.ticks, {str(log): 4})
    assert _monero_process.moving(waiting, grown) is True
    another = _monero_process.Look(still.at, still.pid, still.started + 1, "S", still.ticks, {})
    assert _monero_process.moving(waiting, another) is None


def test_the_last_lines_of_a_container_without_the_engine(tmp_path: Path) -> None:
    log = tmp_path / "json.log"
    log.write_text('{"log":"one\\n"}\n{"log":"\\u001b[31mtwo\\n"}\nnonsense\n{"log":5}\n')
    assert _monero_process.log_lines(str(log), 5) == ["one", "two"]
    since = _monero_process.log_size(str(log))
    with log.open("a") as file:
        file.write('{"log":"three\\n"}\n')
    assert _monero_process.log_lines(str(log), 5, since) == ["three"]
    assert _monero_process.log_lines("/nonexistent", 5) == []
    log.write_text("[" * 100000)
    assert _monero_process.log_lines(str(log), 5) == []


def test_what_is_private_in_a_log_is_not_shown(tmp_path: Path) -> None:
    log = tmp_path / "json.log"
    private = [
        "I Received money: 0.777000111, with tx: <ab>", "D unlocked balance 0.1", "I rpc-login=user:hidden", '{"password":"hidden"}',
        "spend key: 00ff", "Seed: abbey abbey",
    ]  # fmt: skip
    shown = ["E !r. THROW EXCEPTION: error::invalid_password", "W Loaded wallet keys file, with public address: 4A"]
    log.write_text("".join(json.dumps({"log": line + "\n"}) + "\n" for line in [*private, *shown, "W user the-word"]))
    found = _monero_process.log_lines(str(log), 9, secrets=["the-word", ""])
    assert found[:3] == [f"{_monero_process.NOT_SHOWN} (×6)", *shown]
    assert found[3].startswith("W user ") and "the-word" not in found[3]
