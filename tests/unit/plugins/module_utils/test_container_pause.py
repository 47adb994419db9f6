# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever has the database open is held still, by what is open and not by what is configured; who is in no container is named."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.plugins.module_utils.test_container_stop import Engine

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _container_pause, _engine_files
from ansible_collections.monero_marketplace.incident.plugins.module_utils._container_pause import NotHeld, Wanted, carry_out

# Does what docker does to the engine's notes; what it was told is in calls.
DOCKER = """
import json, os, signal, sys
root = os.environ["ENGINE"]
verb, identity = sys.argv[1:3]
with open(os.path.join(root, "calls"), "a") as file:
    file.write(f"{verb} {identity}\\n")
if os.path.exists(os.path.join(root, "refuse")):
    sys.exit("Error response from daemon: cannot do that")
busy = os.path.join(root, "busy")
if verb == "pause" and os.path.exists(busy):
    with open(busy) as file:
        left = int(file.read())
    with open(busy, "w") as file:
        file.write(str(left - 1))
    if left > 0:
        sys.exit("Error response from daemon: Cannot pause container: OCI runtime pause failed: unable to freeze: unknown.")
path = os.path.join(root, "containers", identity, "config.v2.json")
with open(path) as file:
    note = json.load(file)
if verb == "kill":
    os.kill(note["State"]["Pid"], signal.SIGKILL)
note["State"]["Paused"] = verb == "pause"
with open(path, "w") as file:
    json.dump(note, file)
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    found = Engine(tmp_path / "engine")
    found.root.mkdir()
    monkeypatch.setattr(_engine_files, "lives_in", lambda _pid, _identity: True)
    programs = tmp_path / "programs"
    programs.mkdir()
    script = programs / "docker"
    script.write_text(f"#!{sys.executable}\n{DOCKER}", encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), os.environ["PATH"]]))
    monkeypatch.setenv("ENGINE", str(found.root))
    monkeypatch.setattr(_container_pause, "SECONDS", 5.0)
    yield found
    for program in found.programs.values():
        program.kill()


def wanted(files: Engine, state: str, *services: str) -> Wanted:
    return Wanted(state, "marketplace", services, str(files.root))


def identity(service: str) -> str:
    return (service.encode().hex() + "0" * 64)[:64]


def held(service: str) -> dict:
    return {"pid": 1, "command": "x", "user": "x", "files": ["db"], "container_id": identity(service)}


def calls(files: Engine) -> list[str]:
    path = files.root / "calls"
    told = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [
        f"{line.split()[0]} {bytes.fromhex(line.split()[1].rstrip('0') + '0' * (len(line.split()[1].rstrip('0')) % 2)).decode()}"
        for line in told
    ]


def run(files: Engine, state: str, *services: str, holders: list[dict] | None = None) -> tuple[list[str], list[dict]]:
    done, found = carry_out(wanted(files, state, *services), lambda: holders or [], lambda _line: None)
    return sorted(one.service for one in done), found.strangers


def test_services_and_whoever_has_it_open_are_paused_and_others_left_alone(files: Engine) -> None:
    for service in ("server", "keeper", "nginx"):
        files.start(service)
    assert run(files, "paused", "server", holders=[held("keeper")]) == (["keeper", "server"], [])
    assert sorted(calls(files)) == ["pause keeper", "pause server"]
    assert run(files, "paused", "server", holders=[held("keeper")]) == ([], [])


def test_they_go_on(files: Engine) -> None:
    files.start("server", paused=True)
    assert run(files, "running", "server")[0] == ["server"]
    assert calls(files) == ["unpause server"]
    assert run(files, "running", "server")[0] == []


def test_paused_ones_are_killed_and_nothing_is_there_afterwards(files: Engine) -> None:
    files.start("server", paused=True)
    assert run(files, "killed", "server")[0] == ["server"]
    assert calls(files) == ["kill server"]
    assert files.alive() == []
    assert run(files, "killed", "server")[0] == []


def test_who_is_in_no_container_is_named_and_left_alone(files: Engine) -> None:
    files.start("server")
    stranger = {"pid": os.getpid(), "command": "sqlite3", "user": "deploy", "files": ["db"], "container_id": None}
    done, strangers = run(files, "paused", "server", holders=[stranger])
    assert (done, [one["pid"] for one in strangers]) == (["server"], [os.getpid()])


def test_who_has_it_open_beside_the_services_is_told_as_those_of_the_project_and_others(files: Engine) -> None:
    for service in ("server", "keeper", "nginx"):
        files.start(service)
    files.start("shipper", project="other")
    asked = wanted(files, "paused", "server")
    for _time in range(2):
        _done, found = carry_out(asked, lambda: [held("server"), held("keeper"), held("shipper")], lambda _line: None)
        services, names = _container_pause.beside(asked, found)
        assert services == ["keeper"] and len(names) == 1 and "shipper" in names[0], "also when they are paused already"


def test_a_refusal_is_one_sentence(files: Engine) -> None:
    files.start("server")
    (files.root / "refuse").touch()
    with pytest.raises(NotHeld, match=r"docker pause server failed: .*cannot do that"):
        run(files, "paused", "server")


def test_a_container_of_another_project_is_no_service_of_ours(files: Engine) -> None:
    files.start("server", project="other")
    assert run(files, "paused", "server")[0] == []
    assert (
        json.loads((files.root / "containers" / identity("server") / "config.v2.json").read_text())["State"]["Paused"] is False
    )


def test_who_waits_for_a_disk_is_asked_again(files: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    files.start("server")
    (files.root / "busy").write_text("2")
    assert run(files, "paused", "server") == (["server"], [])
    assert calls(files) == ["pause server"] * 3
    assert run(files, "running", "server") == (["server"], [])
    (files.root / "busy").write_text("1000")
    monkeypatch.setattr(_container_pause, "AGAIN_SECONDS", 0.5)
    with pytest.raises(NotHeld, match=r"docker pause server failed: .*unable to freeze"):
        run(files, "paused", "server")
