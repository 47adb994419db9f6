# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that is asked to end, as real processes: the one that is meant, once, with patience, and never another's."""

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
from unit.crash import killed_at_each_effect

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _process_end
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_processes import boot_id, start_ticks
from ansible_collections.monero_marketplace.incident.plugins.module_utils._process_end import NotEnded, Wanted

# Counts the signals it hears in a file, and ends with the last of so many.
PROGRAM = """
import signal, sys, time
path, least = sys.argv[1], int(sys.argv[2])
held = open(path)
heard = []
def hear(number, _frame):
    heard.append(number)
    with open(path + ".heard", "a") as file:
        file.write(f"{number}\\n")
signal.signal(signal.SIGTERM, hear)
print("up", flush=True)
while len(heard) < least:
    time.sleep(0.01)
"""


class Program:
    """A process with a file open."""

    def __init__(self, folder: Path, least: int = 1) -> None:
        self.path = folder / "marketplace.db"
        self.path.touch()
        self.child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(self.path), str(least)], stdout=subprocess.PIPE, text=True
        )
        assert self.child.stdout is not None and self.child.stdout.readline() == "up\n"
        threading.Thread(target=self.child.wait, daemon=True).start()  # nobody else would take the zombie away
        ticks = start_ticks(self.child.pid)
        assert ticks is not None
        self.ticks = ticks

    @property
    def heard(self) -> list[str]:
        file = Path(f"{self.path}.heard")
        return file.read_text(encoding="ascii").split() if file.exists() else []

    @property
    def lives(self) -> bool:
        return start_ticks(self.child.pid) == self.ticks


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    one = Program(tmp_path)
    yield one
    one.child.kill()


def wanted(one: Program, **more: Any) -> Wanted:
    given = {"pid": one.child.pid, "start_ticks": one.ticks, "holding": str(one.path), "timeout": 20.0}
    return Wanted(**{**given, "state_dir": str(one.path.parent / "state"), **more})


def end(what: Wanted, **more: Any) -> dict[str, Any]:
    return _process_end.end(what, lambda _text: None, lambda: True, **more)


def test_it_is_asked_once_and_waited_for(program: Program) -> None:
    found = end(wanted(program))
    assert found["ended"] and found["changed"] and found["seconds"] < 10 and PROGRAM.split()[0] in found["command"]
    assert not program.lives and program.heard == ["15"]
    assert end(wanted(program)) == {"pid": program.child.pid, "command": None, "ended": True, "seconds": None, "changed": False}
    assert os.listdir(program.path.parent / "state") == []


def test_a_process_of_the_same_number_is_left_alone(program: Program) -> None:
    assert not end(wanted(program, start_ticks=program.ticks + 1))["changed"]
    assert program.lives and program.heard == []


def test_what_lets_go_meanwhile_is_left_alone(program: Program) -> None:
    with pytest.raises(NotEnded, match="any more: it was left alone"):
        end(wanted(program, holding=str(program.path.parent / "other.db")))
    assert program.lives and program.heard == []


def test_a_sidecar_that_is_open_counts(program: Program, tmp_path: Path) -> None:
    os.link(program.path, tmp_path / "other.db-wal")
    assert _process_end.holds(program.child.pid, str(tmp_path / "other.db"))


def test_check_mode_ends_nobody(program: Program) -> None:
    found = end(wanted(program), dry=True)
    assert found["changed"] and not found["ended"]
    assert program.lives and program.heard == [] and not (program.path.parent / "state").exists()


def test_one_that_lives_on_is_not_killed_and_not_asked_again(tmp_path: Path) -> None:
    one = Program(tmp_path, least=2)
    try:
        with pytest.raises(NotEnded, match="not killed for you"):
            end(wanted(one, timeout=0.5))
        with pytest.raises(NotEnded, match="not killed for you"):
            end(wanted(one, timeout=0.5))
        assert one.lives and one.heard == ["15"]
        note = json.loads((tmp_path / "state" / _process_end.JOURNAL).read_text(encoding="utf-8"))
        assert (note["pid"], note["sent"], note["boot_id"]) == (one.child.pid, True, boot_id())
    finally:
        one.child.kill()


def test_one_that_was_halted_ends_too(program: Program) -> None:
    program.child.send_signal(signal.SIGSTOP)
    assert end(wanted(program))["ended"] and not program.lives


def test_this_run_and_what_it_runs_under_are_refused() -> None:
    for pid in (os.getpid(), os.getppid()):
        ticks = start_ticks(pid)
        assert ticks is not None
        with pytest.raises(NotEnded, match="this run itself"):
            end(Wanted(pid, ticks, "", 1.0, "/nonexistent"))


def test_a_thread_of_the_kernel_is_refused(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    real = _process_end.processes.stat_fields

    def flagged(pid: int) -> list[str] | None:
        fields = real(pid)
        return fields and [*fields[:6], str(int(fields[6]) | _process_end.PF_KTHREAD), *fields[7:]]

    monkeypatch.setattr(_process_end.processes, "stat_fields", flagged)
    with pytest.raises(NotEnded, match="thread of the kernel"):
        end(wanted(program))
    assert program.lives and program.heard == []


def test_a_program_that_is_just_ending_is_none(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_process_end.processes, "arguments", lambda _pid: [])
    assert end(wanted(program))["ended"] and not program.lives


@pytest.mark.parametrize(
    ("numbers", "parents", "main"),
    [
        ({50: "50"}, {50: 1}, False),
        ({50: "50\t1"}, {50: 40}, True),
        ({50: "50\t7", 40: "40\t1"}, {50: 40}, False),
        ({50: "50\t7", 40: "40\t1 init"}, {50: 40}, True),
        ({50: "50\t9", 40: "40"}, {50: 40}, False),
    ],
    ids=["of the host", "of a container", "a child in it", "below its init", "brought in by exec"],
)
def test_what_a_container_lives_by_is_known(
    numbers: dict[int, str], parents: dict[int, int], main: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def text(pid: int, name: str) -> str:
        said = numbers.get(pid, "")
        if name == "status":
            return f"NSpid:\t{said.partition(' ')[0]}\n" if said else ""
        if name == "comm":
            return "tini\n" if "init" in said else "sh\n"
        return f"0::/system.slice/docker-{'ab' * 32}.scope\n" if "\t" in said else "0::/user.slice\n"

    monkeypatch.setattr(_process_end, "_text", text)
    monkeypatch.setattr(_process_end.processes, "ancestors", lambda pid: iter([pid, parents[pid]]))
    assert _process_end.main_of(50) == ("ab" * 32 if main else None)


def test_killed_anywhere_a_rerun_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs: dict[Path, Program] = {}

    def prepare(folder: Path) -> None:
        programs[folder] = Program(folder)

    def act(folder: Path) -> dict[str, Any]:
        return end(wanted(programs[folder]))

    def converged(folder: Path, found: dict[str, Any]) -> None:
        assert found["ended"] and not programs[folder].lives
        # Killed between the note and the signal nobody knows whether it was sent.
        assert set(programs[folder].heard) == {"15"} and len(programs[folder].heard) <= 2
        assert not (folder / "state" / _process_end.JOURNAL).exists()

    assert killed_at_each_effect(tmp_path, prepare, act, converged, also=[(signal, "pidfd_send_signal")]) > 5
