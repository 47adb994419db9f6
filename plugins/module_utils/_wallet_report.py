# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What role incident is told about wallets, a plan for them and what became of it."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_words import listed
from ansible_collections.monero_marketplace.incident.plugins.module_utils._health_report import (
    causes_of,
    clock_risk,
    plan_of,
    stray,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_causes import PAGE

FUNDS = "nothing sent by this tool, nothing signed"
_STATES = {
    "no_wallet_open": "no wallet open",
    "wrong_wallet": "another wallet open",
    "auth_required": "login refused",
    "syncing_busy": "busy with the chain",
    "daemon_unreachable": "misses its daemon",
    "keys_locked": "keys locked by another",
    "not_responding": "not responding",
    "port_closed": "port closed",
    "container_down": "not running",
}

_WORDS = {
    "started": "started {who}",
    "restarted": "restarted {who}",
    "resumed": "let {who} go on",
    "opened": "wallet of {who} open again",
}


def report(
    first: dict[str, Any],
    last: dict[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    kept: list[dict[str, Any]],
    problems: list[str],
    done: list[str],
    given: list[str],
    clock_ahead: float = 0.0,
) -> dict[str, Any]:
    """The findings of a run, in sentences."""
    escalate = [{"sentence": one["sentence"]} for one in last["escalate"]]
    if not last["settled"]:
        escalate += [{"sentence": problem} for problem in problems]
        problems = []
    moved = changes(before, after)
    return {
        "settled": last["settled"],
        "serving": last["serving"],
        "causes": causes_of(first, last),
        "plan": plan_of(first) + [f"wait for {one['service']}: {one['for']}" for one in first["waiting"]],
        "confirm": last["confirm"],
        "stray_confirmations": stray(given, first["confirm"] + last["confirm"]),
        "escalate": escalate,
        "did": done + moved["did"],
        "untouched": moved["untouched"],
        "kept": kept,
        "risk": problems + list(dict.fromkeys([*first["risks"], *last["risks"]])) + clock_risk(clock_ahead),
        "next": _next(last),
        "log": {one["service"]: one["log"] for one in last["escalate"] if one.get("log")},
        "page": "Incident Commander",
        "state": state_line(last, after),
        "funds": FUNDS,
        "payouts_frozen": bool(last["frozen"]),
    }


def state_line(last: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """buyer ready · arbiter ready · vendor: its cache is damaged; the daemon only where it is not well."""
    told: dict[str, str] = {}
    following = {one["service"]: one["consequence_of"] for one in last["causes"] if one["consequence_of"]}
    for one in last["causes"]:
        if one["consequence_of"]:
            continue
        more = f" ({'; '.join(one['evidence'][:1])})" if one["evidence"] else ""
        told.setdefault(str(one["service"]), one["sentence"] + more)
    lines = []
    for wallet in after["wallets"]:
        sick = told.get(wallet["service"])
        if wallet["service"] in following:
            lines.append(f"{wallet['role']} waits for {following[wallet['service']]}")
            continue
        lines.append(
            f"{wallet['role']}: {sick}" if sick else f"{wallet['role']} {_STATES.get(wallet['state'], wallet['state'])}"
        )
    lines.sort(key=lambda line: ": " in line)
    daemon = told.get(str(after["daemon"].get("service")))
    height = after["daemon"].get("height")
    lines.append(
        f"daemon: {daemon}" if daemon else f"daemon {after['daemon']['state']}" + (f" at {height:,}" if height else "")
    )
    return lines


def _next(last: Mapping[str, Any]) -> list[str]:
    follow = ["ansible-playbook playbooks/monero_rpc.yml"] if last["frozen"] else []
    return follow + ([f"read {PAGE}"] if last["escalate"] else [])


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What became of containers, processes and open wallets between two looks, measured and not meant."""
    found: dict[str, list[str]] = {word: [] for word in _WORDS}
    untouched = 0
    earlier = {one["service"]: one for one in [before["daemon"], *before["wallets"]] if one.get("service")}
    for one in [after["daemon"], *after["wallets"]]:
        old = earlier.get(one.get("service"))
        if old is None:
            continue
        word = _container_word(old, one)
        if word:
            found[word].append(one["service"])
        opened = one["state"] in ("ready", "syncing_busy") and old["state"] in (
            "no_wallet_open",
            "wrong_wallet",
            "container_down",
        )
        if opened and "role" in one:
            found["opened"].append(one["role"])
        untouched += not word and not (opened and "role" in one)
    return {"did": [_WORDS[word].format(who=listed(names)) for word, names in found.items() if names], "untouched": untouched}


def _container_word(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    was, now = old.get("container") or {}, new.get("container") or {}
    if now.get("status") != "running":
        return ""
    if was.get("started_at") != now.get("started_at"):
        return "restarted" if was.get("status") == "running" else "started"
    halted = (old.get("process") or {}).get("state") in ("T", "t")
    return "resumed" if halted and (new.get("process") or {}).get("state") not in ("T", "t") else ""
