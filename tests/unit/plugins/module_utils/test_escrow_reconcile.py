# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restored database against wallets and chain: what could be paid twice, thrown away, or is not known."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _escrow_reconcile as reconcile
from ansible_collections.monero_marketplace.incident.plugins.module_utils._escrow_reconcile import Backup, Chain, Row

TXID, OTHER = "ab" * 32, "cd" * 32
CHAIN = Chain(200, 10)


def row(state: str, name: str = "E-1", wallet: str = "escrow_1", amount: int = 50, payout: str = "") -> Row:
    return Row(name, state, wallet, amount, payout)


def out(txid: str = TXID, amount: int = 49, height: int | None = 180, time: int = 1000) -> dict[str, Any]:
    return {"way": "out", "txid": txid, "amount": amount, "fee": 1, "height": height, "time": time}


DEPOSIT = {**out("ef" * 32, 50, 100), "way": "in"}


def knows(*transfers: dict[str, Any], height: int | None = 200, import_needed: bool | None = False, problem: str = "") -> dict:
    """One that has seen the escrow's money come."""
    return {"problem": problem, "height": height, "import_needed": import_needed, "transfers": [DEPOSIT, *transfers]}


# As one with a restore height behind the deposit: it is at the chain's end, and needs nothing of the others to see what it has not.
BLIND = {**knows(), "transfers": []}


def at(
    wallet: dict, *, names: tuple[str, ...] = ("escrow_1",), roles: tuple[str, ...] = ("buyer", "vendor", "arbiter")
) -> dict:
    return {role: dict.fromkeys(names, wallet) for role in roles}


def kinds(rows: list[Row], wallets: dict, backup: Backup | None = None, chain: Chain = CHAIN) -> list[tuple[str, str | None]]:
    found = reconcile.judge(rows, wallets, chain, backup or Backup())
    assert found["count"] == len(found["mismatches"])
    return [(one["kind"], one["id"]) for one in found["mismatches"]]


@pytest.mark.parametrize("state", ["unfunded", "funded", "signing", "paid"])
def test_an_escrow_whose_wallet_paid_nothing_matches(state: str) -> None:
    assert kinds([row(state)], at(knows())) == []


@pytest.mark.parametrize("state", ["funded", "signing"])
def test_a_signer_who_never_saw_the_money_does_not_know_that_it_was_not_paid(state: str) -> None:
    found = reconcile.judge([row(state)], at(BLIND), CHAIN, Backup())
    assert [(one["kind"], one["id"]) for one in found["mismatches"]] == [("state_unknown", "E-1")]
    assert "buyer has seen no money come" in found["mismatches"][0]["sentence"] and found["behind"] == ["escrow_1"]
    # Nor where another has seen it, and has not read the chain since.
    assert kinds([row(state)], {**at(BLIND), "vendor": {"escrow_1": knows(height=150)}}) == [("state_unknown", "E-1")]
    assert kinds([row(state)], {**at(BLIND), "vendor": {"escrow_1": knows()}}) == []


@pytest.mark.parametrize("state", ["unfunded", "paid"])
def test_an_escrow_that_holds_nothing_needs_no_money_to_have_come(state: str) -> None:
    assert kinds([row(state)], at(BLIND)) == []


def test_an_escrow_that_was_paid_since_and_looks_open_is_a_double_payout() -> None:
    assert kinds([row("funded")], at(knows(out()))) == [("paid_but_open", "E-1")]


def test_one_signer_who_knows_is_enough_to_prove_a_payment() -> None:
    wallets = {**at(knows()), "vendor": {"escrow_1": knows(out())}}
    assert kinds([row("funded")], wallets) == [("paid_but_open", "E-1")]


def test_a_payment_that_its_row_names_matches() -> None:
    assert kinds([row("paid", payout=TXID)], at(knows(out()))) == []


def test_a_payment_without_a_block_yet_counts() -> None:
    assert kinds([row("funded")], at(knows(out(height=None)))) == [("paid_but_open", "E-1")]


def test_of_several_escrows_in_one_wallet_the_one_of_that_amount_was_paid() -> None:
    rows = [row("funded", "E-1", amount=50), row("funded", "E-2", amount=70), row("paid", "E-3", payout=OTHER)]
    assert kinds(rows, at(knows(out(amount=69), out(OTHER)))) == [("paid_but_open", "E-2")]


def test_five_payments_belong_to_five_escrows() -> None:
    rows = [row("funded", f"E-{number}") for number in range(7)]
    paid = [out(f"{number:064x}") for number in range(5)]
    found = kinds(rows, at(knows(*paid)))
    assert [kind for kind, _id in found] == ["paid_but_open"] * 5
    assert len({name for _kind, name in found}) == 5


