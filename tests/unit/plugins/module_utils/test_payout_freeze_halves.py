# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A payout freeze that is placed or lifted by halves says so, and whatever else there is of it stands."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.crash import killed_at_each_effect
from unit.plugins.freezes import POLICIES, assert_frozen, assert_tells_the_truth, assert_thawed, host_in, standing

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError
from ansible_collections.monero_marketplace.incident.plugins.module_utils._payout_freeze import freeze, thaw


def test_killed_while_thawing_a_rerun_thaws_and_until_then_it_is_frozen(tmp_path):
    def act(folder: Path) -> Any:
        wish, machine = host_in(folder)
        # The file goes last: what was put back before it went is all of it.
        assert standing(wish) or (machine.policies == POLICIES and not machine.tables())
        assert_tells_the_truth(wish, machine)
        return thaw(wish, machine)

    def converged(folder: Path, _done: Any) -> None:
        assert_thawed(*host_in(folder))

    assert killed_at_each_effect(tmp_path, lambda folder: freeze(*host_in(folder)), act, converged) > 12


def test_killed_at_any_effect_no_freeze_says_that_it_is_in_force_while_it_is_not(tmp_path):
    def act(folder: Path) -> Any:
        wish, machine = host_in(folder)
        assert_tells_the_truth(wish, machine)
        return freeze(wish, machine)

    killed_at_each_effect(tmp_path, host_in, act, lambda folder, _done: assert_frozen(*host_in(folder)))


def test_a_docker_that_refuses_while_thawing_leaves_the_cut_and_a_rerun_ends_it(tmp_path):
    wish, machine = host_in(tmp_path)
    freeze(wish, machine)
    machine.stuck = "bb"
    with pytest.raises(IncidentError, match="no such container"):
        thaw(wish, machine)
    assert machine.enabled() and "{ 18082, 18090 } drop" in machine.tables()["bridge"]
    assert_tells_the_truth(wish, machine)
    # Whoever decides that it is to stand after all gets all of it back.
    machine.stuck = ""
    freeze(wish, machine)
    assert_frozen(wish, machine)
    thaw(wish, machine)
    assert_thawed(wish, machine)


def test_a_docker_that_refuses_one_policy_while_freezing_is_told_the_others(tmp_path):
    wish, machine = host_in(tmp_path)
    machine.stuck = "aa"
    with pytest.raises(IncidentError, match="no such container"):
        freeze(wish, machine)
    assert [what[1] for what in machine.policies.values()] == ["on-failure", "no", "always"] and machine.tables()
    assert_tells_the_truth(wish, machine)


def test_a_full_disk_in_the_middle_does_not_keep_the_restart_policies_on(tmp_path):
    wish, machine = host_in(tmp_path)
    Path(wish.drop_in).parent.write_text("no folder")
    with pytest.raises(OSError):
        freeze(wish, machine)
    assert [what[1] for what in machine.policies.values()] == ["no", "no", "always"]
    assert_tells_the_truth(wish, machine)


@pytest.mark.parametrize("text", ["{", '{"reason": "by hand", "by": "bob", "services": ["server"]}'])
def test_beside_one_whose_ports_nobody_knows_the_others_are_cut_too(tmp_path, text):
    wish, machine = host_in(tmp_path)
    other, third = replace(wish, name="reconcile", wallet_ports=(18083,)), replace(wish, name="audit", wallet_ports=(18084,))
    freeze(other, machine)
    Path(other.path).write_text(text)
    freeze(wish, machine)
    freeze(third, machine)
    assert "{ 18082, 18083, 18084, 18090 } drop" in machine.tables()["bridge"]
    assert not freeze(third, machine).changed
    thaw(third, machine)
    assert "{ 18082, 18083, 18084, 18090 } drop" in machine.tables()["bridge"]


def test_where_no_rules_were_left_those_of_a_wallet_are_cut(tmp_path):
    wish, machine = host_in(tmp_path)
    freeze(wish, machine)
    Path(replace(wish, name="reconcile").path).write_text("{")
    os.unlink(wish.rules)
    thaw(wish, machine)
    assert "{ 18082 } drop" in machine.tables()["bridge"] and [one["name"] for one in standing(wish)] == ["reconcile"]


def test_what_an_unreadable_one_cut_stays_cut_when_it_is_placed_again(tmp_path):
    wish, machine = host_in(tmp_path)
    freeze(replace(wish, wallet_ports=(18083,)), machine)
    Path(wish.path).write_text("{")
    freeze(wish, machine)
    assert "{ 18082, 18083, 18090 } drop" in machine.tables()["bridge"] and not freeze(wish, machine).changed


def test_rules_that_a_crash_left_broken_are_written_anew(tmp_path):
    wish, machine = host_in(tmp_path)
    freeze(wish, machine)
    Path(wish.rules).write_bytes(b"\xff\xfe\0")
    assert freeze(wish, machine).changed
    assert_frozen(wish, machine)
