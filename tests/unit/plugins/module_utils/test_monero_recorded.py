# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What monero_info said of a real lab in each state: who builds on it builds on these."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_states import DAEMON_STATES, WALLET_STATES

RECORDED = Path(__file__).parents[1] / "recorded"
AWAY = ["daemon_unreachable"] * 3
OTHERS = ["ready", "ready"]
EXPECTED: dict[str, tuple[str, list[str]]] = {
    "healthy": ("synchronized", ["ready", *OTHERS]),
    "wallet_closed": ("synchronized", ["no_wallet_open", *OTHERS]),
    "wallet_wrong": ("synchronized", ["wrong_wallet", *OTHERS]),
    "wallet_busy": ("synchronized", ["syncing_busy", *OTHERS]),
    "wallet_hung": ("synchronized", ["not_responding", *OTHERS]),
    "wallet_killed": ("synchronized", ["container_down", *OTHERS]),
    "wallet_paused": ("synchronized", ["container_down", *OTHERS]),
    "wallet_starting": ("synchronized", ["port_closed", *OTHERS]),
    "wallet_auth": ("synchronized", ["auth_required"]),
    "keys_locked": ("synchronized", ["keys_locked", *OTHERS]),
    "daemon_down": ("container_down", AWAY),
    "daemon_hung": ("not_responding", AWAY),
    "docker_halted": ("synchronized", ["ready", *OTHERS]),
}
SECRET = re.compile(r"rpc-login=|\"balance\"|[0-9a-f]{65,}", re.IGNORECASE)


def recorded_monero(name: str) -> dict[str, Any]:
    return dict(json.loads((RECORDED / f"look_monero_{name}.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_state_of_the_lab(name: str) -> None:
    found = recorded_monero(name)
    assert (found["daemon"]["state"], [one["state"] for one in found["wallets"]]) == EXPECTED[name]
    assert found["daemon"]["state"] in DAEMON_STATES and all(one["state"] in WALLET_STATES for one in found["wallets"])
    assert all(one["evidence"] for one in [found["daemon"], *found["wallets"]])


def test_all_ten_states_were_seen_in_a_lab() -> None:
    assert {state for _daemon, states in EXPECTED.values() for state in states} == set(WALLET_STATES)
    assert {path.stem.removeprefix("look_monero_") for path in RECORDED.glob("look_monero_*.json")} >= set(EXPECTED)


def test_a_dead_docker_is_told_by_how_it_was_found() -> None:
    assert recorded_monero("docker_halted")["through"] == "files" and recorded_monero("healthy")["through"] == "docker"


@pytest.mark.parametrize("path", [*RECORDED.glob("look_monero_*.json")], ids=lambda path: path.stem)
def test_no_secret_was_recorded(path: Path) -> None:
    assert not SECRET.search(path.read_text(encoding="utf-8"))
