# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that are told to end, as real processes: in order, once, with patience, and never another's process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _container_stop, _engine_files
from ansible_collections.monero_marketplace.incident.plugins.module_utils._container_stop import NotStopped, Plan, stop
from ansible_collections.monero_marketplace.incident.plugins.module_utils._engine_files import living, signal_number
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_processes import start_ticks

# Writes a line for each signal it hears, and ends the given number of seconds after the first.
PROGRAM = """
import signal, sys, time
def hear(number, _frame):
    print(number, flush=True)
    heard.append(number)
heard = []
signal.signal(signal.SIGTERM, hear)
signal.signal(signal.SIGQUIT, hear)
print("up", flush=True)
while not heard:
    time.sleep(0.01)
time.sleep(float(sys.argv[1]))
"""


class Engine:
    """The engine's files for a few processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.programs: dict[str, subprocess.Popen[str]] = {}

    def start(self, service: str, lasts: float = 0.0, **more: Any) -> subprocess.Popen[str]:
        program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(lasts)], stdout=subprocess.PIPE, text=True)
        assert program.stdout is not None and program.stdout.readline() == "up\n"
        threading.Thread(target=program.wait, daemon=True).start()  # nobody else would take the zombie away
        self.write(service, program.pid, **more)
        self.programs[service] = program
        return program

    def write(self, service: str, pid: int, project: str = "marketplace", paused: bool = False, **config: Any) -> str:
        identity = (service.encode().hex() + "0" * 64)[:64]
        folder = self.root / "containers" / identity
        folder.mkdir(parents=True)
        note = {
            "ID": identity,
            "Name": f"/{project}-{service}-1",
            "State": {"Pid": pid, "Running": True, "Paused": paused},
            "Config": {
                "Labels": {"com.docker.compose.project": project, "com.docker.compose.service": service},
                "User": "10001:10001",
                **config,
            },
            "NetworkSettings": {"Networks": {"marketplace_default": {"IPAddress": "172.19.0.6"}}},
        }
        (folder / "config.v2.json").write_text(json.dumps(note))
        return identity

    def alive(self) -> list[_engine_files.Living]:
        return living(str(self.root))

    def heard(self, service: str) -> list[str]:
        output = self.programs[service].stdout
        assert output is not None
        return output.read().split()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    found = Engine(tmp_path / "engine")
    monkeypatch.setattr(_engine_files, "lives_in", lambda _pid, _identity: True)
    yield found
    for program in found.programs.values():
        program.kill()


def plan(files: Engine, *groups: list[str], through_daemon: bool = False, **timeouts: float) -> Plan:
    return Plan("marketplace", list(groups), timeouts, str(files.root.parent / "state"), through_daemon)


def end(files: Engine, wanted: Plan, told: list[str] | None = None, lease: bool = True) -> list[dict[str, Any]]:
    return stop(wanted, files.alive(), ([] if told is None else told).append, lambda: lease)


def test_who_lives_and_where(files: Engine) -> None:
    files.start("server", StopTimeout=60, StopSignal="SIGQUIT")
    (one,) = files.alive()
    assert one.started == start_ticks(one.pid)
    assert one.as_dict() == {
        "service": "server", "project": "marketplace", "container_id": one.container_id, "name": "marketplace-server-1",
        "pid": files.programs["server"].pid, "address": "172.19.0.6", "user": "10001:10001", "stop_timeout": 60.0, "paused": False,
    }  # fmt: skip
    assert one.stop_signal == signal.SIGQUIT


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"ID": "x", "State": {"Pid": 0}}', '{"ID": "x", "State": {"Pid": "1"}}'])
def test_half_a_note_is_no_container(files: Engine, content: str) -> None:
    folder = files.root / "containers" / "x"
    folder.mkdir(parents=True)
    (folder / "config.v2.json").write_text(content)
    assert files.alive() == []


def test_without_an_engine_nobody_lives(tmp_path: Path) -> None:
    assert living(str(tmp_path / "none")) == []


def test_a_pid_that_is_anothers_by_now_is_no_container(tmp_path: Path) -> None:
    found = Engine(tmp_path)
    found.write("server", os.getpid())  # this process is in no container of that id
    assert found.alive() == []


@pytest.mark.parametrize(
    ("text", "number"),
    [("SIGQUIT", 3), ("quit", 3), ("3", 3), (None, 15), ("", 15), ("SIGNONSENSE", 15), ("999", 15), ("SIG_DFL", 15)],
)
def test_names_of_signals(text: Any, number: int) -> None:
    assert signal_number(text) == number


def test_one_group_after_the_other(files: Engine) -> None:
    for service in ("nginx", "server", "monerod"):
        files.start(service, 0.3)
    told: list[str] = []
    ended = end(files, plan(files, ["nginx"], ["server", "absent"], ["monerod"]), told)
    assert [one["service"] for one in ended] == ["nginx", "server", "monerod"]
    assert [line.split(" (")[0] for line in told] == [
        "SIGTERM to nginx", "nginx", "SIGTERM to server", "server", "SIGTERM to monerod", "monerod",
    ]  # fmt: skip
    assert not (files.root.parent / "state" / _container_stop.JOURNAL).exists()
    assert files.alive() == []


def test_each_by_its_own_signal(files: Engine) -> None:
    files.start("nginx", StopSignal="SIGQUIT")
    end(files, plan(files, ["nginx"]))
    assert files.heard("nginx") == ["3"]


def test_who_does_not_end_stops_the_row_and_is_not_killed(files: Engine) -> None:
    files.start("server", 60, StopTimeout=0)
    files.start("monerod")
    with pytest.raises(NotStopped, match=r"server \(pid \d+\) lives on") as raised:
        end(files, plan(files, ["server"], ["monerod"], server=0.3))
    assert str(files.programs["server"].pid) in str(raised.value)
    assert {one.service for one in files.alive()} == {"server", "monerod"}


def test_a_containers_own_time_counts_where_it_is_longer(files: Engine) -> None:
    files.start("monerod", 0.5, StopTimeout=10)
    assert [one["service"] for one in end(files, plan(files, ["monerod"], monerod=0.1))] == ["monerod"]


def test_nobody_is_told_while_one_is_paused(files: Engine) -> None:
    files.start("nginx")
    files.start("server", paused=True)
    with pytest.raises(NotStopped, match="server: paused"):
        end(files, plan(files, ["nginx"], ["server"]))
    assert len(files.alive()) == 2


def test_another_project_is_left_alone(files: Engine) -> None:
    files.start("server", project="other")
    assert end(files, plan(files, ["server"])) == []
    assert len(files.alive()) == 1


def test_a_lost_lease_ends_the_row(files: Engine) -> None:
    files.start("server")
    with pytest.raises(NotStopped, match="lease"):
        end(files, plan(files, ["server"]), lease=False)
    assert len(files.alive()) == 1


@pytest.mark.parametrize("moment", ["before", "after", "waiting"])
def test_killed_at_any_step_the_next_call_converges(files: Engine, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    class Killed(BaseException):
        pass

    files.start("server", 0.4)
    files.start("monerod", 0.1)
    wanted = plan(files, ["server"], ["monerod"])
    send = _container_stop._send

    def dies(*arguments: Any) -> None:
        if moment == "after":
            send(*arguments)
        raise Killed

    with monkeypatch.context() as patched:
        if moment == "waiting":
            patched.setattr(_container_stop.time, "sleep", dies)
        else:
            patched.setattr(_container_stop, "_send", dies)
        with pytest.raises(Killed):
            end(files, wanted)
    note = _container_stop.read_note(wanted.state_dir)
    assert note is not None and note["of"] == 2
    assert {one["service"] for one in end(files, wanted)} == {"server", "monerod"}
    # Whether a signal was sent is unknown only in one place: there a second one is the lesser harm.
    assert len(files.heard("server")) == (2 if moment == "after" else 1)
    assert _container_stop.read_note(wanted.state_dir) is None


def test_a_note_of_an_earlier_boot_counts_for_nothing(files: Engine) -> None:
    files.start("server")
    wanted = plan(files, ["server"])
    Path(wanted.state_dir).mkdir(mode=0o700)
    (Path(wanted.state_dir) / _container_stop.JOURNAL).write_text('{"boot_id": "other", "of": 9, "told": {}}')
    assert _container_stop.read_note(wanted.state_dir) is None
    assert len(end(files, wanted)) == 1


def test_through_a_daemon_it_is_the_daemon_who_tells(files: Engine, engine: Any) -> None:
    pid = files.start("server").pid
    engine.does("docker_kill", f"kill -TERM {pid}")
    end(files, plan(files, ["server"], through_daemon=True))
    assert [call for call in engine.calls if "kill" in call] == [
        f"docker kill --signal SIGTERM {(b'server'.hex() + '0' * 64)[:64]}"
    ]


def test_a_daemon_that_refuses_is_told(files: Engine, engine: Any) -> None:
    files.start("server")
    engine.does("docker_kill", "echo 'permission denied' >&2; exit 1")
    with pytest.raises(NotStopped, match="permission denied"):
        end(files, plan(files, ["server"], through_daemon=True))
    assert len(files.alive()) == 1
