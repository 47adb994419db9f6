# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What role database_restore makes of what an earlier run has left, and what it keeps to before the shop opens."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import Environment

from rules.collection import PROJECT, load, module, tasks

ROLE = PROJECT / "roles/database_restore"


def listed(step: str, role: str = "database_restore") -> list[dict[str, Any]]:
    return list(tasks(load(PROJECT / f"roles/{role}/tasks/{step}.yml")))


def test_going_on_with_wrong_values_is_compared_like_a_restore() -> None:
    [on] = [one for one in listed("main") if one.get("when") == "__database_restore_goes_on | bool"]
    assert on[module(on)]["database_restore_stage"] == "restored" and "kept_database" in str(on)
    [planned] = [one for one in listed("main") if "plan.yml" in str(one)]
    assert "not __database_restore_goes_on" in planned["when"]


def test_the_look_at_a_frozen_database_is_told_whether_it_is_settled() -> None:
    [judged] = [str(one) for one in listed("preserve", "sqlite_integrity") if "incident.sqlite_integrity_verdict(" in str(one)]
    assert "__sqlite_integrity_earlier.unsettled" in judged


def test_the_shop_opens_on_a_sound_database_and_notes_it_before_the_freeze_goes_and_after_all_runs() -> None:
    order = [
        f"{module(one).rpartition('.')[2]} {(one[module(one)] or {}).get('state', '') if isinstance(one[module(one)], dict) else ''}".strip()
        for one in listed("reopen")
    ]
    looked, noted, thawed = (
        order.index("sqlite_info"),
        order.index("backup_restore reopening"),
        order.index("payout_freeze thawed"),
    )
    assert looked < noted < thawed < order.index("command") < order.index("backup_restore reopened")


def test_from_the_thaw_on_no_run_says_that_the_shop_is_closed_whatever_fails_then() -> None:
    tasks = load(ROLE / "tasks/reopen.yml")
    [opened] = [number for number, one in enumerate(tasks) if "'opened': true" in str(one)]
    [thawed] = [number for number, one in enumerate(tasks) if "payout_freeze" in str(one) and "thawed" in str(one)]
    assert [module(one).rpartition(".")[2] for one in tasks[thawed + 1 : opened + 1]] == ["set_fact", "set_fact"]
    [proxy] = [one for one in tasks if "reload_proxy" in str(one)]
    assert "ansible_failed_result.msg" in str(proxy["rescue"]) and "'reloaded '" not in str(proxy["rescue"])


@pytest.mark.parametrize("step", ["reconcile", "reopen"])
def test_who_settles_mismatches_one_by_one_is_not_refused_for_too_many_attempts(step: str) -> None:
    assert listed(step)[0]["vars"]["incident_attempts"] >= 1000


def test_whoever_has_it_open_is_frozen_like_the_writers_before_and_after_the_pause() -> None:
    freezes = [one for one in listed("preserve", "sqlite_integrity") if module(one).endswith("payout_freeze")]
    for one in freezes:
        assert "__sqlite_integrity_beside" in one[module(one)]["services"]
    assert [one["vars"]["__sqlite_integrity_beside"] for one in freezes] == [
        "{{ __sqlite_integrity_open.beside | default([]) }}",
        "{{ __sqlite_integrity_held.beside }}",
    ]
    [looked] = [one for one in listed("preserve", "sqlite_integrity") if one.get("register") == "__sqlite_integrity_open"]
    assert looked["failed_when"] is False, "a freeze needs no Docker"
    order = [str(one.get("register")) for one in listed("preserve", "sqlite_integrity")]
    assert (
        order.index("__sqlite_integrity_open")
        < order.index("__sqlite_integrity_froze")
        < order.index("__sqlite_integrity_held")
    )


@pytest.mark.parametrize("noted", [None, {"stage": "reopening", "services": ["server", "worker"]}])
def test_whoever_was_ended_is_started_also_after_a_kill(noted: dict[str, Any] | None) -> None:
    frozen = [] if noted else [{"name": "database", "services": ["server", "worker"]}, {"name": "hold", "services": ["nginx"]}]
    environment = Environment(autoescape=True)
    environment.filters.update(flatten=lambda lists: [one for each in lists for one in each])
    text = load(ROLE / "vars/main.yml")["__database_restore_ended"].strip().removeprefix("{{").removesuffix("}}")
    ended = environment.compile_expression(text)(
        __database_restore_writers=["server", "database"],
        database_restore_freezes=frozen,
        __database_restore_earlier={"unsettled": noted},
    )
    assert list(ended) == ["server", "database", "worker"]
    asked = " ".join(str(one) for one in listed("reopen"))
    assert "selectattr('name', 'in', __database_restore_ended)" in asked and "__database_restore_ended }}" in asked


