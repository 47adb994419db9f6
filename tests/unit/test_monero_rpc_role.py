# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of role monero_rpc keep to, whatever the inventory says."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jinja2 import Environment

from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_report import FUNDS
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


@pytest.mark.parametrize(
    ("details", "asked"), [({}, True), ({"touches_signing": False}, True), ({"touches_signing": True}, False)]
)
@pytest.mark.parametrize("step", ["restart", "switch"])
def test_only_a_step_over_an_open_round_that_was_confirmed_is_not_asked_again(
    step: str, details: dict[str, Any], asked: bool
) -> None:
    [again] = [task for task in listed(step) if task.get("ansible.builtin.include_tasks") == "_no_round.yml"]
    given = {"monero_rpc_step": {"services": ["wallet"], "details": [details]}, "marketplace_daemon_service": "monerod"}
    when = again["when"] if isinstance(again["when"], list) else [again["when"]]
    assert all(Environment(autoescape=True).compile_expression(one)(**given) for one in when) is asked


@pytest.mark.parametrize(
    ("failed", "stops"),
    [
        ({"msg": "the hold forbids it"}, True),
        ({"wallets": [{"state": "failed"}]}, True),
        ({"wallets": [{"state": "not_responding"}]}, False),
        ({"wallets": [{"state": "auth_required"}]}, False),
    ],
)
def test_a_store_that_was_refused_keeps_the_restart_from_going_on(failed: dict[str, Any], stops: bool) -> None:
    [block] = [task for task in load(STEPS / "_save_wallet.yml") if "rescue" in task]
    first = block["rescue"][0]
    assert module(first) == "ansible.builtin.fail"
    jinja = Environment(autoescape=True)
    jinja.tests["in"] = lambda value, among: value in among
    found = jinja.compile_expression(first["when"].strip())(ansible_failed_result=failed, **first["vars"])
    assert bool(found) is stops


def test_the_lease_is_checked_right_before_a_restart() -> None:
    order = [module(task) for task in listed("restart")]
    assert order[order.index("ansible.builtin.command") - 1] == "ansible.builtin.include_role"


def test_nothing_is_paid_by_a_playbook_that_says_so() -> None:
    assert FUNDS == "nothing sent by this tool, nothing signed"
    assert "service_verify_escrow: read_only" in (PROJECT / "playbooks/monero_rpc.yml").read_text(encoding="utf-8")


def test_what_a_restore_did_is_remembered_also_when_it_failed() -> None:
    [step] = load(STEPS / "_restore.yml")
    assert "wallet_restore_result.role" in step["always"][0]["when"]
    assert "wallet_restore_result.did" in str(step["always"])


@pytest.mark.parametrize(("name", "signer"), [("escrow_1", "a" * 64), ("escrow_7", "")])
def test_the_inventorys_pin_is_for_the_wallet_that_it_names(name: str, signer: str) -> None:
    template = load(PROJECT / "roles/monero_rpc/vars/main.yml")["__monero_rpc_asked_signer"]
    given = {"__monero_rpc_asked": {"wallet": name}, "__monero_rpc_asked_one": {"wallet": "escrow_1", "signer": "a" * 64}}
    assert Environment(autoescape=True).from_string(template).render(**given) == signer


def test_files_and_plans_are_asked_for_by_the_wallet_that_is_to_be_open() -> None:
    [files] = [task for task in listed("ask_files") if module(task) == "monero_marketplace.incident.wallet_files_info"]
    options = files["monero_marketplace.incident.wallet_files_info"]
    assert (options["wallet"], options["pin"]) == ("{{ __monero_rpc_asked.wallet }}", "{{ __monero_rpc_asked_pin.pin }}")
    [restore] = [task for task in listed("ask_restore") if module(task) == "ansible.builtin.include_role"]
    assert restore["vars"]["wallet_restore_wallet"] == "{{ __monero_rpc_asked.wallet }}"
