# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of role wallet_restore keep to, whatever the inventory says."""

from __future__ import annotations

from typing import Any

from rules.collection import PROJECT, load, module, tasks

ROLE = PROJECT / "roles/wallet_restore"


def text_of(folder: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROLE / folder).glob("*.yml")))


def test_no_variable_brings_an_older_cache_back() -> None:
    assert "nothing_signed_since" not in "".join(text_of(folder) for folder in ("tasks", "defaults", "vars", "meta"))


def test_the_other_signers_are_known_by_their_own_name_and_password() -> None:
    assert "beside=wallet_restore_role" in text_of("vars")


def listed(step: str) -> list[dict[str, Any]]:
    return list(tasks(load(ROLE / f"tasks/{step}.yml")))


def options_of(step: str, called: str) -> list[dict[str, Any]]:
    return [task[called] for task in listed(step) if module(task) == called]


def test_open_rounds_are_asked_for_before_a_container_is_stopped() -> None:
    order = [task.get("ansible.builtin.include_tasks") or module(task) for task in listed("_close")]
    asking = order.index("_no_round.yml")
    assert asking < order.index("monero_marketplace.incident.container_stop")
    conditions = " ".join(next(task for task in listed("_close") if task.get("ansible.builtin.include_tasks"))["when"])
    assert "restart:" in conditions and "exited" in conditions and "running" not in conditions
    [asserted] = options_of("_no_round", "ansible.builtin.assert")
    assert asserted["that"] == "__wallet_restore_round.state == 'none'"


def test_only_an_rpc_that_is_silent_is_stopped() -> None:
    [refused] = [task for task in listed("_close") if module(task) == "ansible.builtin.fail"]
    assert "difference(['not_responding', 'port_closed'])" in refused["when"] and "length == 0" in refused["when"]


def test_whose_lock_it_is_can_be_seen() -> None:
    for step in ("_close", "_open"):
        [asked] = options_of(step, "monero_marketplace.incident.monero_wallet")
        assert all(one["service"] for one in asked["wallets"])


def test_another_wallet_is_not_thrown_out() -> None:
    [blocked] = [task for task in load(ROLE / "tasks/_open.yml") if "block" in task]
    assert "__wallet_restore_unopened | length == 0" in blocked["when"] and blocked["rescue"]


def test_a_start_is_bounded_and_guarded() -> None:
    acting = listed("_act")
    [start] = [task["ansible.builtin.command"]["argv"] for task in acting if module(task) == "ansible.builtin.command"]
    assert start.startswith("{{ __wallet_restore_within")
    guards = [number for number, task in enumerate(acting) if module(task) == "ansible.builtin.include_role"]
    assert [module(acting[number + 1]) for number in guards] == ["ansible.builtin.command"]


def test_the_result_begins_before_anything_can_fail() -> None:
    [_guard, second, *_rest] = load(ROLE / "tasks/restore.yml")
    assert "wallet_restore_result" in second["ansible.builtin.set_fact"]


def test_the_desks_pins_are_read_before_files_are_judged() -> None:
    order = [module(task) for task in listed("plan")]
    assert order.index("ansible.builtin.slurp") < order.index("monero_marketplace.incident.wallet_files_info")
    assert "__wallet_restore_pinned.problem" in text_of("tasks")
