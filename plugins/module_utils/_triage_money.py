# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What triage says of the money: payouts, wallets, daemon, signing rounds. What nobody could ask is unknown."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _signing_round
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import words
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import DOT, _mapping, _text
from ansible_collections.monero_marketplace.incident.plugins.module_utils._triage_signs import SIGNERS

# One that is busy with the chain comes back by itself.
USABLE = ("ready", "syncing_busy")
UNREACHABLE = "WalletRPCUnreachable"
DAEMON_WELL = ("synchronized", "synchronizing", "unknown")


def usable(wallet: Mapping[str, Any]) -> bool:
    """Whether there is nothing to mend: where the application opens wallets as it needs them, none open is the normal state."""
    state = wallet.get("state")
    return state in USABLE or (state == "no_wallet_open" and wallet.get("open") != "always")


def _sick(monero: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Daemon and wallets that something is the matter with, the daemon first, because it is the cause of all of them."""
    daemon, wallets = _mapping(monero.get("daemon")), monero.get("wallets") or []
    found = [("the Monero daemon", daemon)] if daemon and str(daemon.get("state")) not in DAEMON_WELL else []
    return found + [(f"wallet {_text(one.get('role'))}", one) for one in wallets if not usable(one)]


def trouble(monero: Mapping[str, Any]) -> str:
    """What is the matter with daemon and wallets; empty where nothing is."""
    return "; ".join(f"{name} is {_text(one.get('state'))}" for name, one in _sick(monero))


def evidence(monero: Mapping[str, Any]) -> list[str]:
    """Each of them with the first thing it is known from."""
    return [
        f"{name} is {_text(one.get('state'))}" + (f" ({_text(one['evidence'][0])})" if one.get("evidence") else "")
        for name, one in _sick(monero)
    ]


def out_of_reach(monero: Mapping[str, Any]) -> str:
    """Of the signers of an escrow fewer can sign than must."""
    wallets = monero.get("wallets") or []
    left = sum(usable(one) for one in wallets)
    if len(wallets) < SIGNERS or left >= SIGNERS:
        return ""
    return f"escrow funds are out of reach: {left} of {len(wallets)} wallets can be used, {SIGNERS} must sign"


def money(facts: Mapping[str, Any], prometheus: Any) -> str:
    monero = _mapping(facts.get("monero"))
    return DOT.join(
        [_payouts(facts), _wallets(monero, prometheus), *_daemon(monero), f"a signing round open: {_signing(facts)}"]
    )


def not_by_design(fired: list[dict[str, Any]] | None, facts: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The alerts that are to be judged: that the server reaches no wallet is what a freeze is for, where the wallets themselves answered."""
    freezes, asked = _mapping(facts.get("binding")).get("freezes"), _mapping(facts.get("monero")).get("wallets")
    return [one for one in fired if one["name"] != UNREACHABLE] if fired and freezes and asked else fired


def _payouts(facts: Mapping[str, Any]) -> str:
    binding = _mapping(facts.get("binding"))
    if "freezes" not in binding:
        return "payouts unknown"
    freezes = [_mapping(one) for one in binding["freezes"] or []]
    if freezes:
        return _text(words(freezes[0])).replace("payouts frozen", "payouts FROZEN", 1)
    holds = [_mapping(one) for one in binding.get("holds") or []]
    held = [one for one in holds if "payout" in str(one.get("name")) or "payout" in str(one.get("reason"))]
    return f"payouts held ({_text(held[0]['name'])})" if held else "payouts not frozen"


def _wallets(monero: Mapping[str, Any], prometheus: Any) -> str:
    wallets = monero.get("wallets") or []
    if not wallets:
        samples = _mapping(_mapping(_mapping(prometheus).get("results")).get("wallets")).get("samples") or []
        return (
            f"wallets {sum(one['value'] == 1 for one in samples)}/{len(samples)} by Prometheus"
            if samples
            else "wallets unknown"
        )
    others = [f"{_text(one.get('role'))} {_text(one.get('state'))}" for one in wallets if one.get("state") != "ready"]
    ready = f"wallets {len(wallets) - len(others)}/{len(wallets)} ready"
    return f"{ready} ({', '.join(others)})" if others else ready


def _daemon(monero: Mapping[str, Any]) -> list[str]:
    daemon = _mapping(monero.get("daemon"))
    return [f"daemon {_text(daemon['state'])}"] if daemon.get("state") else []


def _signing(facts: Mapping[str, Any]) -> str:
    """From a sound copy of the application's database; where there is none, whoever acts assumes that a round is open."""
    return {"open": "YES", "none": "no"}.get(_signing_round.judge(_mapping(facts.get("signing")))[0], "unknown")
