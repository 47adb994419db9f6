# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands bounded in time and size, questions side by side."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Questions, ask_all, run


def test_output_errors_and_status() -> None:
    ran = run(["sh", "-c", "echo out; echo err >&2; exit 3"], 5)
    assert (ran.status, ran.out, ran.err, ran.ok) == (3, b"out\n", b"err\n", False)
    assert run(["true"], 5).ok


def test_a_missing_command_is_no_crash() -> None:
    assert run(["/nonexistent/docker"], 5).absent


def test_the_time_is_bounded_and_nothing_is_left_behind(tmp_path: object) -> None:
    began = time.monotonic()
    ran = run(["sh", "-c", "echo first; sleep 60 & echo $!; wait"], 3)
    assert ran.timed_out and not ran.ok
    assert time.monotonic() - began < 30
    pid = int(ran.out.split()[1])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        with open(f"/proc/{pid}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "Z":
                return
        time.sleep(0.02)
    pytest.fail("the child's child is still there")


def test_a_child_that_closes_its_output_and_stays_is_bounded_too() -> None:
    assert run(["sh", "-c", "exec >&- 2>&-; sleep 60"], 0.3).timed_out


def test_the_size_is_bounded() -> None:
    ran = run(["sh", "-c", "head -c 3000000 /dev/zero"], 10, limit=1000)
    assert ran.ok and len(ran.out) == 1000


def test_questions_are_asked_at_the_same_time() -> None:
    together = threading.Barrier(5)
    answers = ask_all({str(number): lambda: together.wait(20) is not None for number in range(5)}, 20)
    assert list(answers.values()) == [True] * 5, "each waits for all the others"


def test_who_does_not_answer_in_time_is_missing() -> None:
    assert ask_all({"quick": lambda: 1, "slow": lambda: time.sleep(60)}, 2) == {"quick": 1}


def test_a_failure_reaches_who_asked() -> None:
    questions = Questions()

    def fail() -> None:
        raise ValueError("told")

    questions.ask("x", fail)
    with pytest.raises(ValueError, match="told"):
        questions.answer("x")


def test_programs_of_another_users_work_tree_never_run_as_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_compose_run.os, "geteuid", lambda: 0)
    real = os.stat(tmp_path)
    of_another = os.stat_result((*real[:4], 1000, 1001, *real[6:]))
    monkeypatch.setattr(_compose_run.os, "stat", lambda _path: of_another)
    assert _compose_run._as_owner_of(str(tmp_path)) == {"user": 1000, "group": 1001, "extra_groups": []}
    of_root = os.stat_result((*real[:4], 0, 0, *real[6:]))
    monkeypatch.setattr(_compose_run.os, "stat", lambda _path: of_root)
    assert _compose_run._as_owner_of(str(tmp_path)) == {}
    assert _compose_run._as_owner_of(None) == {}
