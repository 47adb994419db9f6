# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may act on a host: every answer of the guard, on real files."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_guard as guard
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_host as host
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_refusals as refusals
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, epoch_of, utc
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_refusals import Request


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(state_dir=str(tmp_path / "state"), lease_dir=str(tmp_path / "run"))


def request(**changes: Any) -> Request:
    known: dict[str, Any] = {
        "responder": "alice", "controller": "desk", "run_id": "run-1", "playbook": "outage", "action": "start:server",
        "wait_for_orphan_seconds": 0,
    }  # fmt: skip
    return Request(**{**known, **changes})


def kind(answer: dict[str, Any]) -> str | None:
    return answer["refusal"]["kind"] if answer["refusal"] else None


def hold(places: Places, name: str, content: str) -> None:
    os.makedirs(places.holds, exist_ok=True)
    Path(places.holds, f"{name}.json").write_text(content)


def everything(places: Places) -> dict[str, bytes]:
    roots = [Path(places.state_dir), Path(places.lease_dir)]
    return {str(path): path.read_bytes() for root in roots for path in sorted(root.rglob("*")) if path.is_file()}


def expire(places: Places) -> None:
    lease = json.loads(Path(places.lease).read_text())
    Path(places.lease).write_text(json.dumps({**lease, "expires": guard.host.boot_clock() - 1.0}))


def test_first_run_is_granted(places):
    found = guard.acquire(places, request())
    assert (found["granted"], found["token"], found["changed"], found["refusal"]) == (True, "1", True, None)
    assert found["lease"]["responder"] == "alice"
    assert found["lease"]["resumed"] is None


def test_files_are_private(places):
    guard.acquire(places, request())
    for root in (places.state_dir, places.lease_dir):
        assert stat.S_IMODE(os.stat(root).st_mode) == 0o700
        for path in Path(root).rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert not list(Path(places.state_dir).rglob("*.new"))


def test_same_run_renews_without_a_new_token_or_attempt(places):
    first = guard.acquire(places, request())
    expires = json.loads(Path(places.lease).read_text())["expires"]
    again = guard.acquire(places, request(attempts=1))
    assert (again["granted"], again["token"], again["changed"]) == (True, "1", False)
    assert again["lease"]["since"] == first["lease"]["since"]
    assert json.loads(Path(places.lease).read_text())["expires"] > expires
    assert len(json.loads(Path(places.attempts).read_text())["attempts"]) == 1


def test_another_responder_is_refused_with_who_since_until_and_the_command(places):
    mine = guard.acquire(places, request())["lease"]
    found = guard.acquire(places, request(responder="bob", run_id="run-2", host="market-1"))
    assert kind(found) == "lease"
    for part in ("alice@desk", mine["since"], mine["until"]):
        assert part in found["refusal"]["sentence"]
    assert found["refusal"]["next"] == "ansible-playbook playbooks/outage.yml --limit market-1 -e take_over=true"
    assert found["token"] is None


def test_the_same_name_on_another_controller_is_somebody_else(places):
    guard.acquire(places, request())
    assert kind(guard.acquire(places, request(controller="laptop", run_id="run-2", resume="run-1"))) == "lease"


def test_same_owner_resumes_only_when_the_controller_says_so(places):
    first = guard.acquire(places, request())["lease"]
    assert kind(guard.acquire(places, request(run_id="run-2"))) == "lease"
    found = guard.acquire(places, request(run_id="run-2", resume="run-1"))
    assert (found["granted"], found["token"]) == (True, "2")
    assert found["lease"]["resumed"] == {"run_id": "run-1", "since": first["since"], "owner": "alice@desk"}


def test_resuming_is_bound_to_the_run_that_is_known_to_be_gone(places):
    guard.acquire(places, request())
    guard.acquire(places, request(run_id="run-2", resume="run-1"))
    # Seen before run-2 took over: what was true of run-1 says nothing about the run that lives now.
    assert kind(guard.acquire(places, request(run_id="run-3", resume="run-1"))) == "lease"


