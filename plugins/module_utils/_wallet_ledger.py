# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What every wallet in a folder knows of its money, read from copies in one throw-away wallet RPC without a network."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_files, _wallet_proof
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_proof import Copy, NoProof, Place

# A wallet of years has some thousand transfers, of about 600 bytes each.
REPLY_BYTES = 64 * 1024 * 1024
MOST_WALLETS = 5000
WAYS = {"in": "in", "out": "out", "pending": "out"}


def names(directory: str) -> list[str]:
    """Every wallet of the folder, by its .keys file, or by a cache that is left alone."""
    found = sorted(name[: -len(_wallet_files.KEYS)] for name in os.listdir(directory) if name.endswith(_wallet_files.KEYS))
    return [name for name in found if name and not name.startswith((".", "-"))]


def read(directory: str, password: str, place: Place) -> dict[str, dict[str, Any]]:
    """By name: problem (empty where all is known), height, import_needed, transfers. What one wallet breaks ends no other's turn."""
    found: dict[str, dict[str, Any]] = {}
    copies: dict[str, Copy] = {}
    listed = names(directory)
    for name in listed[MOST_WALLETS:]:
        found[name] = _unknown(f"there are more than {MOST_WALLETS} wallets in {directory}")
    for name in listed[:MOST_WALLETS]:
        with suppress(_wallet_files.NotAWallet):
            copy = _wallet_files.read(directory, name).copy
            if copy is not None and copy.cache is not None:
                copies[name] = copy
                continue
            found[name] = _unknown("it has no cache, so it knows of no transfer before it has read the chain")
        found.setdefault(name, _unknown("its files are no regular files"))
    if not copies:
        return found
    why = ""
    try:
        with _wallet_proof.laid_out(copies, place) as bench:
            left = list(copies)
            while left:
                _session(bench, left, password, found)
    except NoProof as problem:
        why = _said(problem)
    for name in copies:
        found.setdefault(name, _unknown(why))
    return found


def _session(bench: _wallet_proof.Bench, left: list[str], password: str, found: dict[str, dict[str, Any]]) -> None:
    """One throw-away; a cache that kills it costs only itself, as the next throw-away takes the rest."""
    with bench.session(REPLY_BYTES) as session:
        while left:
            name = left[0]
            try:
                answer = session.ledger(f"{bench.names[name]}c", password)
            except NoProof as problem:
                if time.monotonic() >= bench.deadline:
                    raise
                found[name] = _unknown(_said(problem))
                del left[0]
                return
            found[name] = _unknown(answer["problem"]) if answer["problem"] else _known(answer)
            del left[0]


def _said(problem: Exception) -> str:
    return clean_line(str(problem), 200).rstrip(".")


def _unknown(problem: str) -> dict[str, Any]:
    return {"problem": problem, "height": None, "import_needed": None, "transfers": []}


def _known(answer: Mapping[str, Any]) -> dict[str, Any]:
    moved = answer["moved"]
    transfers = [
        {
            "way": way,
            "txid": str(one.get("txid") or "").lower(),
            "amount": _whole(one.get("amount")),
            "fee": _whole(one.get("fee")),
            "height": _whole(one.get("height")),
            "time": _whole(one.get("timestamp")),
        }
        for kind, way in WAYS.items()
        for one in moved.get(kind) or []
        if isinstance(one, Mapping)
    ]
    return {"problem": "", "height": answer["height"], "import_needed": answer["import_needed"], "transfers": transfers}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
