# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard and the record, killed at each of their effects: the next run goes on, and nothing is left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from unit.crash import killed_after, killed_at_each_effect

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_desk as desk
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_guard as guard
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_host as host
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_pins import read_pins
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_record import Said, record
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_refusals import Request


def places(folder: Path) -> Places:
    return Places(state_dir=str(folder / "state"), lease_dir=str(folder / "run"))


def request(**changes: Any) -> Request:
    known: dict[str, Any] = {"responder": "alice", "controller": "c", "run_id": "run-1", "playbook": "outage", "action": "a",
                             "wait_for_orphan_seconds": 0, "resume": "run-1"}  # fmt: skip
    return Request(**{**known, **changes})


def nothing(_folder: Path) -> None:
    """From the very beginning."""


def no_scraps(folder: Path) -> None:
    assert [path.name for path in folder.rglob(".*") if path.name != ".lock"] == []


def test_taking_the_lease(tmp_path):
    tokens: list[int] = []

    def converged(folder: Path, result: dict[str, Any]) -> None:
        assert result["granted"], result["refusal"]
        lease = json.loads(Path(places(folder).lease).read_text())
        token = json.loads(Path(places(folder).fencing).read_text())["token"]
        assert str(lease["token"]) == result["token"] == str(token)
        tokens.append(token)
        no_scraps(folder)

    # A rerun is another run of the same owner, whose process the controller knows to be gone.
    runs = iter(range(10_000))

    def act(folder):
        return guard.acquire(places(folder), request(run_id="run-1" if next(runs) % 2 == 0 else "run-2"))

    assert killed_at_each_effect(tmp_path, nothing, act, converged) > 10
    assert tokens[0] == 1 and max(tokens) == 2, "killed after the token was counted, the next run gets the next one"


def test_checking_and_remembering(tmp_path):
    def prepare(folder: Path) -> None:
        guard.acquire(places(folder), request())

    def act(folder: Path) -> dict[str, Any]:
        return guard.check(places(folder), request(token="1", incident="INC-20261123-0213", head="9f3c", entries=2))

    def converged(folder: Path, result: dict[str, Any]) -> None:
        assert result["granted"], result["refusal"]
        assert read_pins(places(folder))[""]["INC-20261123-0213"]["entries"] == 2
        guard.release(places(folder), request(token="1"))
        no_scraps(folder)

    assert killed_at_each_effect(tmp_path, prepare, act, converged) > 5


def test_giving_the_lease_back(tmp_path):
    def prepare(folder: Path) -> None:
        guard.acquire(places(folder), request())

    def act(folder: Path) -> dict[str, Any]:
        return guard.release(places(folder), request(token="1", incident="INC-20261123-0213", head="9f3c", entries=2))

    def converged(folder: Path, _result: dict[str, Any]) -> None:
        assert host.read_lease(places(folder)) is None
        assert read_pins(places(folder))[""]["INC-20261123-0213"]["head"] == "9f3c"
        no_scraps(folder)

    assert killed_at_each_effect(tmp_path, prepare, act, converged) > 3


SAID = Said(host="market-1", playbook="outage", responder="alice", run_id="run-1", event="outcome", text="restored", open=True,
            status="monitoring", once="run-1 outcome")  # fmt: skip


@pytest.mark.parametrize("opened", [False, True], ids=["opening", "joining"])
def test_writing_the_record(tmp_path, opened):
    def prepare(folder: Path) -> None:
        if opened:
            record(str(folder), Said(**{**SAID.__dict__, "event": "intent", "text": "before", "status": "open", "once": ""}))

    def act(folder: Path) -> dict[str, Any]:
        return record(str(folder), SAID)

    def converged(folder: Path, _result: dict[str, Any]) -> None:
        found = desk.look(str(folder), "market-1", 3600)["incidents"]
        assert [(one["intact"], one["torn"], one["status"]) for one in found] == [(True, False, "monitoring")]
        lines = [json.loads(line) for line in Path(folder, found[0]["id"], "timeline.jsonl").read_text().splitlines()]
        told = [line["text"] for line in lines if line["event"] != "repaired"]
        assert told == [*(["before"] if opened else []), "restored"], "what was said once stands there once"
        no_scraps(folder)

    assert killed_at_each_effect(tmp_path, prepare, act, converged) > 5


# The helper itself ---------------------------------------------------------------------------------------------------


def test_a_step_that_does_not_converge_is_seen(tmp_path):
    def act(folder: Path) -> None:
        os.mkdir(folder / "a")
        os.mkdir(folder / "b")

    with pytest.raises(FileExistsError) as seen:
        killed_at_each_effect(tmp_path, nothing, act, lambda _folder, _result: None)
    assert seen.value.__notes__ == ["after a kill at effect 2"]


def test_a_kill_tears_a_write_and_cleans_nothing_up(tmp_path):
    def act() -> None:
        handle = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(handle, b"0123456789")
        finally:
            os.unlink(tmp_path / "file")

    assert killed_after(0, act)
    assert (tmp_path / "file").read_bytes() == b"01234"
    assert not killed_after(2, act)
    assert not (tmp_path / "file").exists()


def test_other_effects_can_be_named(tmp_path):
    class Engine:
        @staticmethod
        def docker(*words: str) -> None:
            (tmp_path / "asked").write_text(" ".join(words))

    assert killed_after(0, lambda: Engine.docker("stop"), also=[(Engine, "docker")])
    assert not (tmp_path / "asked").exists()
    assert not killed_after(1, lambda: Engine.docker("stop"), also=[(Engine, "docker")])
    assert (tmp_path / "asked").read_text() == "stop"