def test_take_over_is_recorded_and_the_old_run_stops(places):
    old = request(token=guard.acquire(places, request())["token"])
    assert guard.check(places, old)["granted"]
    found = guard.acquire(places, request(responder="bob", run_id="run-2", take_over=True))
    assert found["lease"]["taken_over"]["run_id"] == "run-1"
    stopped = guard.check(places, old)
    assert kind(stopped) == "token"
    assert "bob@desk" in stopped["refusal"]["sentence"]
    assert kind(guard.release(places, old)) == "token"
    assert os.path.exists(places.lease), "somebody else's lease stays"


def test_an_expired_lease_is_free(places):
    guard.acquire(places, request())
    expire(places)
    found = guard.acquire(places, request(responder="bob", run_id="run-2"))
    assert (found["granted"], found["token"], found["lease"]["expired"]["run_id"]) == (True, "2", "run-1")


def test_a_lease_from_before_the_reboot_is_free(places):
    guard.acquire(places, request())
    lease = json.loads(Path(places.lease).read_text())
    Path(places.lease).write_text(json.dumps({**lease, "boot_id": "another", "expires": 1e11}))
    assert guard.acquire(places, request(responder="bob", run_id="run-2"))["granted"]


def test_setting_the_wall_clock_does_not_end_a_lease(places, monkeypatch):
    guard.acquire(places, request())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86400)
    assert kind(guard.acquire(places, request(responder="bob", run_id="run-2"))) == "lease"


def test_a_lease_that_cannot_be_read_is_somebody_elses(places):
    guard.acquire(places, request())
    Path(places.lease).write_text('{"token": ')
    assert kind(guard.acquire(places, request())) == "lease"
    assert guard.acquire(places, request(take_over=True))["token"] == "2"


def test_tokens_rise_and_survive_the_reboot_and_the_release(places):
    for number in range(1, 4):
        found = guard.acquire(places, request(run_id=f"run-{number}", action=f"a{number}"))
        assert found["token"] == str(number)
        assert guard.release(places, request(run_id=f"run-{number}", token=found["token"]))["granted"]
        assert not os.path.exists(places.lease)


def test_a_crash_after_the_token_never_gives_it_out_twice(places, monkeypatch):
    real = guard.write_json

    def dies(path: str, value: Any) -> None:
        if path == places.lease:
            raise KeyboardInterrupt
        real(path, value)

    monkeypatch.setattr(guard, "write_json", dies)
    with pytest.raises(KeyboardInterrupt):
        guard.acquire(places, request())
    monkeypatch.undo()
    assert guard.acquire(places, request(run_id="run-2"))["token"] == "2"


def test_a_damaged_token_file_is_said(places):
    guard.acquire(places, request())
    Path(places.fencing).write_text("garbage")
    with pytest.raises(IncidentError, match=r"fencing\.json cannot be understood"):
        guard.acquire(places, request(run_id="run-2", resume="run-1"))


HOLDS = {
    "everything": ('{"name": "x", "reason": "evidence", "by": "carol", "since": "02:10"}', True),
    "this playbook": ('{"reason": "evidence", "by": "carol", "since": "02:10", "playbooks": ["outage"]}', True),
    "another playbook": ('{"reason": "evidence", "by": "carol", "since": "02:10", "playbooks": ["rollback"]}', False),
    "not JSON": ("{", True),
    "empty": ("", True),
    "a list": ("[]", True),
    "playbooks that are none": ('{"playbooks": "rollback"}', True),
}


@pytest.mark.parametrize("content, held", HOLDS.values(), ids=HOLDS)
def test_holds(places, content, held):
    hold(places, "evidence", content)
    found = guard.acquire(places, request())
    assert kind(found) == ("hold" if held else None)
    assert [item["name"] for item in found["holds"]] == ["evidence"]


