# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which state follows from what was found, and that its first sentence says why."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _monero_states
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_states import Facts

ADDRESS, OTHER = "4" + "A" * 94, "4" + "B" * 94
OPEN = {"answer": "answered", "detail": "", "interface": (1, 26), "height": 100, "address": ADDRESS, "lag": 0, "unanswered": []}
LATE = {"answer": "late", "detail": "no answer to get_version within 1.5 s", "interface": None, "unanswered": []}
CLOSED = {"answer": "closed", "detail": "[Errno 111] Connection refused", "interface": None, "unanswered": []}
WRONG = {"answer": "wrong", "detail": "HTTP status 500", "interface": None, "unanswered": []}
NONE_OPEN = {"answer": "no_wallet_open", "detail": "No wallet file (-13)", "interface": (1, 26), "unanswered": []}
REFUSED = {"answer": "auth_required", "detail": "it refuses the login given", "interface": None, "unanswered": []}
RUNS = {"id": "a" * 64, "name": "rpc", "status": "running", "started_at": None, "pid": 7, "exit_code": None, "image": "i"}
OURS = {"pid": 7, "command": "monero-wallet-rpc", "container": "rpc", "ours": True}
THEIRS = {"pid": 8, "command": "monero-wallet-cli", "container": None, "ours": False}
KEYS = {"exists": True, "size": 1, "sha256": "ab" * 32, "mtime": 0.0}


def files(opened: str | None = "escrow_1", lock: Any = "ours", **more: Any) -> dict[str, Any]:
    lock = OURS if lock == "ours" else lock
    return {
        "wallet": "escrow_1", "open_wallet": opened, "keys": KEYS, "cache": KEYS, "leftovers": [], "login_files": [], "lock": lock, **more,
    }  # fmt: skip


def process(state: str = "S", moving: bool | None = False) -> dict[str, Any]:
    return {"pid": 7, "state": state, "moving": moving}


def facts(told: dict[str, Any] | None, **more: Any) -> Facts:
    known: dict[str, Any] = {
        "container": RUNS, "containers_known": True, "process": process(), "wanted": "escrow_1", "open": "always", "files": files(),
    }  # fmt: skip
    return Facts(told, **{**known, **more})


def down(status: str, code: int | None = None) -> dict[str, Any]:
    return {"container": {**RUNS, "status": status, "pid": None, "exit_code": code}, "process": None}


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (facts(OPEN), "ready", "escrow_1 is open at height 100"),
        (facts(OPEN, files=None), "ready", "a wallet is open"),
        (facts(OPEN, containers_known=False, container=None, process=None), "ready", "is open"),
        (facts({**OPEN, "lag": 21}), "syncing_busy", "21 blocks behind"),
        (facts({**OPEN, "lag": 20}), "ready", "is open"),
        (facts({**OPEN, "lag": None}), "ready", "is open"),
        (facts({**OPEN, "ahead": 3}), "ready", "3 blocks that the daemon does not have"),
        (facts({**OPEN, "import_needed": True}), "ready", "multisig info before it can sign"),
        (facts(NONE_OPEN, files=files(None, None)), "no_wallet_open", "escrow_1 should be"),
        (facts(NONE_OPEN, files=files(None, None), open="on_demand"), "no_wallet_open", "normal"),
        (facts(OPEN, files=files("escrow_2")), "wrong_wallet", "escrow_2 is open instead of escrow_1"),
        (facts(OPEN, files=files("escrow_2"), open="on_demand"), "ready", "as the application may have asked"),
        (facts(OPEN, address=OTHER), "wrong_wallet", "4AAAAAAA…AAAA instead of 4BBBBBBB…BBBB"),
        (facts(OPEN, address=ADDRESS, signer="AB" * 32), "ready", "is open"),
        (facts(OPEN, address=ADDRESS, signer="cd" * 32), "wrong_wallet", "another signer's"),
        (facts(REFUSED), "auth_required", "refuses the login"),
        (facts(REFUSED, login={"file_changed_at": 20.0}, started=10.0), "auth_required", "after its container was started"),
        (facts(REFUSED, login={"problem": "x cannot be read"}), "auth_required", "x cannot be read"),
        (facts(LATE, process=process("T")), "not_responding", "halted by a signal"),
        (facts(LATE, process=process("S", True)), "syncing_busy", "before release 0.18.4.1"),
        (facts({**LATE, "interface": (1, 29)}, process=process("S", True)), "syncing_busy", "works"),
        (facts(LATE), "not_responding", "does nothing"),
        (facts(LATE, process=process("D", None)), "not_responding", "waits for a disk"),
        (facts(LATE, process=None), "not_responding", "no answer to get_version"),
        (facts(WRONG, process=process("S", True)), "not_responding", "does not answer as one: HTTP status 500"),
        (facts(CLOSED), "port_closed", "nobody listens"),
        (facts(CLOSED, started=97.0, clock=100.0), "port_closed", "was started 3 s ago"),
        (facts(None), "port_closed", "no address"),
        (facts(CLOSED, container={**RUNS, "restart_count": 7}), "port_closed", "restarted it 7 times"),
        (facts(CLOSED, **down("exited", 137)), "container_down", "has ended with exit status 137"),
        (facts(None, **down("paused")), "container_down", "is paused"),
        (facts(None, **down("restarting", 1)), "container_down", "is restarting, after exit status 1"),
        (facts(None, container=None, process=None), "container_down", "no container"),
        (facts(OPEN, **down("exited", 0)), "ready", "something answers at its address"),
        (facts(NONE_OPEN, files=files(None, THEIRS)), "keys_locked", "monero-wallet-cli (pid 8, in no container)"),
        (facts(None, files=files(None, THEIRS), **down("restarting", 1)), "keys_locked", "is restarting"),
        (facts(NONE_OPEN, files=files(None, {**THEIRS, "ours": None})), "no_wallet_open", "no wallet is open"),
        (facts(NONE_OPEN, files=files(None, None, keys={"exists": False})), "no_wallet_open", "escrow_1.keys is missing"),
        (facts(None, files=files(None, None, leftovers=["escrow_1.new"]), **down("exited", 1)), "container_down", "escrow_1.new was left"),
        (facts(None, files=files(None, None, login_files=["/x.login"]), **down("restarting", 1)), "container_down", "blocks the next"),
        (facts({**OPEN, "unanswered": ["get_balance: busy"]}), "ready", "not told: get_balance: busy"),
    ],
)  # fmt: skip
def test_a_wallet(found: Facts, state: str, words: str) -> None:
    assert state in _monero_states.WALLET_STATES
    said, evidence = _monero_states.wallet(found, "synchronized")
    assert said == state and words in "; ".join(evidence)
    assert all(line and "\n" not in line for line in evidence)


