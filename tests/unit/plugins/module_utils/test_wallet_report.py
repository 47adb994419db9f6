# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads about wallets: who is how, what was measured to be done, and that no money moved."""

from __future__ import annotations

from typing import Any

from unit.plugins.wallet_plans import BUYER, FREEZE, ONE_OPEN, decide, look, silent, wallet

from ansible_collections.monero_marketplace.incident.plugins.filter.monero_rpc_report import monero_rpc_report
from ansible_collections.monero_marketplace.incident.plugins.module_utils._outcome import judge
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import summary


def reported(before: dict[str, Any], after: dict[str, Any], last: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return monero_rpc_report(last or decide(after), decide(before), before, after, **more)


def ended(findings: dict[str, Any], **more: Any) -> str:
    run = {
        "host": "market-1",
        "playbook": "monero_rpc",
        "findings": findings,
        "acted": True,
        "proof": {"verdict": "proven"},
        **more,
    }
    return summary(judge(run), width=2000)


def test_what_was_done_is_measured() -> None:
    before, after = look("wallet_killed"), look("healthy")
    wallet(after)["container"]["started_at"] = "2026-11-24T20:00:00Z"
    found = reported(before, after)
    assert found["did"] == [f"started {BUYER}", "wallet of buyer open again"] and found["untouched"] == 3
    assert found["settled"] and found["causes"] == [f"{BUYER} is not running (exit status 137, SIGKILL)"]


def test_a_process_that_goes_on_and_one_that_was_restarted() -> None:
    before, after = look("wallet_hung"), look("wallet_hung")
    wallet(after)["process"]["state"] = "S"
    assert reported(before, after)["did"] == [f"let {BUYER} go on"]
    wallet(after)["container"]["started_at"] = "2026-11-24T20:00:00Z"
    assert reported(before, after)["did"] == [f"restarted {BUYER}"]


def test_nothing_done_is_nothing_said() -> None:
    found = reported(look("healthy"), look("healthy"))
    assert found["did"] == [] and found["untouched"] == 4 and found["risk"] == []


def test_each_wallet_has_its_state_the_sick_ones_last_but_the_daemon() -> None:
    found = reported(look("wallet_closed"), look("wallet_closed"))
    assert found["state"] == [
        "vendor ready",
        "arbiter ready",
        f"buyer: {BUYER} answers, but no wallet is open",
        "daemon synchronized at 146",
    ]


def test_wallets_that_miss_their_daemon_only_wait_for_it() -> None:
    found = reported(look("daemon_down"), look("daemon_down"))
    assert found["state"][:3] == ["buyer waits for monerod", "vendor waits for monerod", "arbiter waits for monerod"]
    assert found["state"][3] == "daemon: monerod is not running (exit status 0)"


def test_a_plan_says_what_it_would_wait_for() -> None:
    found = look("healthy")
    found["daemon"].update(state="synchronizing", target_height=246)
    assert reported(found, found)["plan"] == ["wait for monerod: the chain: 146 of 246 (100 blocks to go)"]


def test_one_at_rest_is_no_cause() -> None:
    found = look("wallet_closed")
    wallet(found)["open"] = "on_demand"
    assert "buyer no wallet open" in reported(found, found)["state"]


def test_the_summary_of_one_that_was_restored() -> None:
    text = ended(reported(look("wallet_killed"), look("healthy")))
    lines = text.splitlines()
    assert lines[0].startswith("MONERO RPC market-1 · RESTORED") and len(lines) <= 7
    assert any(line.startswith("state  buyer ready · vendor ready · arbiter ready · daemon synchronized") for line in lines)


def test_the_summary_that_asks_says_what_about_the_money() -> None:
    found = silent(look("healthy"))
    text = ended(reported(found, found, decide(found, signing=ONE_OPEN)))
    assert text.startswith("MONERO RPC market-1 · NEEDS CONFIRMATION")
    assert "funds  nothing sent by this tool, nothing signed" in text
    assert f"-e confirm=restart:{BUYER}" in text and "a signing round is open for 7" in text
    assert len(text.splitlines()) <= 7


def test_the_summary_of_frozen_payouts() -> None:
    found = look("healthy")
    wallet(found, "vendor")["import_needed"] = True
    text = ended(reported(found, found, decide(found, freezes=[FREEZE])), freezes=[FREEZE])
    assert text.splitlines()[0] == "MONERO RPC market-1 · NOT RESTORED, payouts frozen · page Incident Commander"
    assert "before vendor can sign" in text and "ansible-playbook playbooks/monero_rpc.yml" in text
    assert text.count("payouts frozen since") == 1


def test_what_failed_is_a_reason_where_it_is_not_well_and_a_risk_where_it_is() -> None:
    sick, well = look("wallet_closed"), look("healthy")
    assert {"sentence": "it failed"} in reported(sick, sick, problems=["it failed"])["escalate"]
    assert "it failed" in reported(sick, well, problems=["it failed"])["risk"]


def test_a_confirmation_that_fits_nothing_is_said() -> None:
    found = look("healthy")
    assert reported(found, found, given="restart:nobody")["stray_confirmations"] == ["restart:nobody"]
