# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Have wallet RPCs open or close a named wallet, each with its own patience, and say why one could not.

Before release 0.18.4.0 an RPC gives one and the same answer to a wrong password, a locked, a missing and a damaged file. They are told
apart by the lines it wrote to its log since it was asked, and by the files themselves.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Callable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _monero_files, _monero_process
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Questions
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_rpc import (
    LoginRefused,
    NoAnswer,
    Rpc,
    RpcError,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_wallet import (
    CLOSED,
    NO_WALLET_FILE,
    OPEN,
    Wallet,
    height,
    why,
)

INVALID_PASSWORD, NO_WALLET_DIR, NO_DAEMON = -22, -23, -38
LOG_LINES = 20
# In the order in which they are looked for: the first that was said is the reason.
_REASONS = (
    ("keys_locked", ("failed to lock", "is_keys_file_locked", "opened by another wallet program")),
    ("missing", ("file_not_found", "file not found")),
    ("wrong_password", ("invalid_password", "invalid password")),
)
SAYS = {
    "keys_locked": "another live process has its .keys file locked, or the RPC may not write to it",
    "missing": "its .keys file is not in the directory of the RPC",
    "wrong_password": "the password is wrong, or the encrypted part of its .keys file is damaged",
    "cache_damaged": "its keys were read and its cache could not be",
    "keys_damaged": "its .keys file could not be read",
}
NO_CACHE = "wallet cache missing"
KEYS_READ = "loaded wallet keys file"


def reason(code: int, message: str, lines: list[str]) -> tuple[str, str]:
    """State and words for an open_wallet that was refused, by its code, its message and what was logged meanwhile."""
    if code == INVALID_PASSWORD:
        return "wrong_password", SAYS["wrong_password"]
    if code == NO_WALLET_DIR:
        return "failed", "the RPC was started without --wallet-dir, so that it can open nothing"
    said = "\n".join([message, *lines]).lower()
    for state, words in _REASONS:
        if any(word in said for word in words):
            return state, SAYS[state]
    if any(KEYS_READ in line.lower() for line in lines):
        return "cache_damaged", SAYS["cache_damaged"]
    if any("wallet_internal_error" in line for line in lines):
        return "keys_damaged", SAYS["keys_damaged"]
    return "failed", clean_line(message, 200)


def open_one(wallet: Wallet, timeout: float, patience: float, dry: bool) -> dict[str, Any]:
    """Open the named wallet; whichever is open then is stored and closed by the RPC."""
    found = _blank(wallet)
    files = _files(wallet)
    try:
        with Rpc(wallet.url, wallet.login, wallet.context) as rpc:
            before = _open_height(rpc, timeout)
            opened = (files or {}).get("open_wallet")
            if before is not None and opened == wallet.file:
                return _done(found, "open_already", "it is open", height=before)
            refused = _refused(wallet, files)
            if refused:
                return _done(found, *refused)
            if dry:
                return _done(found, "ready", "would be opened")
            since = _monero_process.log_size(wallet.log_path)
            params = {"filename": wallet.file, "password": wallet.file_password, "autosave_current": True}
            try:
                rpc.call("open_wallet", params, patience)
            except RpcError as problem:
                found["log"] = _lines(wallet, since)
                return _done(found, *reason(problem.code, str(problem), found["log"]), code=problem.code)
            except NoAnswer as silence:
                found["log"] = _lines(wallet, since)
                return _done(found, *_late(wallet, silence))
            found["log"] = _lines(wallet, since)
            # The answer to open_wallet decides; a wallet that then looks for blocks may be too busy for a word.
            return _done(found, "opened", _how(found["log"], before, opened), height=_open_height(rpc, timeout, calmly=True))
    except (RpcError, LoginRefused, NoAnswer) as problem:
        return _done(found, **why(problem))


def close_one(wallet: Wallet, timeout: float, patience: float, dry: bool) -> dict[str, Any]:
    """Close the named wallet, else whichever is open; the RPC stores it first."""
    found = _blank(wallet)
    files = _files(wallet)
    try:
        with Rpc(wallet.url, wallet.login, wallet.context) as rpc:
            before = _open_height(rpc, timeout)
            opened = (files or {}).get("open_wallet")
            if before is None:
                return _done(found, "closed_already", "no wallet is open")
            if wallet.file and opened and opened != wallet.file:
                return _done(found, "closed_already", f"{opened} is open, not {wallet.file}", height=before)
            if wallet.file and not opened:
                return _done(found, "failed", f"whether {wallet.file} or another wallet is open cannot be seen", height=before)
            if dry:
                return _done(found, "ready", "would be closed", height=before)
            since = _monero_process.log_size(wallet.log_path)
            try:
                rpc.call("close_wallet", {"autosave_current": True}, patience)
            except RpcError as problem:
                found["log"] = _lines(wallet, since)
                if problem.code == NO_WALLET_FILE:  # it was closed by somebody else in this very moment
                    return _done(found, "closed_already", "no wallet is open")
                return _done(found, "failed", clean_line(str(problem), 200), code=problem.code, height=before)
            return _done(found, "closed", "stored and closed by its own RPC", height=before)
    except (RpcError, LoginRefused, NoAnswer) as problem:
        return _done(found, **why(problem))


@dataclass(frozen=True)
class Refresh:
    """Which wallets are to read the chain, until when, and how far behind one may be to be asked at all."""

    names: tuple[str, ...]
    deadline: float
    open_timeout: float = 60.0
    store_timeout: float = 60.0
    chain_height: int | None = None
    most_blocks: int = 20000

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()


def refresh_some(wallet: Wallet, timeout: float, wish: Refresh, dry: bool) -> dict[str, Any]:
    """One after the other: open, read the chain, store. Then what was open before is open again; wallet.file, where one is named."""
    found = {**_blank(wallet), "names": {}}
    try:
        with Rpc(wallet.url, wallet.login, wallet.context) as rpc:
            before = _open_height(rpc, timeout)
    except (RpcError, LoginRefused, NoAnswer) as problem:
        return _done(found, **why(problem))
    opened = (_files(wallet) or {}).get("open_wallet") if before is not None else None
    if before is not None and not opened:
        return _done(found, "failed", "which wallet it has open cannot be seen, so no other was opened in its place")
    if dry:
        return _done(found, "ready", "would read the chain")
    names: dict[str, dict[str, Any]] = {}
    busy = False
    for name in sorted(wish.names, key=lambda one: one != opened):
        if busy or wish.left <= 0:
            names[name] = {"state": "not_reached", "height": None, "detail": "there was no time left for it"}
            continue
        names[name] = _refreshed(replace(wallet, file=name), timeout, wish)
        busy = names[name]["state"] in ("not_responding", "opening", "port_closed")
    late = [name for name, one in names.items() if one["state"] != "refreshed"]
    said = f"{len(names) - len(late)} of {len(names)} read the chain"
    wrong = _put_back(wallet, wallet.file or opened or "", timeout, wish)
    if wrong:
        return _done(found, "not_put_back", f"{wallet.name}: {wrong}", names=names)
    return _done(found, "partly" if late else "refreshed", said, names=names)


def _refreshed(wallet: Wallet, timeout: float, wish: Refresh) -> dict[str, Any]:
    opened = open_one(wallet, timeout, max(1.0, min(wish.open_timeout, wish.left)), False)
    told = {"state": opened["state"], "height": opened["height"], "detail": opened["detail"]}
    if opened["state"] not in OPEN:
        return told
    known = opened["height"]
    if known is not None and wish.chain_height is not None and known + wish.most_blocks < wish.chain_height:
        return {**told, "state": "too_far_behind", "detail": f"it has read the chain to {known} of {wish.chain_height}"}
    try:
        with Rpc(wallet.url, wallet.login, wallet.context) as rpc:
            rpc.call("refresh", {}, max(1.0, wish.left))
            rpc.call("store", {}, wish.store_timeout)
            return {"state": "refreshed", "height": height(rpc, timeout), "detail": "it read the chain and was stored"}
    except (RpcError, LoginRefused, NoAnswer) as problem:
        return {**told, **why(problem)}


def _put_back(wallet: Wallet, name: str, timeout: float, wish: Refresh) -> str:
    """What went wrong, empty where it is as it was."""
    if name:
        done = open_one(replace(wallet, file=name), timeout, wish.open_timeout, False)
        return "" if done["state"] in OPEN else f"{name} was open, and is not again ({done['detail'] or done['state']})"
    done = close_one(replace(wallet, file=""), timeout, wish.store_timeout, False)
    return "" if done["state"] in CLOSED else f"no wallet was open, and now one is ({done['detail'] or done['state']})"


def each(
    how: Callable[[Wallet, float, float, bool], dict[str, Any]],
    wallets: list[Wallet],
    timeout: float,
    patience: float,
    dry: bool,
    done: Callable[[dict[str, Any]], None],
) -> list[dict[str, Any]]:
    """All wallets side by side; done is told of each in the order given."""
    questions = Questions()

    def timed(wallet: Wallet) -> dict[str, Any]:
        began = time.monotonic()
        return {**how(wallet, timeout, patience, dry), "seconds": round(time.monotonic() - began, 2)}

    for number, wallet in enumerate(wallets):
        questions.ask(str(number), timed, wallet)
    found = []
    for number in range(len(wallets)):
        try:
            one = questions.answer(str(number), 3 * timeout + patience + 10)
        except KeyError:  # a resolver knows no deadline
            one = {**_done(_blank(wallets[number]), "not_responding", "no answer in time"), "seconds": None}
        done(one)
        found.append(one)
    return found


def _blank(wallet: Wallet) -> dict[str, Any]:
    return {
        "name": wallet.name, "url": wallet.url, "wallet": wallet.file, "state": "not_responding", "code": None, "height": None,
        "detail": "", "log": [],
    }  # fmt: skip


def _done(found: dict[str, Any], state: str, detail: str, **more: Any) -> dict[str, Any]:
    return {**found, "state": state, "detail": detail, **more}


def _files(wallet: Wallet) -> dict[str, Any] | None:
    if not wallet.directory:
        return None
    pids = _monero_process.by_container({wallet.container_id}).get(wallet.container_id, []) if wallet.container_id else []
    return _monero_files.look(wallet.directory, wallet.file, container_id=wallet.container_id, pids=pids)


def _refused(wallet: Wallet, files: dict[str, Any] | None) -> tuple[str, str] | None:
    """What can be seen without asking, and would only throw out the wallet that is open."""
    if files is None:
        return None
    lock = files["lock"]
    if lock and lock["ours"] is False and files["wallet"] == wallet.file and wallet.file in files["locked"]:
        return "keys_locked", f"{lock['command'] or 'a process'} (pid {lock['pid']}) has its .keys file locked"
    if not (files["keys"] or {}).get("exists"):
        return "missing", f"{wallet.file}.keys is not in {wallet.directory}"
    return None


def _open_height(rpc: Rpc, timeout: float, calmly: bool = False) -> int | None:
    """The height of the wallet that is open; None where none is."""
    try:
        return height(rpc, timeout)
    except RpcError as refused:
        if refused.code != NO_WALLET_FILE and not calmly:
            raise
    except NoAnswer:
        if not calmly:
            raise
    return None


def _lines(wallet: Wallet, since: int) -> list[str]:
    secrets = [wallet.file_password, wallet.login.password if wallet.login else ""]
    return _monero_process.log_lines(wallet.log_path, LOG_LINES, since, secrets) if wallet.log_path else []


def _late(wallet: Wallet, silence: NoAnswer) -> tuple[str, str]:
    files = _files(wallet) if silence.late else None
    if files is not None and files["open_wallet"] == wallet.file:
        return "opening", f"{silence}; the RPC holds its .keys file, so it is at work on it: ask again, and do not restart it"
    return "port_closed" if silence.closed else "not_responding", clean_line(str(silence), 200)


def _how(lines: list[str], before: int | None, opened: str | None) -> str:
    said = (
        [f"{opened} was stored and closed"]
        if opened
        else ["the one that was open was stored and closed"]
        if before is not None
        else []
    )
    if any(NO_CACHE in line for line in lines):
        said.append("it had no cache and begins to look through the chain anew")
    return "; ".join(["opened by its own RPC", *said])
