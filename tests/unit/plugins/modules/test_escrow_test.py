# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's own escrow test: run bounded, one line kept, and not at all while somebody forbids payments."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting
from ansible_collections.monero_marketplace.incident.plugins.modules import escrow_test

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, _line, **_more: None)

    def answer(script: str, **more: Any) -> dict[str, Any]:
        arguments = {
            "command": ["/bin/sh", "-c", f"touch {tmp_path}/ran; {script}"],
            "lease_dir": str(tmp_path / "lease"),
            "state_dir": str(tmp_path / "state"),
            **more,
        }
        with patch_module_args(arguments), pytest.raises(SystemExit):
            escrow_test.main()
        return dict(json.loads(capsys.readouterr().out))

    return answer


def ran(folder: Path) -> bool:
    return (folder / "ran").exists()


def test_exit_status_zero_is_proof_and_a_payment_is_a_change(run: Run) -> None:
    found = run("echo signing; echo; printf '\\033[32mpaid, 10 confirmations\\033[0m\\n'")
    assert found["state"] == "proven" and found["changed"]
    assert (found["exit_status"], found["line"], found["why"]) == (0, "paid, 10 confirmations", "")


def test_any_other_status_is_a_failure_of_the_flow_and_not_of_the_module(run: Run) -> None:
    found = run("echo 'the second signer refused' >&2; exit 3")
    assert "failed" not in found and found["state"] == "failed" and found["changed"]
    assert (found["exit_status"], found["line"], found["why"]) == (3, "the second signer refused", "exit status 3")


def test_a_test_that_hangs_is_ended_with_all_it_started(run: Run, tmp_path: Path) -> None:
    began = time.monotonic()
    found = run(f"sleep 60 & echo $! > {tmp_path}/child; echo waiting; wait", timeout=3)
    assert time.monotonic() - began < 30
    assert (found["state"], found["exit_status"], found["line"]) == ("failed", None, "waiting")
    assert found["why"] == "it did not end within 3 s"
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    deadline = time.monotonic() + 20
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, "what the command started lives on"


def test_much_output_is_bounded_to_one_line(run: Run) -> None:
    found = run("yes 0123456789 | head -c 8000000; echo")
    assert found["state"] == "proven" and len(found["line"]) <= 200 and len(json.dumps(found)) < 2000


def test_it_gets_no_input(run: Run) -> None:
    assert run("read answer && echo $answer || echo nobody answers")["line"] == "nobody answers"


def test_check_mode_pays_nothing(run: Run, tmp_path: Path) -> None:
    found = run("true", _ansible_check_mode=True)
    assert (found["state"], found["changed"], found["why"]) == ("not_run", False, "check mode")
    assert not ran(tmp_path) and not (tmp_path / "lease").exists()


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("holds/night.json", {"reason": "evidence is being taken", "by": "alice", "playbooks": []}, "hold 'night' by alice"),
        ("holds/night.json", "no json", "its file cannot be read"),
        ("freezes/payouts.json", {"reason": "a rescan", "services": ["server"]}, "because a rescan"),
        ("freezes/payouts.json", "no json", "payouts frozen since unknown by unknown because its file cannot be read"),
    ],
)
def test_nothing_is_paid_under_a_hold_or_a_freeze(
    run: Run, tmp_path: Path, path: str, content: Any, words: str, check: bool
) -> None:
    file = tmp_path / "state" / path
    file.parent.mkdir(parents=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    found = run("true", _ansible_check_mode=check)
    assert (found["state"], found["changed"]) == ("not_run", False) and words in found["why"]
    assert not ran(tmp_path)


def test_a_hold_of_another_playbook_does_not_bind(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "state" / "holds" / "night.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"reason": "no rollback", "by": "alice", "playbooks": ["rollback"]}))
    assert run("true")["state"] == "proven"


def test_nothing_is_paid_while_another_step_is_at_work(run: Run, tmp_path: Path) -> None:
    with acting(str(tmp_path / "lease"), None):
        found = run("true")
    assert found["state"] == "not_run" and f"pid {os.getpid()}" in found["why"] and not ran(tmp_path)
    assert run("true")["state"] == "proven"


def test_a_command_that_is_not_there_is_an_error_of_the_inventory(run: Run) -> None:
    found = run("", command=["/usr/local/bin/escrow-tset"])
    assert (
        found["failed"] and "/usr/local/bin/escrow-tset" in found["msg"] and "marketplace_escrow_test_command" in found["msg"]
    )
    assert "command is empty" in run("", command=[])["msg"]