@pytest.mark.parametrize("daemon", ["not_responding", "port_closed", "container_down"])
def test_one_cause_for_many_symptoms(daemon: str) -> None:
    """Whoever waits for a daemon that is away is not ill itself; one that is, stays so."""
    for told in (OPEN, LATE):
        assert _monero_states.wallet(facts(told), daemon)[0] == "daemon_unreachable"
    assert _monero_states.wallet(facts(LATE, process=process("T")), daemon)[0] == "not_responding"
    assert _monero_states.wallet(facts(NONE_OPEN, files=files(None, None)), daemon)[0] == "no_wallet_open"
    assert _monero_states.wallet(facts(REFUSED), daemon)[0] == "auth_required"
    assert _monero_states.wallet(facts(OPEN), "auth_required")[0] == "ready"


INFO = {
    "answer": "answered", "detail": "", "height": 100, "target_height": 0, "synchronized": True, "busy_syncing": False,
    "last_block_age": 60.0, "peers_out": 8, "peers_in": 0, "network": "mainnet", "offline": False, "unanswered": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (facts(INFO), "synchronized", "at height 100"),
        (facts({**INFO, "offline": True, "peers_out": 0}), "synchronized", "offline"),
        (facts({**INFO, "target_height": 150}), "synchronizing", "50 blocks behind"),
        (facts({**INFO, "target_height": 90}), "synchronized", "answers"),
        (facts({**INFO, "synchronized": False}), "synchronizing", "not synchronized"),
        (facts({**INFO, "busy_syncing": True}), "synchronizing", "not synchronized"),
        (facts({**INFO, "peers_out": 0}), "no_peers", "no peer"),
        (facts({**INFO, "peers_out": 0, "peers_in": 3}), "synchronized", "answers"),
        (facts({**INFO, "peers_out": None, "peers_in": None}), "synchronized", "answers"),
        (facts({**INFO, "last_block_age": 9000.0}), "stale", "150 minutes old"),
        (facts({**INFO, "last_block_age": 9000.0, "network": "fakechain"}), "synchronized", "answers"),
        (facts({**INFO, "synchronized": None}), "unknown", "does not say"),
        (facts(REFUSED), "auth_required", "it answers"),
        (facts(LATE, process=process("T")), "not_responding", "kill -CONT 7"),
        (facts(WRONG), "not_responding", "HTTP status 500"),
        (facts(NONE_OPEN), "not_responding", "a wallet RPC answers"),
        (facts(CLOSED), "port_closed", "nobody listens"),
        (facts(None, **down("exited", 0)), "container_down", "has ended"),
        (facts(None, containers_known=False, container=None), "unknown", "neither"),
    ],
)
def test_the_daemon(found: Facts, state: str, words: str) -> None:
    assert state in _monero_states.DAEMON_STATES
    said, evidence = _monero_states.daemon(found)
    assert said == state and words in "; ".join(evidence)
