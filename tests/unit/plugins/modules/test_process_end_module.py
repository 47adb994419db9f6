# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of process_end: arguments in, one answer out, nothing without the lease."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_processes import start_ticks
from ansible_collections.monero_marketplace.incident.plugins.modules import process_end

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(AnsibleModule, "log", lambda *_args, **_more: None)

    def answer(**arguments: Any) -> dict[str, Any]:
        places = {"lease_dir": str(tmp_path / "lease"), "state_dir": str(tmp_path / "state")}
        with patch_module_args({**places, **arguments}), pytest.raises(SystemExit):
            process_end.main()
        return dict(json.loads(capsys.readouterr().out))

    return answer


@pytest.fixture
def sleeper() -> Iterator[dict[str, int]]:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    threading.Thread(target=child.wait, daemon=True).start()  # nobody else would take the zombie away
    ticks = start_ticks(child.pid)
    assert ticks is not None
    yield {"pid": child.pid, "start_ticks": ticks}
    child.kill()


def test_check_mode_says_it_and_the_call_does_it(run: Run, sleeper: dict[str, int]) -> None:
    planned = run(**sleeper, _ansible_check_mode=True)
    assert planned["changed"] and planned["process"]["ended"] is False
    found = run(**sleeper)
    assert found["changed"] and found["process"]["ended"] and found["process"]["seconds"] is not None
    assert not run(**sleeper)["changed"]


def test_nobody_is_ended_without_the_token_of_a_lease_in_force(run: Run, sleeper: dict[str, int]) -> None:
    found = run(**sleeper, token="7")
    assert found["failed"] and "lease" in found["msg"]
    assert start_ticks(sleeper["pid"]) == sleeper["start_ticks"]


def test_the_first_process_is_refused(run: Run) -> None:
    found = run(pid=1, start_ticks=0)
    assert found["failed"] and "other than the first" in found["msg"]
