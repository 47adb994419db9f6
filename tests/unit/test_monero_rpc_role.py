# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of role monero_rpc keep to, whatever the inventory says."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_steps import ORDER
from rules.collection import PROJECT, load, module, strings, tasks

STEPS = PROJECT / "roles/monero_rpc/tasks"
KEPT = "_keep_logs.yml"


def listed(step: str) -> list[dict[str, Any]]:
    return list(tasks(load(STEPS / f"_{step}.yml")))


def stops(step: str) -> list[str]:
    """Everything in a step that ends a container."""
    found = [text for task in listed(step) for text in strings(task) if re.search(r"'docker', '(?:stop|restart|kill)'", text)]
    return [" ".join([text, *map(str, strings(load(STEPS / f"_{step}.yml")))]) for text in found]


def test_a_wallet_gets_a_minute_to_end_and_the_daemon_five() -> None:
    assert all("--time" in text for step in ORDER for text in stops(step))
    [restart] = stops("restart")
    assert "[monero_rpc_wallet_stop_seconds | int, 60] | max" in restart
    assert "[monero_rpc_daemon_stop_seconds | int, 300] | max" in restart
    [chain] = stops("set_chain_aside")
    assert "[monero_rpc_daemon_stop_seconds | int, 300] | max" in chain
    assert all("'docker', 'kill'" not in text for step in ORDER for text in stops(step))


def test_logs_are_kept_before_a_container_or_a_process_is_touched() -> None:
    touching = [step for step in ORDER if any(module(task) == "ansible.builtin.command" for task in listed(step))]
    assert set(touching) == {"resume", "start", "restart", "set_login_aside", "set_chain_aside"}
    assert [step for step in touching if KEPT not in listed(step)[0].get("ansible.builtin.include_tasks", "")] == []


def test_open_rounds_are_asked_for_again_before_an_unconfirmed_step_ends_one() -> None:
    for step, ending in (("restart", "ansible.builtin.command"), ("switch", "monero_marketplace.incident.monero_wallet")):
        order = [task.get("ansible.builtin.include_tasks") or module(task) for task in listed(step)]
        assert order.index("_no_round.yml") < order.index(ending)


def test_nothing_is_deleted() -> None:
    text = " ".join(path.read_text(encoding="utf-8") for path in STEPS.glob("*.yml"))
    assert not re.search(r"\brm\b|state: absent|unlink|'docker', 'rm'", text)
