# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds: placed and lifted by name, with a reason, and nothing of what was said is lost."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from unit.crash import killed_at_each_effect

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_guard as guard
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_holds as holds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_hold_words import hold_report
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places, read_holds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_refusals import Request


def places_in(folder: Path) -> Places:
    return Places(state_dir=str(folder / "state"), lease_dir=str(folder / "run"))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return places_in(tmp_path)


def request(**changes: Any) -> Request:
    known: dict[str, Any] = {
        "responder": "alice", "controller": "desk", "run_id": "run-1", "playbook": "outage", "action": "start:server", "host": "market-1",
        "wait_for_orphan_seconds": 0, "hold_name": "evidence", "reason": "evidence is being taken",
    }  # fmt: skip
    return Request(**{**known, **changes})


def names(places: Places) -> list[str]:
    return sorted(str(path.relative_to(places.holds)) for path in Path(places.holds).rglob("*") if path.is_file())


def test_a_hold_is_a_private_file_that_binds(places):
    found = holds.place(places, request())
    path = Path(places.holds, "evidence.json")
    said = json.loads(path.read_text())
    assert (found["changed"], said["by"], said["reason"], said["playbooks"]) == (True, "alice", "evidence is being taken", [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    refusal = guard.acquire(places, request(responder="bob"))["refusal"]
    assert refusal["kind"] == "hold"
    assert "'evidence' by alice since" in refusal["sentence"] and "evidence is being taken" in refusal["sentence"]


def test_the_refusal_names_the_command_that_lifts_it(places):
    holds.place(places, request())
    following = guard.acquire(places, request(responder="bob"))["refusal"]["next"]
    assert following == (
        "ansible-playbook playbooks/release_hold.yml --limit market-1 -e \"hold_name=evidence hold_reason='WHY IT MAY GO ON'\""
    )


def test_the_same_hold_again_changes_nothing(places):
    first = holds.place(places, request())
    before = Path(places.holds, "evidence.json").read_bytes()
    again = holds.place(places, request(run_id="run-2", responder="bob"))
    assert (again["changed"], again["once"]) == (False, first["once"])
    assert again["hold"]["by"] == "alice"
    assert Path(places.holds, "evidence.json").read_bytes() == before


@pytest.mark.parametrize("other", [{"reason": "something else"}, {"hold_playbooks": ("rollback",)}])
def test_nobodys_word_is_overwritten(places, other):
    holds.place(places, request())
    with pytest.raises(IncidentError, match=r"by alice .*release_hold\.yml"):
        holds.place(places, request(**other))


def test_a_hold_for_some_playbooks_leaves_the_others(places):
    holds.place(places, request(hold_playbooks=("rollback", "restart")))
    assert guard.acquire(places, request())["granted"]
    assert guard.check(places, request(playbook="rollback", token="1"))["refusal"]["kind"] == "hold"


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-x", "a b", "x" * 65, "é", "x\n"])
def test_a_name_stays_a_name(places, name):
    with pytest.raises(IncidentError, match="cannot be the name of a hold"):
        holds.place(places, request(hold_name=name))
    assert not os.path.exists(places.holds)


@pytest.mark.parametrize("step", [holds.place, holds.lift])
def test_without_a_reason_nothing_is_done(places, step):
    with pytest.raises(IncidentError, match="reason"):
        step(places, request(reason=" \n"))


def test_lifting_keeps_what_was_said_and_by_whom(places):
    holds.place(places, request())
    original = Path(places.holds, "evidence.json").read_bytes()
    found = holds.lift(places, request(responder="bob", reason="the copy is sealed"))
    assert (found["changed"], found["holds"]) == (True, [])
    kept = Path(places.holds, "released")
    assert [path.read_bytes() for path in kept.glob("*.held")] == [original]
    (note,) = [json.loads(path.read_text()) for path in kept.glob("*.json")]
    assert (note["by"], note["released_by"], note["released_reason"]) == ("alice", "bob", "the copy is sealed")
    assert guard.acquire(places, request())["granted"]


def test_lifting_again_is_nothing_to_do_and_tells_of_the_last_time(places):
    holds.place(places, request())
    first = holds.lift(places, request(responder="bob"))
    before = names(places)
    again = holds.lift(places, request(responder="carol", run_id="run-2"))
    assert (again["changed"], again["once"], again["hold"]["released_by"]) == (False, first["once"], "bob")
    assert names(places) == before


def test_lifting_what_never_was_is_nothing_to_do(places):
    found = holds.lift(places, request(hold_name="../evidence"))
    assert (found["changed"], found["hold"], found["once"]) == (False, None, "")


@pytest.mark.parametrize("content", ["{", "", "[]"])
def test_an_unreadable_hold_binds_and_can_be_lifted_by_name(places, content):
    os.makedirs(places.holds)
    Path(places.holds, "odd one.json").write_text(content)
    refusal = guard.acquire(places, request())["refusal"]
    assert """-e '{"hold_name": "odd one", """ in refusal["next"]
    with pytest.raises(IncidentError):
        holds.place(places, request(hold_name="odd one"))
    assert holds.lift(places, request(hold_name="odd one"))["changed"]
    assert [path.read_text() for path in Path(places.holds, "released").glob("*.held")] == [content]


def test_holds_that_are_folders_or_links_can_be_lifted(places, tmp_path):
    os.makedirs(os.path.join(places.holds, "folder.json"))
    os.symlink(tmp_path / "nowhere", os.path.join(places.holds, "link.json"))
    for name in ("folder", "link"):
        assert holds.lift(places, request(hold_name=name))["changed"]
    assert read_holds(places) == []


def test_a_folder_that_cannot_be_listed_names_no_hold_to_lift(places):
    os.makedirs(places.state_dir)
    Path(places.holds).write_text("")
    found = guard.check(places, request())
    assert found["holds"][0]["readable"] is False
    assert "release_hold" not in guard.hold_refusal(request(), found["holds"])["next"]


def test_check_mode_predicts_and_writes_nothing(places, tmp_path):
    assert holds.place(places, request(), write=False)["changed"]
    assert list(tmp_path.iterdir()) == []
    holds.place(places, request())
    before = names(places)
    assert not holds.place(places, request(), write=False)["changed"]
    assert holds.lift(places, request(), write=False)["changed"]
    assert names(places) == before


# Killed at any moment ------------------------------------------------------------------------------------------------


def no_scraps(folder: Path) -> None:
    assert [str(path) for path in folder.rglob(".*")] == []


def test_placing_killed_at_any_effect_converges(tmp_path):
    def converged(folder: Path, result: dict[str, Any]) -> None:
        assert [hold["name"] for hold in read_holds(places_in(folder))] == ["evidence"]
        assert result["hold"]["readable"] and result["once"]
        no_scraps(folder)

    def act(folder: Path) -> dict[str, Any]:
        return holds.place(places_in(folder), request())

    assert killed_at_each_effect(tmp_path, lambda _folder: None, act, converged) > 5


@pytest.mark.parametrize("content", [None, "{"], ids=["readable", "unreadable"])
def test_lifting_killed_at_any_effect_converges_and_loses_nothing(tmp_path, content):
    def prepare(folder: Path) -> None:
        holds.place(places_in(folder), request())
        if content is not None:
            Path(places_in(folder).holds, "evidence.json").write_text(content)

    def converged(folder: Path, result: dict[str, Any]) -> None:
        places = places_in(folder)
        assert read_holds(places) == []
        assert (result["hold"]["released_by"], bool(result["once"])) == ("alice", True), "a rerun can still record it"
        assert len(list(Path(places.holds, "released").glob("*.held"))) == 1
        no_scraps(folder)

    def act(folder: Path) -> dict[str, Any]:
        return holds.lift(places_in(folder), request(reason="sealed"))

    assert killed_at_each_effect(tmp_path, prepare, act, converged) > 5


# What is said --------------------------------------------------------------------------------------------------------


def test_the_report_of_a_hold(places):
    found = hold_report(holds.place(places, request()), "hold", "market-1", False)
    assert (found["settled"], found["verb"], found["plan"]) == (True, True, [])
    assert found["did"] == ["hold 'evidence' by alice forbids everything: evidence is being taken"]
    assert found["next"][0].startswith('ansible-playbook playbooks/release_hold.yml --limit market-1 -e "hold_name=evidence ')
    again = hold_report(holds.place(places, request()), "hold", "market-1", False)
    assert again["did"][0].startswith("nothing: hold 'evidence' by alice") and again["text"] == found["text"]


def test_the_report_of_a_release_names_what_still_binds(places):
    holds.place(places, request())
    holds.place(places, request(hold_name="other", reason="another reason"))
    lifted = holds.lift(places, request(responder="bob", reason="sealed"))
    found = hold_report(lifted, "release", "market-1", False)
    assert "lifted by bob: sealed (it forbade everything since" in found["text"]
    assert found["risk"] == ["still held by 'other': another reason"]
    again = hold_report(holds.lift(places, request(reason="sealed")), "release", "market-1", False)
    assert again["text"] == found["text"], "what is recorded is the same whoever repeats it"
    never = hold_report(holds.lift(places, request(hold_name="never")), "release", "market-1", False)
    assert (never["did"], never["text"]) == (["nothing: there is no hold of this name"], "")


def test_a_prediction_is_a_plan(places):
    found = hold_report(holds.place(places, request(), write=False), "hold", "market-1", True)
    assert (found["settled"], found["did"], len(found["plan"])) == (False, [], 1)


def test_a_hold_placed_after_the_guard_stops_what_acts(places):
    token = guard.acquire(places, request())["token"]
    with guard.acting(places.lease_dir, token):
        holds.place(places, request(responder="bob"))
        assert guard.renew(places.lease_dir, token) is False
    with pytest.raises(IncidentError, match="hold 'evidence' by bob forbids outage"), guard.acting(places.lease_dir, token):
        pytest.fail("it acted under a hold")
    Path(places.holds, "evidence.json").write_text(json.dumps({"reason": "r", "by": "bob", "playbooks": ["rollback"]}))
    with guard.acting(places.lease_dir, token):
        assert guard.renew(places.lease_dir, token) is True
