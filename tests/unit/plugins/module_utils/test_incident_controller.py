# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run this is, and whether another one is over."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_controller as controller


def _in_a_fork(answers: Any) -> None:
    answers.put(controller.controller())


def test_forks_name_the_same_run():
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    fork = context.Process(target=_in_a_fork, args=(answers,))
    fork.start()
    there = answers.get(timeout=20)
    fork.join()
    here = controller.controller()
    assert {**there, "clock": 0} == {**here, "clock": 0}
    assert here["pid"] == os.getpid()
    assert abs(here["clock"] - time.time()) < 5


def test_another_process_is_another_run():
    source = "from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_controller as c; print(c.controller()['run_id'])"
    loader = f"from ansible.plugins.loader import init_plugin_loader; init_plugin_loader([{COLLECTIONS!r}]); "
    there = subprocess.run([sys.executable, "-c", loader + source], capture_output=True, text=True, check=True).stdout.strip()
    assert len(there) == 12
    assert there != controller.controller()["run_id"]


COLLECTIONS = os.path.join(os.path.dirname(__file__), "..", "..", "..", "..", ".collections")


@pytest.fixture
def lease():
    """The lease of a run of another process on this machine, and that process."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    started = f"{controller._machine()}.{controller._start_mark(process.pid)}"
    yield {"controller": socket.gethostname(), "pid": process.pid, "pid_started": started}, process
    process.kill()
    process.communicate()


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def test_a_run_that_is_there_is_not_gone(lease):
    assert not controller.process_gone(lease[0])


def test_a_run_that_was_killed_is_gone(lease):
    end(lease[1])
    assert controller.process_gone(lease[0])


def test_a_zombie_is_gone(lease):
    lease[1].kill()
    deadline = time.monotonic() + 20
    while not controller.process_gone(lease[0]) and time.monotonic() < deadline:
        os.sched_yield()
    assert controller.process_gone(lease[0])


def test_a_later_process_with_the_same_pid_is_not_it(lease):
    machine, _dot, mark = lease[0]["pid_started"].rpartition(".")
    assert controller.process_gone({**lease[0], "pid_started": f"{machine}.{int(mark) - 1}"})


def swapped(started: str, *places: int) -> str:
    parts = started.split(".")
    for place in places:
        parts[place] = "ffffffff"
    return ".".join(parts)


@pytest.mark.parametrize(
    "places, gone",
    [((0,), False), ((0, 1), False), ((1,), True), ((2,), False)],
    ids=["another name of it", "another machine", "machine restarted", "another container"],
)
def test_only_what_can_be_seen_from_here_is_gone(lease, places, gone):
    end(lease[1])
    assert controller.process_gone({**lease[0], "pid_started": swapped(lease[0]["pid_started"], *places)}) is gone


@pytest.mark.parametrize(
    "changes",
    [{"controller": "elsewhere"}, {"pid": 0}, {"pid": None}, {"pid_started": ""}, {"pid_started": None}, {"pid_started": "x"}],
)
def test_in_doubt_it_is_not_gone(lease, changes):
    end(lease[1])
    assert not controller.process_gone({**lease[0], **changes})
    assert not controller.process_gone(None)
    assert not controller.process_gone({})
