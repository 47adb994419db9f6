# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Whether the server reaches a wallet, tried from inside its own network namespace, and from the host to know that the wallet answers."""

from __future__ import annotations

import json
import sys
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import ask_all, run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._engine_files import Living

CONNECT_SECONDS = 1.5
# A program of its own, because only a process that is started there can look from there. A refusal is an answer: nothing is cut.
_PROGRAM = """
import json, socket, sys, threading
targets, seconds = json.loads(sys.argv[1])
found = {}
def connect(host, port):
    try:
        socket.create_connection((host, port), seconds).close()
        found[f"{host} {port}"] = "open"
    except ConnectionRefusedError:
        found[f"{host} {port}"] = "refused"
    except OSError as problem:
        found[f"{host} {port}"] = "silent"
threads = [threading.Thread(target=connect, args=tuple(one), daemon=True) for one in targets]
for one in threads: one.start()
for one in threads: one.join(seconds + 1)
print(json.dumps(found))
"""


def targets_of(
    project: str, server: str, wallets: Iterable[str], ports: Iterable[int], living: list[Living]
) -> tuple[list[Living], list[tuple[str, str, int]]]:
    """The living containers of the server, and (wallet, address, port) of all ways to a wallet."""
    ours = [one for one in living if one.project == project and not one.paused]
    servers = [one for one in ours if one.service == server]
    gateways = sorted({gateway for one in servers for gateway in one.gateways})
    found = []
    for service in wallets:
        for wallet in (one for one in ours if one.service == service):
            found += [(service, address, port) for address in wallet.addresses for port in ports]
            # By the host's address on the server's own bridge, where a port of the wallet is published.
            found += [(service, gateway, port) for gateway in gateways for port in wallet.published]
    return servers, found


def prove(
    project: str, server: str, wallets: Iterable[str], ports: Iterable[int], living: list[Living]
) -> list[dict[str, Any]]:
    """One entry for each way to a wallet; state cut, reached or unproven."""
    names = list(wallets)
    servers, targets = targets_of(project, server, names, list(ports), living)
    missing = [name for name in names if name not in {wallet for wallet, _address, _port in targets}]
    found = [_entry(name, None, None, "unproven", f"{name} does not run, so there is nothing to reach") for name in missing]
    if not servers:
        return found + [
            _entry(wallet, address, port, "unproven", f"{server} does not run, so nothing could be tried from inside it")
            for wallet, address, port in targets
        ]
    tried = ask_all(
        {"host": lambda: _connect(None, targets), **{one.container_id: _from(one, targets) for one in servers}},
        2 * CONNECT_SECONDS + 4,
    )
    inside = [tried.get(one.container_id) or {} for one in servers]
    return found + [_judged(one, server, inside, tried.get("host") or {}) for one in targets]


def _from(one: Living, targets: list[tuple[str, str, int]]) -> Any:
    return lambda: _connect(one.pid, targets)


def _connect(pid: int | None, targets: list[tuple[str, str, int]]) -> dict[str, str]:
    """How each target answers, from the host or from the network namespace of a process; empty where nobody could try."""
    within = [] if pid is None else ["nsenter", "--target", str(pid), "--net", "--"]
    asked = json.dumps([[list(one[1:]) for one in targets], CONNECT_SECONDS])
    answer = run([*within, sys.executable, "-I", "-c", _PROGRAM, asked], CONNECT_SECONDS + 3)
    try:
        found = json.loads(answer.out) if answer.ok else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _judged(target: tuple[str, str, int], server: str, inside: list[dict[str, str]], host: dict[str, str]) -> dict[str, Any]:
    wallet, address, port = target
    where = f"{address} {port}"
    answers = [one.get(where) for one in inside]
    if any(answer in ("open", "refused") for answer in answers):
        return _entry(wallet, address, port, "reached", f"{server} reaches {wallet} at {address}:{port}")
    if any(answer is None for answer in answers):
        return _entry(
            wallet, address, port, "unproven", f"nothing could be tried from inside {server} (nsenter gave no answer)"
        )
    # A refusal comes from the wallet's own kernel: the host gets through, whether or not somebody listens.
    if host.get(where) not in ("open", "refused"):
        return _entry(wallet, address, port, "unproven", f"{wallet} answers nobody at {address}:{port}, not even the host")
    return _entry(wallet, address, port, "cut", f"{server} does not get through to {wallet} at {address}:{port}, the host does")


def _entry(wallet: str, address: str | None, port: int | None, state: str, sentence: str) -> dict[str, Any]:
    return {"wallet": wallet, "address": address, "port": port, "state": state, "sentence": sentence}


def verdict(proof: list[dict[str, Any]]) -> str:
    """reached where any way is open, cut where each was tried, else unproven."""
    states = {one["state"] for one in proof}
    return "reached" if "reached" in states else "cut" if states == {"cut"} else "unproven"
