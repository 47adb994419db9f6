# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Half a signature is made, the signer's wallet RPC is killed, its cache damaged: the worst night for the nonces of a multisig wallet."""

from __future__ import annotations

import re

import pytest

from drills.fixture import DrillLab
from drills.playbook import Run
from drills.wallets import (
    RPC,
    WALLETS,
    balances,
    escrow_pays,
    look_at_wallets,
    payouts_are_frozen,
    payouts_run,
    shares_are_all_there,
)
from lab import escrow
from lab.faults.wallets import damage
from lab.stack.project import WALLET_NAME

ONCALL = "monero_marketplace.incident.oncall"
# Who signs first.
SIGNER = "buyer"


def confirmed(drill: DrillLab, run: Run) -> Run:
    """The same run with the confirmation that it asks for, where it asks."""
    asked = re.search(r"confirm=([\w.:,-]+)", run.output)
    if run.result["outcome"] != "needs_confirmation" or asked is None:
        return run
    return drill.run("monero_rpc", "-e", f"confirm={asked.group(1)}", callback=ONCALL)


@pytest.mark.drill(name="wallet-half-signed", pool="always")
def test_no_older_cache_and_no_payout_before_a_fresh_exchange(drill: DrillLab) -> None:
    funds, before = balances(drill.lab), look_at_wallets(drill.lab)
    made = drill.run("backup", callback=ONCALL)
    assert made.status == 0, made.output
    older = set(look_at_wallets(drill.lab).caches(SIGNER).values()) | set(before.caches(SIGNER).values())
    drill.break_("signing-open")
    drill.lab.docker(["kill", drill.lab.container(RPC[SIGNER]) or ""], check=True)
    damage(drill.lab, f"{WALLETS}/{SIGNER}/{WALLET_NAME}")

    run = confirmed(drill, drill.run("monero_rpc", callback=ONCALL))
    assert run.status != 0, f"payouts cannot be safe yet:\n{run.output}"
    seen = look_at_wallets(drill.lab)
    payouts_are_frozen(seen)
    shares_are_all_there(before, seen)
    assert seen.open[SIGNER] == WALLET_NAME, f"the wallet is not open again:\n{run.output}"
    cache = seen.files[f"{WALLETS}/{SIGNER}/{WALLET_NAME}"]
    assert cache not in older, "an older cache was put back: it may hold nonces that were used"
    assert "exchange" in run.output, run.output

    again = drill.run("monero_rpc", callback=ONCALL)
    assert again.status != 0, f"the tool thawed what nobody has exchanged:\n{again.output}"
    payouts_are_frozen(look_at_wallets(drill.lab))

    escrow.exchange(drill.lab)
    last = drill.run("monero_rpc", callback=ONCALL)
    assert last.status == 0, last.output
    payouts_run(look_at_wallets(drill.lab))
    drill.assert_tidy()
    # The application ends its round, with a fresh exchange of its own.
    drill.heal()
    escrow_pays(drill.lab, funds)
