# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Questions to a wallet RPC and to the daemon that change nothing, and their answers, checked before they are believed.

No question here opens a wallet, and none is about multisig beyond whether and how the open wallet is one.
"""

from __future__ import annotations

import re
import ssl
import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _monero_versions
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_rpc import (
    Login,
    LoginRefused,
    NoAnswer,
    Rpc,
    RpcError,
)

NO_WALLET_FILE = -13
UNKNOWN_METHOD = -32601
# The longest answer that is wanted, that of get_info, is two thousand bytes long.
REPLY_BYTES = 64 * 1024
LARGEST = 2**63
_ADDRESS = re.compile(r"[1-9A-HJ-NP-Za-km-z]{95,110}")
_HASH = re.compile(r"[0-9a-f]{64}")
# Told for account 0 only and for its first address: a wallet may have thousands.
ACCOUNT = {"account_index": 0, "address_index": [0]}
BALANCE = {"account_index": 0, "address_indices": [0], "all_accounts": False, "strict": False}


def ask_wallet(
    url: str, login: Login | None, context: ssl.SSLContext | None, deadline: float, balances: bool = False
) -> dict[str, Any]:
    """answer is answered, no_wallet_open, auth_required, late, closed or wrong; detail says why in words."""
    found: dict[str, Any] = {
        "answer": "answered", "detail": "", "interface": None, "height": None, "address": None, "multisig": None,
        "import_needed": None, "unanswered": [],
    }  # fmt: skip
    if balances:
        found.update(balance=None, unlocked_balance=None)
    try:
        with Rpc(url, login, context, REPLY_BYTES) as rpc:
            found["interface"] = _monero_versions.interface(_version(rpc, deadline))
            found["height"] = whole(_call(rpc, "get_height", {}, deadline).get("height"))
            if found["height"] is None:
                raise NoAnswer("its answer to get_height holds no height")
            _more(rpc, deadline, found, balances)
    except (RpcError, LoginRefused, NoAnswer) as problem:
        found.update(_why(problem))
    return found


def _call(rpc: Rpc, method: str, params: dict[str, Any], deadline: float) -> dict[str, Any]:
    return rpc.call(method, params, max(0.05, deadline - time.monotonic()))


def _version(rpc: Rpc, deadline: float) -> object:
    try:
        return _call(rpc, "get_version", {}, deadline).get("version")
    except RpcError as refused:
        if refused.code != UNKNOWN_METHOD:
            raise
        return None  # older than any that is still in use, but alive


def _more(rpc: Rpc, deadline: float, found: dict[str, Any], balances: bool) -> None:
    """What is good to know of an open wallet; that one of it is not told makes it no less open."""
    told: dict[str, dict[str, Any]] = {}
    for method, params in (("get_address", ACCOUNT), ("is_multisig", {}), ("get_balance", BALANCE)):
        try:
            told[method] = _call(rpc, method, params, deadline)
        except RpcError as refused:
            found["unanswered"].append(f"{method}: {clean_line(str(refused), 120)}")
        except NoAnswer as silence:
            found["unanswered"].append(clean_line(str(silence), 120))
            break
    found["address"] = matching(_ADDRESS, told.get("get_address", {}).get("address"))
    found["multisig"] = _multisig(told.get("is_multisig", {}))
    money = told.get("get_balance", {})
    needed = money.get("multisig_import_needed")
    found["import_needed"] = needed if isinstance(needed, bool) else None
    if balances:
        found.update(balance=whole(money.get("balance")), unlocked_balance=whole(money.get("unlocked_balance")))


def _multisig(told: dict[str, Any]) -> dict[str, Any] | None:
    if told.get("multisig") is not True:
        return None
    return {"ready": told.get("ready") is True, "threshold": whole(told.get("threshold")), "total": whole(told.get("total"))}


def _why(problem: RpcError | LoginRefused | NoAnswer) -> dict[str, str]:
    words = clean_line(str(problem), 200)
    if isinstance(problem, RpcError):
        return {"answer": "no_wallet_open" if problem.code == NO_WALLET_FILE else "wrong", "detail": words}
    if isinstance(problem, LoginRefused):
        return {"answer": "auth_required", "detail": words}
    return {"answer": "closed" if problem.closed else "late" if problem.late else "wrong", "detail": words}


def ask_daemon(url: str, context: ssl.SSLContext | None, deadline: float) -> dict[str, Any]:
    """What get_info and the last block's header say; answer as of a wallet."""
    found: dict[str, Any] = {
        "answer": "answered", "detail": "", "height": None, "target_height": None, "synchronized": None, "busy_syncing": None,
        "last_block_age": None, "last_block_hash": None, "peers_out": None, "peers_in": None, "version": None, "network": None,
        "offline": None, "unanswered": [],
    }  # fmt: skip
    try:
        with Rpc(url, None, context, REPLY_BYTES) as rpc:
            told = _call(rpc, "get_info", {}, deadline)
            _take_info(told, found)
            if found["height"] is None:
                raise NoAnswer("its answer to get_info holds no height")
            header = _header(rpc, deadline, found)
            stamp = whole(header.get("timestamp"))
            found["last_block_age"] = None if stamp is None else max(0.0, round(time.time() - stamp, 1))
    except (RpcError, LoginRefused, NoAnswer) as problem:
        found.update(_why(problem))
    return found


def _header(rpc: Rpc, deadline: float, found: dict[str, Any]) -> dict[str, Any]:
    try:
        header = _call(rpc, "get_last_block_header", {}, deadline).get("block_header")
    except (RpcError, NoAnswer) as problem:
        found["unanswered"].append(clean_line(str(problem), 120))
        return {}
    return header if isinstance(header, dict) else {}


def _take_info(told: dict[str, Any], found: dict[str, Any]) -> None:
    # A restricted RPC counts no peers and tells no version.
    hidden = told.get("restricted") is True
    found.update(
        height=whole(told.get("height")),
        target_height=whole(told.get("target_height")),
        synchronized=_truth(told.get("synchronized")),
        busy_syncing=_truth(told.get("busy_syncing")),
        last_block_hash=matching(_HASH, told.get("top_block_hash")),
        peers_out=None if hidden else whole(told.get("outgoing_connections_count")),
        peers_in=None if hidden else whole(told.get("incoming_connections_count")),
        version=_text(told.get("version")),
        network=_text(told.get("nettype")),
        offline=_truth(told.get("offline")),
    )


def whole(value: object) -> int | None:
    """A number of the kind of a height or an amount."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST else None


def matching(shape: re.Pattern[str], value: object) -> str | None:
    return value if isinstance(value, str) and shape.fullmatch(value) else None


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return (clean_line(value, 60) or None) if isinstance(value, str) else None