def test_a_loss_that_cannot_be_listed_keeps_nobody_from_asking_the_chain() -> None:
    [compared] = [one for one in listed("_compare") if module(one).endswith("backup_restore")]
    environment = Environment(autoescape=True)
    for kind, failed in (
        ("unreadable", False),
        ("missing", False),
        ("encrypted", False),
        ("changed", True),
        ("begun", True),
        (None, True),
    ):
        said = {"failed": True, "msg": "x", **({"kind": kind} if kind else {})}
        assert environment.compile_expression(compared["failed_when"].strip())(__database_restore_compared=said) is failed
    assert all(
        "loss is defined" in one["when"] for one in listed("_compare") if "_to_desk" in str(one) or module(one).endswith("stat")
    )
    [decided] = [one for one in listed("reconcile") if "incident.database_restore_reopening(" in str(one)]
    assert "loss_problem=database_restore_result.loss.problem" in str(decided)


def test_what_goes_to_the_desk_is_not_read_into_memory_where_there_is_room_for_a_copy() -> None:
    [pieces] = [one for one in flattened("_to_desk") if "rescue" in one and "always" in one]
    folder, copied, fetched = pieces["block"]
    assert [module(one).rpartition(".")[2] for one in (folder, copied, fetched)] == ["tempfile", "copy", "fetch"]
    assert folder["vars"] == fetched["vars"] == {"ansible_become": False} and "vars" not in copied
    assert copied[module(copied)]["mode"] == "0400" and "uid" in copied[module(copied)]["owner"]
    assert [module(one).rpartition(".")[2] for one in pieces["rescue"]] == ["fetch"]
    assert pieces["always"][0][module(pieces["always"][0])]["state"] == "absent"


def flattened(step: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    waiting = list(load(ROLE / f"tasks/{step}.yml"))
    while waiting:
        one = waiting.pop(0)
        found.append(one)
        waiting += one.get("block", [])
    return found


@pytest.mark.parametrize(("inode", "said"), [(7, True), (8, False)])
def test_a_desk_that_is_the_host_itself_is_said_to_be_no_other_place(inode: int, said: bool) -> None:
    [told] = [one["vars"] for one in listed("_keys") if "__database_restore_same_machine" in (one.get("vars") or {})]
    environment = Environment(autoescape=True)

    def worth(name: str, **given: Any) -> Any:
        return environment.compile_expression(told[name].strip().removeprefix("{{").removesuffix("}}"))(**given)

    file = {"exists": True, "checksum": "ab", "dev": 1, "inode": 7, "atime": 3}
    machines = {
        "__database_restore_machine": {"stat": file},
        "__database_restore_desk_machine": {"stat": {**file, "inode": inode, "atime": 4}},
        "__database_restore_desk_dir": "/desk",
    }
    numbers = [
        {name: one["stat"][name] for name in ("checksum", "dev", "inode")}
        for one in (machines["__database_restore_machine"], machines["__database_restore_desk_machine"])
    ]
    assert bool(worth("__database_restore_same_machine", __database_restore_numbers=numbers, **machines)) is said


@pytest.mark.parametrize(("state", "told"), [("synchronized", "200"), ("synchronizing", "left out"), ("stale", "left out")])
def test_only_a_daemon_that_is_synchronized_says_how_far_the_chain_goes(state: str, told: str) -> None:
    [compared] = [one for one in listed("reconcile") if one.get("register") == "__database_restore_compared_rows"]
    height = Environment(autoescape=True).from_string(compared[module(compared)]["chain_height"])
    daemon = {"state": state, "height": 200}
    assert height.render(__database_restore_monero={"monero": {"daemon": daemon}}, omit="left out") == told
    daemon["height"] = None  # type: ignore[assignment]
    assert height.render(__database_restore_monero={"monero": {"daemon": daemon}}, omit="left out") == "left out"
