# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at wallets, recorded or changed by hand, and what tests ask of a plan for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.filter.monero_rpc_plan import monero_rpc_plan

RECORDED = Path(__file__).parent / "recorded"
QUERY = "SELECT id FROM escrows WHERE state = 'signing'"
BUYER, VENDOR, ARBITER = (f"monero-wallet-rpc-{role}" for role in ("buyer", "vendor", "arbiter"))
NONE_OPEN = {"state": "read", "problem": None, "queries": {"signing": {"rows": [], "more": False, "problem": None}}}
ONE_OPEN = {"state": "read", "problem": None, "queries": {"signing": {"rows": [[7]], "more": False, "problem": None}}}
FREEZE = {
    "name": "payouts", "reason": "a wallet was rebuilt", "by": "alice", "since": "2026-11-24T02:14:09Z", "services": ["server"],
    "readable": True,
}  # fmt: skip


def look(name: str) -> dict[str, Any]:
    """A recorded look; a fresh copy each time."""
    return dict(json.loads((RECORDED / f"look_monero_{name}.json").read_text(encoding="utf-8")))


def wallet(found: dict[str, Any], role: str = "buyer") -> dict[str, Any]:
    one: dict[str, Any] = next(one for one in found["wallets"] if one["role"] == role)
    return one


def decide(found: dict[str, Any], **more: Any) -> dict[str, Any]:
    return monero_rpc_plan(found, **{"signing_query": QUERY, "signing": NONE_OPEN, "chain_dir": "/data/monero/lmdb", **more})


def doing(decided: dict[str, Any]) -> list[str]:
    return [step["key"] for step in decided["steps"]]


def asking(decided: dict[str, Any]) -> list[str]:
    return [one["what"] for one in decided["confirm"] if not one["given"]]


def causes(decided: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(one["cause"], one["service"]) for one in decided["causes"] if one["consequence_of"] is None]


def told(decided: dict[str, Any]) -> str:
    return " ".join(one["sentence"] for one in decided["escalate"])


def silent(found: dict[str, Any], role: str = "buyer") -> dict[str, Any]:
    """A wallet RPC that runs, does nothing and says nothing."""
    one = wallet(found, role)
    one.update(state="not_responding", height=None, import_needed=None, evidence=["no answer to get_version within 2 s"])
    one["process"] = {"pid": 5, "state": "S", "moving": False}
    return found