def test_what_left_a_shared_wallet_before_the_backup_is_no_news() -> None:
    rows = [row("funded", "E-1"), row("funded", "E-2")]
    assert kinds(rows, at(knows(out(height=150))), Backup({"buyer": {"escrow_1": 160}})) == []
    assert kinds(rows, at(knows(out(height=160))), Backup({"buyer": {"escrow_1": 160}})) == [("paid_but_open", "E-1")]
    assert kinds(rows, at(knows(out(time=1000))), Backup(created=1000.0 + 7201)) == []


def test_a_payment_of_about_the_time_of_the_backup_is_not_known_by_its_blocks_time() -> None:
    """A miner's clock may be two hours off."""
    rows = [row("funded", "E-1"), row("funded", "E-2")]
    for before in (60, 7199):
        assert kinds(rows, at(knows(out(time=100000 - before))), Backup(created=100000.0)) == [("paid_but_open", "E-1")]
    # Where the wallet's height is known no time is compared.
    assert kinds(rows, at(knows(out(height=150, time=100000))), Backup({"buyer": {"escrow_1": 160}}, 100000.0)) == []


def test_money_that_left_and_belongs_to_no_row_is_told() -> None:
    rows = [row("paid", payout=OTHER)]
    assert kinds(rows, at(knows(out(), out(OTHER)))) == [("outgoing_without_row", None)]
    assert kinds(rows, at(knows(out(height=150), out(OTHER))), Backup({"buyer": {"escrow_1": 160}})) == []


def test_a_wallet_without_a_row_is_told_with_what_it_holds() -> None:
    funded = knows({**out(), "way": "in"})
    found = reconcile.judge([], at(funded, names=("W-881",)), CHAIN, Backup())
    assert [one["kind"] for one in found["mismatches"]] == ["wallet_without_row"]
    assert "W-881" in found["mismatches"][0]["sentence"]
    assert "funded" in found["mismatches"][0]["sentence"]


def test_a_wallet_that_is_no_escrows_is_left_alone() -> None:
    assert kinds([row("not_escrow")], at(knows(out()))) == []


def test_a_wallet_that_serves_the_site_itself_too_may_pay_what_no_row_names() -> None:
    rows = [row("not_escrow", "test"), row("funded", amount=70), row("funded", "E-2", amount=50)]
    assert kinds(rows, at(knows(out(amount=69)))) == [("paid_but_open", "E-1")]
    # To itself, as its test of escrow does: nobody got anything.
    assert kinds(rows, at(knows(out(amount=0)))) == []
    assert kinds([rows[0], row("paid")], at(knows(out(amount=5)))) == []


@pytest.mark.parametrize("amount", [95, 40, None])
def test_a_payout_with_a_commission_or_in_parts_is_not_taken_for_the_sites_own(amount: int | None) -> None:
    rows = [row("not_escrow", "test"), row("funded", amount=100)]
    found = reconcile.judge(rows, at(knows(out(amount=amount))), CHAIN, Backup())["mismatches"]  # type: ignore[arg-type]
    assert [(one["kind"], one["wallet"]) for one in found] == [("outgoing_without_row", "escrow_1")]
    assert "may be the payout of escrow E-1" in found[0]["sentence"]
    assert kinds(rows, at(knows(out(amount=95, height=150))), Backup({"buyer": {"escrow_1": 160}})) == []
    assert kinds([row("not_escrow", "test", payout=TXID), rows[1]], at(knows(out(amount=95)))) == []


@pytest.mark.parametrize("state", ["not_set_up", "unfunded", "funded", "signing"])
def test_an_open_escrow_that_names_the_payout_that_the_chain_has_is_paid(state: str) -> None:
    expected = [("paid_but_open", "E-1")] + [("not_set_up_with_wallet", "E-1")] * (state == "not_set_up")
    assert kinds([row(state, payout=TXID)], at(knows(out(amount=7)))) == expected
    # Also out of a wallet that others use, or another one, and long before the backup.
    shared = [row(state, payout=TXID), row("not_escrow", "test")]
    assert kinds(shared, at(knows(out(height=150))), Backup({"buyer": {"escrow_1": 160}})) == expected
    elsewhere = {**at(knows(out()), names=("other",))}
    assert ("paid_but_open", "E-1") in kinds([row(state, payout=TXID), row("not_escrow", "x", "other")], elsewhere)


def test_an_open_escrow_that_names_a_payout_that_nobody_sent_matches() -> None:
    assert kinds([row("signing", payout=TXID)], at(knows())) == []


def test_keys_of_an_escrow_that_is_not_set_up_may_be_thrown_away() -> None:
    assert kinds([row("not_set_up")], at(knows())) == [("not_set_up_with_wallet", "E-1")]
    assert kinds([row("not_set_up", wallet="")], {"buyer": {}}) == []