def test_a_hold_beats_take_over(places):
    hold(places, "evidence", "{}")
    assert kind(guard.acquire(places, request(take_over=True))) == "hold"


def test_a_hold_that_is_a_folder_or_a_link_counts(places, tmp_path):
    os.makedirs(os.path.join(places.holds, "odd.json"))
    os.symlink(tmp_path / "nowhere", os.path.join(places.holds, "link.json"))
    assert kind(guard.acquire(places, request())) == "hold"
    assert all(not item["readable"] for item in guard.acquire(places, request())["holds"])


def test_a_hold_that_comes_during_the_run_stops_the_next_step(places):
    token = guard.acquire(places, request())["token"]
    hold(places, "evidence", "{}")
    assert kind(guard.check(places, request(token=token))) == "hold"


def test_attempts_are_counted_for_each_action_within_the_window(places):
    for number in range(3):
        found = guard.acquire(places, request(run_id=f"run-{number}", take_over=True))
        guard.release(places, request(run_id=f"run-{number}", token=found["token"]))
    refused = guard.acquire(places, request(run_id="run-9"))
    assert kind(refused) == "attempts"
    assert (refused["attempts"]["count"], refused["attempts"]["limit"]) == (3, 3)
    assert "incident_attempts=4" in refused["refusal"]["next"]
    assert guard.acquire(places, request(run_id="run-9", attempts=4))["granted"], "the named way out"
    other = guard.acquire(places, request(run_id="run-9", action="restart:server"))
    assert other["granted"]


def test_old_attempts_do_not_count_but_ones_from_the_future_do(places):
    os.makedirs(places.state_dir)
    for at, refused in ((time.time() - 3601, None), (time.time() + 600, "attempts")):
        Path(places.attempts).write_text(json.dumps({"attempts": [{"action": "start:server", "at": at}] * 3}))
        assert kind(guard.acquire(places, request(run_id=f"run-{at}", take_over=True))) == refused


def test_unreadable_attempts_stop_the_run(places):
    os.makedirs(places.state_dir)
    Path(places.attempts).write_text('{"attempts": [{"at": "yesterday"}]}')
    with pytest.raises(IncidentError, match="nobody knows how often"):
        guard.acquire(places, request())


@pytest.mark.parametrize("skew, refused", [(0, None), (29, None), (31, "clock"), (-31, "clock"), (-29, None)])
def test_clocks(places, skew, refused):
    assert kind(guard.acquire(places, request(controller_clock=time.time() + skew))) == refused


def test_check_wants_this_token_of_this_run(places):
    token = guard.acquire(places, request())["token"]
    assert guard.check(places, request(token=token))["granted"]
    assert kind(guard.check(places, request(token="0"))) == "token"
    assert kind(guard.check(places, request(token=""))) == "token"
    assert kind(guard.check(places, request(token=token, run_id="run-2"))) == "token"
    expire(places)
    assert kind(guard.check(places, request(token=token))) == "token"


def test_check_extends_the_lease(places):
    token = guard.acquire(places, request(lease_seconds=5))["token"]
    guard.check(places, request(token=token, lease_seconds=900))
    assert json.loads(Path(places.lease).read_text())["expires"] > guard.host.boot_clock() + 800


def test_check_mode_writes_nothing(places):
    found = guard.acquire(places, request(), write=False)
    assert (found["granted"], found["token"], found["changed"]) == (True, None, True)
    assert everything(places) == {}
    assert not os.path.exists(places.lease_dir)
    token = guard.acquire(places, request())["token"]
    before = everything(places)
    guard.acquire(places, request(responder="bob", run_id="run-2", take_over=True), write=False)
    guard.check(places, request(token=token), write=False)
    guard.release(places, request(token=token), write=False)
    assert everything(places) == before


