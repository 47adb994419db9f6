# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Whether the escrows that a database tells of are those that wallets and chain know. Only judging, of plain data.

A database that was restored is older than the chain. An escrow that was paid since looks as if it were still to be paid, and an
application that believes it pays once more, or makes the wallet of a funded escrow anew and so throws its keys away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

COLUMNS = ("id", "state", "wallet", "amount", "funding_txid", "payout_txid")
OPEN = ("unfunded", "funded", "signing")
WAITING = (*OPEN, "not_set_up")
STATES = ("not_set_up", *OPEN, "paid", "not_escrow")
# The most dangerous first: what could be paid twice, then what could be thrown away, then what nobody knows.
KINDS = (
    "paid_but_open",
    "not_set_up_with_wallet",
    "outgoing_without_row",
    "wallet_without_row",
    "row_without_wallet",
    "state_unknown",
)

MOST_NAMED = 3
# A block's time is that of its miner's clock, which others accept up to two hours ahead.
BLOCK_TIME_SLACK = 7200.0

Wallets = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Row:
    """One escrow as the database has it."""

    id: str
    state: str
    wallet: str
    amount: int | None
    payout: str


@dataclass(frozen=True)
class Backup:
    """What was known when the backup was taken: each wallet's height, and when that was."""

    heights: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    created: float | None = None


@dataclass(frozen=True)
class Chain:
    """How far the chain goes, and how far behind it a wallet may be that still counts as one that knows, where every signer's files tell."""

    height: int | None
    most_behind: int
    # Signers whose wallet RPC may know more than its files say.
    unstored: frozenset[str] = frozenset()


def rows_of(answer: Mapping[str, Any]) -> tuple[list[Row], str]:
    """The rows of the site's query, and what is wrong with them as a whole."""
    if answer.get("problem"):
        return [], f"marketplace_reconcile_queries.escrows gave no answer ({answer['problem']})"
    columns = [str(one).lower() for one in answer.get("columns") or []]
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        return [], f"marketplace_reconcile_queries.escrows returns no column {' and no '.join(missing)}"
    where = {name: columns.index(name) for name in COLUMNS}
    rows = [
        Row(
            id=_word(row[where["id"]]),
            state=_word(row[where["state"]]),
            wallet=_word(row[where["wallet"]]),
            amount=row[where["amount"]] if isinstance(row[where["amount"]], int) else None,
            payout=_word(row[where["payout_txid"]]).lower(),
        )
        for row in answer.get("rows") or []
    ]
    if answer.get("more"):
        return rows, f"the database has more escrows than the {len(rows)} that were compared"
    return rows, ""


def _word(value: Any) -> str:
    return "" if value is None else clean_line(str(value), 200)


def not_compared(why: str) -> dict[str, Any]:
    """One mismatch: nobody knows."""
    return {
        "mismatches": [_mismatch("state_unknown", None, why)], "count": 1, "kinds": {"state_unknown": 1}, "rows": 0, "wallets": {},
        "notes": [], "compared": False,
    }  # fmt: skip


def judge(rows: Sequence[Row], wallets: Wallets, chain: Chain, backup: Backup, problem: str = "") -> dict[str, Any]:
    """wallets: by role, then by name, what _wallet_ledger.read tells of each. problem: what is wrong with the rows as a whole."""
    look = _Look(rows, wallets, chain, backup)
    found = look.named_payouts()
    found += [one for name in sorted(look.names) for one in look.of_wallet(name)]
    found += [
        _mismatch("row_without_wallet", row, f"{row.state} and names no wallet")
        for row in rows
        if row.state in ("funded", "signing") and not row.wallet
    ]
    found += [
        _mismatch("state_unknown", row, f"has the state '{row.state}', which is none of {', '.join(STATES)}")
        for row in rows
        if row.state not in STATES
    ]
    if problem:
        found.append(_mismatch("state_unknown", None, problem))
    found.sort(key=lambda one: (KINDS.index(one["kind"]), one["id"] or "", one["wallet"] or "", one["sentence"]))
    counts = {kind: sum(one["kind"] == kind for one in found) for kind in KINDS}
    return {
        "mismatches": found,
        "count": len(found),
        "kinds": {kind: number for kind, number in counts.items() if number},
        "rows": len(rows),
        "wallets": {role: len(each) for role, each in wallets.items()},
        "notes": look.notes,
        "compared": True,
        "behind": sorted(look.behind, key=lambda name: (look.behind[name] == "unfunded", name)),
    }


