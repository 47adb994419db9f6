# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the faults of wallets share: whom they hit, how its RPC is asked, and its files kept for the way back."""

from __future__ import annotations

import json
from typing import Any

from lab.errors import LabError
from lab.faults.outside import address_of, container_of, must_show
from lab.instance import Lab
from lab.shell import wait_until
from lab.stack.project import STACK_IMAGE, WALLET_LOGIN, WALLET_NAME

ROLE = "vendor"
SERVICE = f"monero-wallet-rpc-{ROLE}"
DIRECTORY = f"/data/wallets/{ROLE}"
CACHE = f"{DIRECTORY}/{WALLET_NAME}"
KEYS = f"{CACHE}.keys"
PORT = 18082

NO_WALLET_FILE = -13
# Not below /data: a fault there must not reach it.
KEPT = f"/var/lib/marketplace-lab-kept/{ROLE}"
# What it logs there goes with it.
TEMPORARY = "/tmp"  # noqa: S108  # in its own container
STRANGER = "marketplace-wallet-check"


class RefusedError(Exception):
    """The RPC's own words; its code where it has one."""

    def __init__(self, words: str, code: int = 0) -> None:
        super().__init__(words)
        self.code = code


def ask(lab: Lab, method: str, role: str = ROLE, seconds: int = 120, **params: Any) -> dict[str, Any]:
    """One question to a wallet's RPC, asked on the host by curl."""
    address = address_of(lab, container_of(lab, f"monero-wallet-rpc-{role}"))
    return rpc(lab, f"http://{address}:{PORT}/json_rpc", method, seconds, WALLET_LOGIN, **params)


def rpc(lab: Lab, url: str, method: str, seconds: int = 120, login: str = "", **params: Any) -> dict[str, Any]:
    """One question to any JSON-RPC, asked on the host by curl."""
    body = json.dumps({"jsonrpc": "2.0", "id": "0", "method": method, "params": params})
    secret = f'digest\nuser = "{login}"\n' if login else ""
    argv = ["curl", "--silent", "--show-error", "--fail", "--max-time", str(seconds), "--config", "-", "--data", body, url]
    answer = lab.run(argv, stdin=secret or "silent\n", timeout=seconds + 30)
    if answer.returncode != 0:
        raise RefusedError(answer.stderr.strip() or f"curl ended with {answer.returncode}")
    reply = json.loads(answer.stdout)
    if "error" in reply:
        raise RefusedError(str(reply["error"]["message"]), int(reply["error"]["code"]))
    return dict(reply["result"])


def server_says(lab: Lab, state: str, role: str = ROLE) -> bool:
    """Whether the server's health names that state for a wallet."""
    _, said = lab.get("health", "/api/health", 2)
    return f'"{role}":"{state}"' in said.replace(" ", "")


def open_fails(lab: Lab, words: str = "") -> bool:
    """Whether the wallet cannot be opened; a wallet that is open after all makes a fault none."""
    try:
        ask(lab, "open_wallet", filename=WALLET_NAME, password="")
    except RefusedError as refused:
        return words in str(refused)
    return False


def must_be_open(lab: Lab) -> None:
    """A wallet that was not open before cannot be lost."""
    if not wait_until(lambda: server_says(lab, "ready"), 180, every=0.5):
        raise LabError(f"The {ROLE}'s wallet is not ready before the fault: `script/lab heal` first.")


def process_of(lab: Lab, service: str) -> str:
    """The service's own process; the container's first one is the engine's init."""
    init = lab.docker(["inspect", "--format", "{{.State.Pid}}", container_of(lab, service)], check=True).stdout.strip()
    found = lab.run(["pgrep", "--parent", init]).stdout.split()
    if len(found) != 1:
        raise LabError(f"One process was expected below {service}'s init, found {len(found)}: `script/lab heal` first.")
    return found[0]


def stop_stored(lab: Lab) -> None:
    """Its RPC ends as it should: the wallet stored."""
    lab.docker(["stop", "--time", "60", container_of(lab, SERVICE)], check=True)


def keep(lab: Lab) -> None:
    """A copy of all its files, for the way back; the wallet's RPC must be stopped."""
    lab.run(["rm", "-rf", KEPT], check=True)
    lab.run(["mkdir", "-p", KEPT], check=True)
    lab.run(["cp", "-a", f"{DIRECTORY}/.", KEPT], check=True)


def put_back(lab: Lab) -> None:
    """The files as they were kept, and nothing beside them. What was signed since then, the next exchange makes good."""
    if lab.run(["test", "-d", KEPT]).returncode != 0:
        return
    there = lab.container(SERVICE)
    if there:
        lab.docker(["stop", "--time", "60", there], check=True)
    lab.run(["find", DIRECTORY, "-mindepth", "1", "-delete"], check=True)
    lab.run(["cp", "-a", f"{KEPT}/.", DIRECTORY], check=True)
    lab.run(["rm", "-rf", KEPT], check=True)
    if there:
        lab.docker(["start", there], check=True)


def start_without_wallet(lab: Lab) -> None:
    """Its RPC answers again, and has nothing open."""
    lab.docker(["start", container_of(lab, SERVICE)], check=True)
    must_show("a wallet RPC that has no wallet open", lambda: server_says(lab, "no_wallet_open"), 90)


def damage(lab: Lab, file: str) -> None:
    """The middle of a file overwritten with other bytes of the same length."""
    script = (
        "import os, sys\n"
        "with open(sys.argv[1], 'r+b') as file:\n"
        "    size = os.fstat(file.fileno()).st_size\n"
        "    file.seek(size // 4)\n"
        "    file.write(os.urandom(size // 2))\n"
    )
    lab.run(["python3", "-c", script, file], check=True)


def run_stranger(lab: Lab, *words: str, network: str = "marketplace_default") -> str:
    """A container beside the project, of the stack's image, on the victim's wallets; its identity."""
    return lab.docker(
        ["run", "--detach", "--name", STRANGER, "--network", network, "--init", "--user", "10001:10001", "--tmpfs", TEMPORARY,
         "--volume", f"{DIRECTORY}:/wallets", STACK_IMAGE, *words], check=True,
    ).stdout.strip()  # fmt: skip


def remove_stranger(lab: Lab) -> None:
    """Stopped as it should be, so that what it holds open is stored; then gone."""
    lab.docker(["stop", "--time", "60", STRANGER])
    lab.docker(["rm", "--force", STRANGER])