def test_a_link_is_not_taken_for_the_state_folder(places, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", places.state_dir)
    with pytest.raises(IncidentError, match="is not a folder"):
        guard.acquire(places, request())


def _race(places: Places, number: int, answers: Any) -> None:
    answers.put(guard.acquire(places, request(responder=f"r{number}", run_id=f"run-{number}"))["granted"])


def test_of_many_at_once_one_gets_it(places):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    racers = [context.Process(target=_race, args=(places, number, answers)) for number in range(8)]
    for racer in racers:
        racer.start()
    granted = [answers.get(timeout=20) for _racer in racers]
    for racer in racers:
        racer.join()
    assert granted.count(True) == 1


# The lock of our own acting modules ---------------------------------------------------------------------------------

HOLDER = """
import sys, time
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader([sys.argv[2]])
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting
with acting(sys.argv[1], sys.argv[3] or None, "container_log"):
    print("acting", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def left_behind(places):
    """A module of ours whose ansible-playbook is gone."""
    collections = str(Path(__file__).resolve().parents[4] / ".collections")
    token = guard.acquire(places, request())["token"]
    command = [sys.executable, "-c", HOLDER, places.lease_dir, collections, token]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "acting\n"
    yield process
    process.kill()
    process.communicate()


def test_an_orphan_is_named(places, left_behind):
    found = guard.acquire(places, request(run_id="run-2", resume="run-1"))
    assert kind(found) == "orphan"
    assert f"pid {left_behind.pid} (container_log)" in found["refusal"]["sentence"]
    started = host_time(found["refusal"]["sentence"])
    assert abs(started - time.time()) < 60


def host_time(sentence: str) -> float:
    return epoch_of(sentence.split(" since ")[1].split(";")[0])


def test_an_orphan_that_ends_is_waited_for(places, left_behind):
    assert kind(guard.acquire(places, request(run_id="run-2", resume="run-1"))) == "orphan"
    threading.Timer(0.5, left_behind.kill).start()
    found = guard.acquire(places, request(run_id="run-2", resume="run-1", wait_for_orphan_seconds=20))
    assert found["granted"]


def test_waiting_for_an_orphan_is_no_clock_skew(places, left_behind, monkeypatch):
    monkeypatch.setattr(refusals, "CLOCK_TOLERANCE", 0.3)
    threading.Timer(1.0, left_behind.kill).start()
    found = guard.acquire(places, request(controller_clock=time.time(), wait_for_orphan_seconds=20))
    assert found["granted"], found["refusal"]


def test_acting_excludes_a_second_module(places, left_behind):
    with pytest.raises(IncidentError, match=f"pid {left_behind.pid}"), guard.acting(places.lease_dir, "1"):
        pass


def test_acting_checks_the_token(places):
    token = guard.acquire(places, request())["token"]
    with guard.acting(places.lease_dir, token):
        pass
    for wrong in ("7", None):
        with pytest.raises(IncidentError, match="has the lease"), guard.acting(places.lease_dir, wrong):
            pass
    expire(places)
    with pytest.raises(IncidentError, match="is over"), guard.acting(places.lease_dir, token):
        pass


def test_acting_without_a_lease_is_for_use_by_hand(places):
    with guard.acting(places.lease_dir, None):
        assert guard.orphan(places, "")["pid"] == os.getpid()
    assert guard.orphan(places, "") is None


def test_a_long_module_extends_its_lease_and_only_its_own(places):
    token = guard.acquire(places, request(lease_seconds=5))["token"]
    assert guard.renew(places.lease_dir, token)
    assert not guard.renew(places.lease_dir, "7")
    expire(places)
    assert not guard.renew(places.lease_dir, token)


def test_until_is_shown_as_wall_clock(places):
    lease = guard.acquire(places, request(lease_seconds=900))["lease"]
    assert lease["until"] in {utc(time.time() + 900 - late) for late in range(3)}
    assert host.in_force(lease)
