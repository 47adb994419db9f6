# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""monero_rpc.yml against each fault: --check, a killed run, the repair, an exchange where one is needed, and a real payment."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from drills.fixture import DrillLab
from drills.interruption import ENOUGH, Interruption, interrupt, meant_something
from drills.ledger import Ledger
from drills.observe import Snapshot, wait_until_good
from drills.playbook import Run
from drills.steps import (
    SERVED,
    asked_for,
    healthy_services_were_left_alone,
    left_to_a_person,
    plan_changes_nothing,
    record_is_whole,
    second_run_does_nothing,
    triage_proposes,
    unconfirmed_run_asks,
)
from drills.wallet_faults import FAULTS, WalletFault
from drills.wallets import (
    RPC,
    Wallets,
    balances,
    escrow_pays,
    fall_silent,
    look_at_wallets,
    payouts_are_frozen,
    payouts_run,
    shares_are_all_there,
)
from lab import escrow

ONCALL = "monero_marketplace.incident.oncall"


def as_drills() -> list[object]:
    return [pytest.param(fault, id=fault.name, marks=pytest.mark.drill(name=fault.drill, pool=fault.pool)) for fault in FAULTS]


@pytest.mark.parametrize("fault", as_drills())
def test_wallet(fault: WalletFault, drill: DrillLab, chance: random.Random, interruptions: list[Interruption]) -> None:
    ledger = Ledger(drill.lab)
    funds, shares = balances(drill.lab), look_at_wallets(drill.lab)
    if fault.backup:
        made = drill.run("backup", callback=ONCALL)
        assert made.status == 0, made.output
    healthy = drill.look()
    drill.break_(fault.name)
    if fault.silent:
        fall_silent(drill.lab, fault.silent)

    triage_proposes(fault, drill)
    plan = plan_changes_nothing(fault, drill)
    broken = drill.look()
    arguments: tuple[str, ...] = ()
    if fault.confirm and fault.mends:
        fault = replace(fault, confirm=asked_for(plan, fault.confirm))
        unconfirmed_run_asks(fault, drill)
        arguments = ("-e", f"confirm={fault.confirm}")

    interruption, _ = interrupt(drill.lab, drill.controller, chance, fault.drill, fault.playbook, arguments, acts=fault.acts)
    interruptions.append(interruption)
    print(interruption)
    left_open = interruption.open_ended and drill.timeline()[-1]["event"] == "intent"

    final = drill.run(fault.playbook, *arguments, callback=ONCALL)
    for word in fault.never:
        assert word not in final.output, f"the summary claims {word!r}:\n{final.output}"
    if left_open:
        assert "interrupted" in final.output, f"the run does not say what it goes on from:\n{final.output}"
    healthy_services_were_left_alone(fault, broken, drill.look())
    other_wallets_were_left_alone(fault, healthy, drill.look())
    if fault.exchange:
        final = only_an_exchange_ends_the_freeze(drill, fault, shares, final)
    if fault.round_open:
        final = only_a_word_ends_the_freeze(drill, final)
    if fault.mends:
        mended(drill, shares, final)
    else:
        left_to_a_person(as_it_ends(fault), final)
    if fault.acts or not fault.mends:
        record_is_whole(drill)
    drill.assert_tidy()

    second_run_does_nothing(fault, drill, final)

    if fault.round_open or not fault.mends:
        # What the refusal asks of a person, or the application's own end of its round.
        drill.heal()
    escrow_pays(drill.lab, funds)
    shares_are_all_there(shares, look_at_wallets(drill.lab))
    drill.heal()
    ledger.assert_nothing_lost()


def as_it_ends(fault: WalletFault) -> WalletFault:
    """A run that goes on from one that was killed may find the cause itself mended."""
    return replace(fault, cause=fault.left or fault.cause)


def other_wallets_were_left_alone(fault: WalletFault, healthy: Snapshot, after: Snapshot) -> None:
    """Whatever the engine thinks of their health: a wallet that waits for its daemon is not restarted."""
    for service in RPC.values():
        if service not in fault.harms:
            assert after.containers[service].started == healthy.containers[service].started, f"{service} was restarted"


def mended(drill: DrillLab, before: Wallets, run: Run) -> None:
    assert run.status == 0, run.output
    assert drill.answers() == SERVED, "exit status 0, but users are not served"
    # The engine asks for the health of what has been let go on only every few seconds.
    wait_until_good(drill.lab, 20)
    seen = look_at_wallets(drill.lab)
    assert seen.open == before.open, f"exit status 0, but not every wallet is open: {seen.open}"
    payouts_run(seen)
    shares_are_all_there(before, seen)


def only_an_exchange_ends_the_freeze(drill: DrillLab, fault: WalletFault, before: Wallets, run: Run) -> Run:
    """The wallet is whole, but it cannot sign: payouts stay frozen until the application has exchanged, never the tool."""
    left_to_a_person(as_it_ends(fault), run)
    assert "exchange" in run.output, f"the summary does not say what is missing:\n{run.output}"
    seen = look_at_wallets(drill.lab)
    payouts_are_frozen(seen)
    shares_are_all_there(before, seen)
    assert any(one["import_needed"] for one in escrow.funds(drill.lab).values()), "somebody made an exchange"
    escrow.exchange(drill.lab)
    return drill.run(fault.playbook, callback=ONCALL)


def only_a_word_ends_the_freeze(drill: DrillLab, run: Run) -> Run:
    """A round that was open in the memory of a wallet that was restarted: the tool does not take it for settled."""
    assert run.status != 0 and "confirm=thaw:payouts" in run.output, run.output
    payouts_are_frozen(look_at_wallets(drill.lab))
    return drill.run("monero_rpc", "-e", "confirm=thaw:payouts", callback=ONCALL)


@pytest.mark.drill(name="wallet-monerod-reorg", pool="rotated")
def test_a_fork_is_followed_and_nobody_is_restarted(drill: DrillLab) -> None:
    """What the wallets had seen of the last blocks is void; they find that out by themselves."""
    funds, healthy = balances(drill.lab), drill.look()
    drill.break_("monerod-reorg")
    run = drill.run("monero_rpc", callback=ONCALL)
    assert (run.status, run.changed) == (0, 0), run.output
    assert drill.look().containers == healthy.containers, "somebody was restarted"
    escrow_pays(drill.lab, funds)
    drill.assert_tidy()


@pytest.mark.drill(name="wallet-interruptions", pool="main")
def test_interruptions_meant_something(interruptions: list[Interruption]) -> None:
    acting = {fault.drill for fault in FAULTS if fault.acts}
    kills = [one for one in interruptions if one.drill in acting]
    if len(kills) < ENOUGH:
        pytest.skip(f"only {len(kills)} kills in this selection, too few to judge")
    meant_something(kills)