def _mismatch(kind: str, row: Row | None, said: str, wallet: str = "", txid: str = "") -> dict[str, Any]:
    return {
        "kind": kind,
        "id": row.id if row else None,
        "wallet": (row.wallet if row else wallet) or None,
        "txid": txid or None,
        "sentence": f"escrow {row.id} is {said}"
        if row and kind != "state_unknown"
        else f"escrow {row.id} {said}"
        if row
        else said,
    }


class _Look:
    """The whole of it, so that every question has it at hand."""

    def __init__(self, rows: Sequence[Row], wallets: Wallets, chain: Chain, backup: Backup) -> None:
        self.rows, self.wallets, self.chain, self.backup = rows, wallets, chain, backup
        self.named: dict[str, list[Row]] = {}
        for row in rows:
            if row.wallet:
                self.named.setdefault(row.wallet, []).append(row)
        left = {one["txid"] for each in wallets.values() for wallet in each.values() for one in _out(wallet["transfers"])}
        # An application may write the payout's name while it signs; the payout may have come to the chain after the backup.
        self.paid = [row for row in rows if row.state in WAITING and row.payout and row.payout in left]
        self.claimed = {row.payout for row in rows if row.payout and row.state in ("paid", "not_escrow")}
        self.claimed |= {row.payout for row in self.paid}
        self.names = {name for each in wallets.values() for name in each} | set(self.named)
        self.notes: list[str] = []
        # Wallets of open rows of which no signer's copy knows whether they paid, with the state of a row.
        self.behind: dict[str, str] = {}

    def named_payouts(self) -> list[dict[str, Any]]:
        """Rows that are open although the very payout that they name left a wallet, whatever its amount."""
        return [_paid_but_open(row, row.payout) for row in self.paid]

    def of_wallet(self, name: str) -> list[dict[str, Any]]:
        rows = self.named.get(name, [])
        there = {role: each[name] for role, each in self.wallets.items() if name in each}
        if not rows:
            return [self._stranger(name, there)]
        if all(row.state == "not_escrow" for row in rows):
            return []
        absent = [role for role in self.wallets if role not in there]
        found = [
            _mismatch("row_without_wallet", row, f"{row.state} and {row.wallet}.keys is missing at {_listed(absent)}")
            for row in rows
            if absent and row.state in OPEN
        ]
        if there:
            found += [
                _mismatch(
                    "not_set_up_with_wallet", row, f"not set up, and the keys of its wallet {name} exist at {_listed(there)}"
                )
                for row in rows
                if row.state == "not_set_up"
            ]
            found += self._money(name, rows, there)
        return found

    def _stranger(self, name: str, there: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        known = [one for one in there.values() if not one["problem"]]
        if any(_out(one["transfers"]) for one in known):
            said = "money came and went"
        elif any(one["transfers"] for one in known):
            said = "it was funded"
        else:
            said = "no copy of it tells of money" if known else f"its copies tell nothing ({_first_problem(there)})"
        return _mismatch("wallet_without_row", None, f"wallet {name} at {_listed(there)} has no escrow: {said}", name)

    def _money(self, name: str, rows: Sequence[Row], there: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        """What left the wallet and belongs to no row, given to the rows that are still open."""
        # Whoever did not send it may know less of its amount.
        left: dict[str, Mapping[str, Any]] = {}
        for one in (one for each in there.values() for one in _out(each["transfers"]) if one["txid"]):
            left[one["txid"]] = max(left.get(one["txid"], one), one, key=lambda known: known["amount"] or 0)
        loose = [left[txid] for txid in sorted(left) if txid not in self.claimed]
        # A wallet that also serves the site itself, for tests of escrow, pays what no row names. So it may pay an escrow in parts, or
        # with a commission: while one is open, what fits no row's amount may be its payout.
        own = any(row.state == "not_escrow" for row in rows)
        alone = len(rows) == 1
        # One wallet for one escrow: whatever left it was its payout, whenever.
        strays = loose if alone else [one for one in loose if self._after_backup(name, one)]
        found = []
        waiting = [row for row in rows if row.state in WAITING and row not in self.paid]
        open_rows = [row for row in rows if row.state in WAITING]
        for stray in strays:
            row = _whose(stray, waiting, alone)
            if row is not None:
                waiting.remove(row)
                found.append(_paid_but_open(row, stray["txid"]))
            elif self._after_backup(name, stray) and not (own and (not open_rows or stray["amount"] == 0)):
                said = f"wallet {name} paid {stray['txid'][:16]}… ({_amount(stray)}), which no escrow's row names"
                if open_rows:
                    said += f" and which may be the payout of {_some([row.id for row in open_rows])}"
                found.append(_mismatch("outgoing_without_row", None, said, name, stray["txid"]))
        for row in waiting:
            why = self._why_unknown(there, row.state) if row.state in OPEN else ""
            if why and self.behind.get(name, "unfunded") == "unfunded":
                self.behind[name] = row.state
            if why and row.state != "unfunded":
                found.append(_mismatch("state_unknown", row, f"is {row.state}, and whether it was paid is not known: {why}"))
        for row in waiting:
            self._note(name, row, there)
        return found

    def _note(self, name: str, row: Row, there: Mapping[str, Mapping[str, Any]]) -> None:
        if row.state == "unfunded" and any(one["way"] == "in" for each in there.values() for one in each["transfers"]):
            self.notes.append(f"escrow {row.id} is unfunded, and its wallet {name} has received money")

    def _after_backup(self, name: str, stray: Mapping[str, Any]) -> bool:
        """What was there when the backup was taken is no news; what has no block yet is."""
        if not stray["height"]:
            return True
        known = [each.get(name) for each in self.backup.heights.values() if each.get(name) is not None]
        if known:
            return int(stray["height"]) >= max(height for height in known if height is not None)
        if self.backup.created is not None and stray["time"]:
            return float(stray["time"]) >= self.backup.created - BLOCK_TIME_SLACK
        return True

    def _why_unknown(self, there: Mapping[str, Mapping[str, Any]], state: str) -> str:
        """Empty where one signer's copy knows: it has read the chain, has seen the money come where it must have, and needs nothing of the
        others to see what was spent.
        """
        reasons = []
        unheard = self.chain.unstored | {role for role, one in there.items() if one["problem"]}
        for role, one in there.items():
            if one["problem"]:
                reasons.append(f"{role}: {one['problem']}")
            elif role in self.chain.unstored:
                reasons.append(f"{role}'s wallet RPC could not be asked to store what it knows")
            elif one["import_needed"] is not False:
                reasons.append(f"{role} needs the others' multisig info to see what was spent")
            elif state != "unfunded" and not any(moved["way"] == "in" for moved in one["transfers"]):
                # Of what it does not know to be its own it does not see either that it was spent.
                reasons.append(f"{role} has seen no money come")
            elif self.chain.height is None:
                reasons.append("no daemon that is synchronized says how far the chain goes")
            elif (one["height"] or 0) + (0 if unheard else self.chain.most_behind) < self.chain.height:
                # In the last blocks may be what a signer sent whose files do not tell of it.
                sent = f", and what {_listed(sorted(unheard))} sent is not known" if unheard else ""
                reasons.append(f"{role} has read the chain to {one['height']} of {self.chain.height}{sent}")
            else:
                return ""
        return "; ".join(dict.fromkeys(reasons))


def _paid_but_open(row: Row, txid: str) -> dict[str, Any]:
    return _mismatch("paid_but_open", row, f"{row.state}, and the chain has its payout {txid[:16]}…", txid=txid)


def _whose(stray: Mapping[str, Any], waiting: Sequence[Row], alone: bool) -> Row | None:
    """The row that a payment was for: the only one, else the one of that amount, the wallet's fee in or out."""
    if alone:
        return waiting[0] if waiting else None
    amount, fee = stray["amount"] or 0, stray["fee"] or 0
    fits = [row for row in waiting if row.amount is not None and row.amount - fee <= amount <= row.amount + fee]
    return min(fits, key=lambda row: (row.state not in ("signing", "funded"), row.id)) if fits else None


def _out(transfers: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [one for one in transfers if one["way"] == "out"]


def _first_problem(there: Mapping[str, Mapping[str, Any]]) -> str:
    return next((str(one["problem"]) for one in there.values() if one["problem"]), "unknown why")


def _amount(stray: Mapping[str, Any]) -> str:
    return "amount unknown" if stray["amount"] is None else f"{stray['amount'] / 1e12:.12f}".rstrip("0").rstrip(".") + " XMR"


def _some(ids: Sequence[str]) -> str:
    return f"escrow {_listed(ids)}" if len(ids) <= MOST_NAMED else f"one of {len(ids)} open escrows"


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} and {listed[-1]}" if listed else "nobody"