@pytest.mark.parametrize("state", ["unfunded", "funded", "signing"])
def test_an_open_escrow_without_all_its_wallets_is_told(state: str) -> None:
    assert ("row_without_wallet", "E-1") in kinds([row(state)], {"buyer": {}, "vendor": {}})
    found = reconcile.judge([row(state)], {**at(knows()), "vendor": {}}, CHAIN, Backup())
    assert [one["kind"] for one in found["mismatches"]] == ["row_without_wallet"]
    assert "vendor" in found["mismatches"][0]["sentence"]


def test_a_funded_escrow_that_names_no_wallet_is_told() -> None:
    assert kinds([row("funded", wallet="")], {"buyer": {}}) == [("row_without_wallet", "E-1")]


@pytest.mark.parametrize(
    "wallet",
    [
        knows(problem="it does not open"),
        knows(import_needed=True),
        knows(import_needed=None),
        knows(height=189),
        knows(height=None),
    ],
)
def test_where_no_signer_knows_it_is_not_known(wallet: dict) -> None:
    assert kinds([row("funded")], at(wallet)) == [("state_unknown", "E-1")]
    assert kinds([row("paid")], at(wallet)) == []
    one_knows = {**at(wallet), "arbiter": {"escrow_1": knows()}}
    assert kinds([row("funded")], one_knows) == []


def test_wallets_of_open_escrows_that_are_behind_are_named_to_be_refreshed() -> None:
    rows = [row("unfunded", "E-1", "a"), row("funded", "E-2", "b"), row("paid", "E-3", "c"), row("funded", "E-4", "d")]
    wallets = {"buyer": {**dict.fromkeys(("a", "b", "c"), knows(height=150)), "d": knows()}}
    found = reconcile.judge(rows, wallets, CHAIN, Backup())
    assert found["behind"] == ["b", "a"]
    assert [(one["kind"], one["id"]) for one in found["mismatches"]] == [("state_unknown", "E-2")]


def test_a_wallet_that_was_not_stored_proves_a_payment_and_never_that_there_was_none() -> None:
    everybody = Chain(200, 10, frozenset({"buyer", "vendor", "arbiter"}))
    assert kinds([row("funded")], at(knows()), chain=everybody) == [("state_unknown", "E-1")]
    assert kinds([row("funded")], at(knows()), chain=Chain(200, 10, frozenset({"buyer"}))) == []
    assert kinds([row("funded")], at(knows(out())), chain=everybody) == [("paid_but_open", "E-1")]


@pytest.mark.parametrize("buyer", [knows(), knows(problem="it does not open")], ids=["unstored", "unknown"])
def test_the_last_blocks_count_where_another_signer_may_have_paid_in_them(buyer: dict) -> None:
    chain = Chain(200, 10, frozenset() if buyer["problem"] else frozenset({"buyer"}))
    behind = {**at(knows(height=199)), "buyer": {"escrow_1": buyer}}
    assert kinds([row("signing")], behind, chain=chain) == [("state_unknown", "E-1")]
    assert reconcile.judge([row("signing")], behind, chain, Backup())["behind"] == ["escrow_1"]
    assert kinds([row("signing")], {**behind, "arbiter": {"escrow_1": knows()}}, chain=chain) == []
    assert kinds([row("signing")], at(knows(height=190))) == [], "all have stored what they sent"


def test_without_the_chains_height_nobody_knows() -> None:
    assert kinds([row("funded")], at(knows()), chain=Chain(None, 10)) == [("state_unknown", "E-1")]


def test_a_state_of_another_word_is_told() -> None:
    assert kinds([row("released")], at(knows())) == [("state_unknown", "E-1")]


def test_the_most_dangerous_comes_first() -> None:
    rows = [row("funded", "E-1", "a"), row("released", "E-2", "b"), row("not_set_up", "E-3", "c")]
    found = kinds(rows, {"buyer": {"a": knows(out()), "b": knows(), "c": knows(), "d": knows()}})
    assert [kind for kind, _id in found] == ["paid_but_open", "not_set_up_with_wallet", "wallet_without_row", "state_unknown"]


def test_an_answer_without_a_column_is_no_empty_answer() -> None:
    rows, problem = reconcile.rows_of({"columns": ["id", "state"], "rows": [[1, "paid"]], "more": False, "problem": None})
    assert rows == []
    assert "wallet" in problem


def test_rows_are_read_by_the_names_of_their_columns() -> None:
    columns = ["payout_txid", "funding_txid", "amount", "WALLET", "state", "id"]
    rows, problem = reconcile.rows_of({"columns": columns, "rows": [["AB", None, 5, None, "paid", 7]], "more": True})
    assert rows == [Row("7", "paid", "", 5, "ab")]
    assert "more escrows" in problem


def test_nothing_to_compare_with_is_one_mismatch() -> None:
    assert reconcile.not_compared("no query")["count"] == 1
