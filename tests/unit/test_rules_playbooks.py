# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules over the playbooks: lists of roles, no logic, safe by themselves."""

from __future__ import annotations

import re

import pytest

from rules.collection import FQCN, PROJECT, keys, load, module, playbooks, tasks_of_play

FIRST = f"{FQCN}.require_marketplace"
PLAYBOOKS = [pytest.param(path, id=path.stem) for path in playbooks()]
RUNS = [pytest.param(path, id=path.stem) for path in playbooks() if path.stem != "require_marketplace"]
CALLED = {"ansible.builtin.include_role", "ansible.builtin.import_role"}


def test_there_are_playbooks():
    assert {"outage", "verify", "status", "require_marketplace"} <= {path.stem for path in playbooks()}


@pytest.mark.parametrize("path", PLAYBOOKS)
def test_its_name_can_be_called_in_full(path):
    # A hyphen is not found as NAMESPACE.NAME.PLAYBOOK.
    assert re.fullmatch(r"[a-z][a-z_]*", path.stem)


@pytest.mark.parametrize("path", PLAYBOOKS)
def test_no_become(path):
    # A play's become is inherited by what is delegated to the desk; it belongs into the inventory.
    assert {key for key in keys(load(path)) if key.startswith("become")} == set()


@pytest.mark.parametrize("path", PLAYBOOKS)
def test_no_environment(path):
    assert "environment" not in set(keys(load(path)))


@pytest.mark.parametrize("path", RUNS)
def test_it_begins_by_finding_a_marketplace(path):
    # Ansible ends with 0 when no host matches.
    assert load(path)[0]["ansible.builtin.import_playbook"] == FIRST


@pytest.mark.parametrize("path", PLAYBOOKS)
def test_imports_are_named_in_full(path):
    named = [value for play in load(path) for key, value in play.items() if key.endswith("import_playbook")]
    assert [name for name in named if not name.startswith(f"{FQCN}.")] == []
    assert [name for name in named if not (PROJECT / "playbooks" / f"{name.rpartition('.')[2]}.yml").exists()] == []


@pytest.mark.parametrize("path", PLAYBOOKS)
def test_hosts_and_facts_are_stated(path):
    plays = [play for play in load(path) if "hosts" in play]
    assert [play["name"] for play in plays if play.get("gather_facts") is not False] == []


@pytest.mark.parametrize("path", RUNS)
def test_it_is_a_list_of_roles(path):
    called = [task for play in load(path) for task in tasks_of_play(play)]
    assert [task["name"] for task in called if module(task) not in CALLED] == []
    # Each prints a line and a validation; more than this many bury what matters.
    assert 0 < len(called) <= 6


@pytest.mark.parametrize("path", RUNS)
def test_the_entry_points_it_names_exist(path):
    for play in load(path):
        for task in tasks_of_play(play):
            role = task[module(task)]
            folder = PROJECT / "roles" / role["name"].removeprefix(f"{FQCN}.")
            assert (folder / "tasks" / f"{role.get('tasks_from', 'main')}.yml").exists()


@pytest.mark.parametrize("path", RUNS)
def test_it_runs_for_each_host(path):
    assert "run_once" not in set(keys(load(path)))
    assert "ignore_errors" not in set(keys(load(path)))


@pytest.mark.parametrize("path", RUNS)
def test_it_has_its_page(path):
    assert (PROJECT / "docs" / f"{path.stem}.md").exists()
