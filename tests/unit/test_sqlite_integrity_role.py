# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of role sqlite_integrity keep to, whatever the inventory says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jinja2 import Environment

from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_steps import ORDER
from rules.collection import PROJECT, load, module, strings, tasks

STEPS = PROJECT / "roles/sqlite_integrity/tasks"
KEPT = "_keep_logs.yml"


def listed(step: str) -> list[dict[str, Any]]:
    return list(tasks(load(STEPS / f"_{step}.yml")))


def test_logs_are_kept_before_a_container_is_touched() -> None:
    touching = [step for step in ORDER if any(module(task) == "ansible.builtin.command" for task in listed(step))]
    assert set(touching) == {"start", "restart"}
    assert [step for step in touching if KEPT not in listed(step)[0].get("ansible.builtin.include_tasks", "")] == []


def test_nobody_is_killed_and_nothing_is_deleted_or_written_back() -> None:
    text = " ".join(path.read_text(encoding="utf-8") for path in STEPS.glob("*.yml") if path.stem.strip("_") in ORDER)
    assert not re.search(r"\brm\b|state: absent|'kill'|SIGKILL|checkpoint|'sqlite3'", text)


def test_a_container_has_its_own_time_to_end() -> None:
    [restart] = [text for task in listed("restart") for text in strings(task) if "'docker', 'restart'" in text]
    assert "--time" not in restart


@pytest.mark.parametrize(
    ("service", "details", "asked"),
    [
        ("server", {}, True),
        ("server", {"touches_signing": False}, True),
        ("server", {"touches_signing": True}, False),
        ("database", {}, False),
    ],
)
def test_open_rounds_are_asked_for_again_before_the_server_is_restarted_unasked(
    service: str, details: dict[str, Any], asked: bool
) -> None:
    order = [task.get("ansible.builtin.include_tasks") or module(task) for task in listed("restart")]
    assert order.index("_no_round.yml") < order.index("ansible.builtin.command")
    [again] = [task for task in listed("restart") if task.get("ansible.builtin.include_tasks") == "_no_round.yml"]
    given = {
        "sqlite_integrity_step": {"services": [service], "details": [details]},
        "marketplace_server_service": "server",
    }
    assert all(Environment(autoescape=True).compile_expression(one)(**given) for one in again["when"]) is asked


def test_the_guard_is_asked_in_the_last_moment_before_a_restart() -> None:
    order = [module(task) for task in listed("restart")]
    assert order[-2:] == ["ansible.builtin.include_role", "ansible.builtin.command"]


def test_a_process_is_ended_by_its_number_its_start_and_what_it_holds() -> None:
    [ending] = [task for task in listed("end_lock_holder") if module(task).endswith(".process_end")]
    given = ending[module(ending)]
    assert {"pid", "start_ticks", "holding", "token"} <= set(given)
    assert given["holding"] == "{{ marketplace_database_path }}"


def test_how_long_a_look_may_take_is_the_sites_own_choice() -> None:
    for step in ("look_files", "no_round"):
        [look] = [task for task in listed(step) if module(task).endswith(".sqlite_info")]
        given = look[module(look)]
        assert given["check_timeout"] == "{{ sqlite_integrity_quick_timeout }}"
        assert given["copy_timeout"] == "{{ sqlite_integrity_copy_timeout }}"
