# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""States of the Monero programs, made by plain commands on the lab's host."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lab import escrow
from lab.errors import LabError
from lab.instance import Lab
from lab.shell import wait_until

BUYER = "monero-wallet-rpc-buyer"
LOGIN = "/opt/marketplace/4.5/docker/secrets/wallet_rpc_login"
KEYS = "/data/wallets/buyer/escrow_1.keys"
# Holds the lock that a second wallet program on the same files would hold.
HOLD = f"""
import fcntl, time
file = open({KEYS!r}, "r+")
fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held", flush=True)
time.sleep(60)
"""


def wait_until_ready(lab: Lab) -> None:
    if not wait_until(lab.all_healthy, 120, every=0.5):
        raise LabError("The lab did not become healthy.")
    escrow.open_home(lab)


def rpc(lab: Lab, url: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """By curl, with the login of the file, which is in no command line."""
    body = json.dumps({"jsonrpc": "2.0", "id": "0", "method": method, "params": params})
    ask = f"sed 's/^rpc-login=/user=/' {LOGIN} | curl -s -m 60 --config - --digest {url}/json_rpc -d \"$0\""
    return dict(json.loads(lab.run(["sh", "-c", ask, body], check=True).stdout))


def address(lab: Lab, service: str) -> str:
    shape = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return "http://" + lab.docker(["inspect", "-f", shape, lab.container(service) or ""], check=True).stdout.strip() + ":18082"


def close_wallet(lab: Lab, url: str) -> None:
    rpc(lab, url, "close_wallet", {"autosave_current": True})


def other_wallet(lab: Lab) -> None:
    rpc(lab, address(lab, BUYER), "open_wallet", {"filename": "escrow_2", "password": "", "autosave_current": True})


def busy(lab: Lab) -> None:
    """Opening costs a core some seconds, in which the RPC says nothing: begun, and not waited for."""
    body = json.dumps(
        {
            "jsonrpc": "2.0",
            "id": "0",
            "method": "open_wallet",
            "params": {"filename": "escrow_2", "password": "", "autosave_current": True},
        }
    )
    container = lab.container(BUYER) or ""
    # A tenth of a core, so that it lasts.
    lab.docker(["update", "--cpus", "0.1", container], check=True)
    ask = f"sed 's/^rpc-login=/user=/' {LOGIN} | curl -s -m 90 --config - --digest {address(lab, BUYER)}/json_rpc -d \"$0\""
    lab.run(["systemd-run", "--quiet", "--unit=lab-opener", "sh", "-c", ask, body], check=True)


def halt(lab: Lab, program: str, service: str) -> None:
    lab.run(["sh", "-c", f"pkill -STOP -n -f '^{program} .*' -P {_init(lab, service)}"], check=True)


def _init(lab: Lab, service: str) -> str:
    return lab.docker(["inspect", "-f", "{{.State.Pid}}", lab.container(service) or ""], check=True).stdout.strip()


def keys_locked(lab: Lab) -> None:
    close_wallet(lab, address(lab, BUYER))
    lab.run(["systemd-run", "--quiet", "--unit=lab-holder", "python3", "-c", HOLD], check=True)
    if not wait_until(lambda: "held" in lab.run(["journalctl", "-u", "lab-holder", "-o", "cat"]).stdout, 10, every=0.2):
        raise LabError("The lock was not taken.")


def let_go(lab: Lab) -> None:
    # Docker first: it is asked for the rest.
    lab.run(["pkill", "-CONT", "-x", "dockerd"])
    lab.run(["systemctl", "stop", "lab-holder", "lab-opener"])
    lab.docker(["update", "--cpus", "0", lab.container(BUYER) or ""])


STATES: dict[str, Callable[[Lab], object]] = {
    "wallet_wrong": other_wallet,
    "wallet_busy": busy,
    "wallet_hung": lambda lab: halt(lab, "monero-wallet-rpc", BUYER),
    "wallet_killed": lambda lab: lab.docker(["kill", lab.container(BUYER) or ""], check=True),
    "wallet_paused": lambda lab: lab.docker(["pause", lab.container(BUYER) or ""], check=True),
    "wallet_starting": lambda lab: lab.docker(["restart", lab.container(BUYER) or ""], check=True),
    "wallet_auth": wait_until_ready,
    "keys_locked": keys_locked,
    "daemon_down": lambda lab: lab.docker(["stop", "-t", "60", lab.container("monerod") or ""], check=True),
    "daemon_hung": lambda lab: halt(lab, "monerod", "monerod"),
    "docker_halted": lambda lab: lab.run(["pkill", "-STOP", "-x", "dockerd"], check=True),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "wallet_auth": {
        "wallets": [{"role": "buyer", "service": BUYER, "user": "marketplace", "password": "not-the-password"}],
    },
}
