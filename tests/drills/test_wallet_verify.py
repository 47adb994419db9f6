# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""verify.yml proves the escrow flow by a real payment, and makes none where a person, a freeze or a sick wallet is in the way."""

from __future__ import annotations

import re

import pytest

from drills.fixture import DrillLab
from drills.steps import one_line
from drills.wallets import RPC, balances, have_exchanged, look_at_wallets
from lab import escrow

ONCALL = "monero_marketplace.incident.oncall"


@pytest.mark.drill(name="wallet-verify-pays", pool="often")
def test_a_payment_proves_the_escrow(drill: DrillLab) -> None:
    have_exchanged(drill.lab)
    funds, open_wallets, told = balances(drill.lab), look_at_wallets(drill.lab).open, drill.timeline()
    run = drill.run("verify", callback=ONCALL)
    assert run.status == 0, run.output
    assert "wallets 3/3 open, one address, three signers" in one_line(run), run.output
    paid = re.search(r"transaction ([0-9a-f]{64})", one_line(run))
    assert paid is not None, f"no transaction is named:\n{run.output}"
    # A payment is a change, and the only one.
    assert run.changed == 1, run.output
    assert drill.timeline() == told, "a proof is no incident"
    seen = look_at_wallets(drill.lab)
    assert seen.open == open_wallets, f"the test left other wallets open: {seen.open}"
    # It went back to the escrow: the fee is what is gone.
    after = balances(drill.lab)
    assert all(funds[role] - 10**10 < after[role] < funds[role] for role in funds), (funds, after)
    assert len(set(after.values())) == 1, after
    drill.assert_tidy()


@pytest.mark.drill(name="wallet-verify-does-not-pay", pool="rotated")
def test_nothing_is_paid_where_somebody_or_something_is_in_the_way(drill: DrillLab) -> None:
    funds = escrow.funds(drill.lab)
    before = drill.look()
    checked = drill.run("verify", "--check", callback=ONCALL)
    assert (checked.status, checked.changed) == (0, 0), checked.output
    assert "escrow test not run (check mode)" in one_line(checked), checked.output
    drill.assert_unchanged(before)

    held = drill.run("hold", "-e", "hold_name=audit hold_reason='the books are being read' hold_playbooks=verify")
    assert held.status == 0, held.output
    run = drill.run("verify", callback=ONCALL)
    assert (run.status, run.changed) == (0, 0), run.output
    assert "escrow test not run (the hold 'audit' by" in one_line(run), run.output
    released = drill.run("release_hold", "-e", "hold_name=audit hold_reason='they were right'")
    assert released.status == 0, released.output

    drill.lab.docker(["kill", drill.lab.container(RPC["vendor"]) or ""], check=True)
    run = drill.run("verify", callback=ONCALL)
    assert (run.status != 0, run.changed) == (True, 0), run.output
    assert "vendor: container down" in one_line(run), run.output
    assert "playbooks/monero_rpc.yml" in run.output, f"the summary does not say how to go on:\n{run.output}"
    drill.heal()
    assert {role: one["balance"] for role, one in escrow.funds(drill.lab).items()} == {
        role: one["balance"] for role, one in funds.items()
    }, "something was paid"
