# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Have wallets written to disk by their own RPC, and say of each what became of it.

Never calls a multisig method: that would spoil an open signing round.
"""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Callable

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Questions
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_rpc import (
    Login,
    LoginRefused,
    NoAnswer,
    Rpc,
    RpcError,
    login_from,
)

NO_WALLET_FILE = -13
# Nothing is lost when these are stopped: what is in memory is on disk, or nothing is in memory.
SAFE = ("stored", "ready", "no_wallet_open")
OPEN = ("opened", "open_already", "ready")
CLOSED = ("closed", "closed_already", "ready")


@dataclass(frozen=True)
class Wallet:
    """One wallet RPC, and how it is reached."""

    name: str
    url: str
    login: Login | None = None
    context: ssl.SSLContext | None = None
    # For opening and closing: the file's name and password, where it lies on the host, and what is known of the RPC's container.
    file: str = ""
    file_password: str = field(default="", repr=False)
    directory: str = ""
    container_id: str | None = None
    log_path: str = ""


class NoLogin(Exception):
    """The file of the login cannot be used; the text is one sentence."""


def read_login(path: str) -> Login:
    try:
        with open(path, encoding="utf-8") as file:
            found = login_from(file.read(65536))
    except (OSError, ValueError) as problem:
        why = getattr(problem, "strerror", None) or "it is no text"
        raise NoLogin(f"The wallets' login in {path} cannot be read ({why}): set marketplace_wallet_login_file.") from None
    if found is None:
        raise NoLogin(f"{path} holds no login: a line rpc-login=user:password is needed, or user:password alone.")
    return found


def store(wallet: Wallet, timeout: float, store_timeout: float, dry: bool = False) -> dict[str, Any]:
    """Height, store, height again. Storing nothing is no failure where no wallet is open."""
    began = time.monotonic()
    found = _blank(wallet)
    try:
        with Rpc(wallet.url, wallet.login, wallet.context) as rpc:
            try:
                found["height_before"] = height(rpc, timeout)
            except NoAnswer as silence:
                # One that is busy with the chain answers nothing short; asked to store it does so when it is done with its part.
                if silence.closed or dry:
                    raise
            if dry:
                found.update(state="ready", detail="would be stored")
            else:
                rpc.call("store", {}, store_timeout)
                found.update(state="stored", detail="written by its own RPC")
                found["height_after"] = height(rpc, timeout)
    except (RpcError, LoginRefused, NoAnswer) as problem:
        # A store that was answered is done, whatever becomes of the question after it.
        if found["state"] != "stored":
            found.update(why(problem))
    found["seconds"] = round(time.monotonic() - began, 2)
    return found


def _blank(wallet: Wallet) -> dict[str, Any]:
    return {
        "name": wallet.name, "url": wallet.url, "state": "not_responding", "height_before": None, "height_after": None, "detail": "",
    }  # fmt: skip


def why(problem: RpcError | LoginRefused | NoAnswer) -> dict[str, str]:
    if isinstance(problem, RpcError) and problem.code == NO_WALLET_FILE:
        return {"state": "no_wallet_open", "detail": "no wallet is open, so there is nothing to store"}
    if isinstance(problem, LoginRefused):
        return {"state": "auth_required", "detail": str(problem)}
    if isinstance(problem, NoAnswer):
        return {"state": "port_closed" if problem.closed else "not_responding", "detail": clean_line(str(problem), 200)}
    return {"state": "failed", "detail": clean_line(str(problem), 200)}


def height(rpc: Rpc, timeout: float) -> int | None:
    found = rpc.call("get_height", {}, timeout).get("height")
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def store_all(
    wallets: list[Wallet], timeout: float, store_timeout: float, dry: bool, done: Callable[[dict[str, Any]], None]
) -> list[dict[str, Any]]:
    """All at once: each waits for its own disk and chain. done is told of each as its turn comes, in the order given."""
    questions = Questions()
    for number, wallet in enumerate(wallets):
        questions.ask(str(number), store, wallet, timeout, store_timeout, dry)
    found = []
    for number in range(len(wallets)):
        try:
            one = questions.answer(str(number), 2 * timeout + store_timeout + 10)
        except KeyError:  # a resolver knows no deadline
            one = {**_blank(wallets[number]), "detail": "no answer in time", "seconds": None}
        done(one)
        found.append(one)
    return found


def words(found: list[dict[str, Any]], good: tuple[str, ...] = SAFE) -> str:
    """Which wallets are not as they should be, such as on disk, and why."""
    return "; ".join(f"{one['name']}: {one['state']} ({one['detail']})" for one in found if one["state"] not in good)
