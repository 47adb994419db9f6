# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the faults of the daemon share: how it is asked, what the server says of it, and its chain kept for the way back."""

from __future__ import annotations

from typing import Any

from lab.faults.outside import address_of, container_of, must_show
from lab.faults.wallets import RefusedError, rpc
from lab.instance import Lab
from lab.stack.server.marketplace.multisig import CUSTOMER

SERVICE = "monerod"
PORT = 18081
DATA = "/data/monero"
# Not below /data: a fault there must not reach it.
KEPT = "/var/lib/marketplace-lab-kept/chain"


def ask(lab: Lab, method: str, container: str = "", **params: Any) -> dict[str, Any]:
    """One question to the daemon, or to another one in its container."""
    address = address_of(lab, container or container_of(lab, SERVICE))
    return rpc(lab, f"http://{address}:{PORT}/json_rpc", method, 120, **params)


def mine(lab: Lab, blocks: int, container: str = "") -> None:
    """Blocks that belong to nobody of the marketplace."""
    ask(lab, "generateblocks", container, amount_of_blocks=blocks, wallet_address=CUSTOMER)


def answers(lab: Lab, container: str = "") -> bool:
    try:
        ask(lab, "get_info", container)
    except RefusedError:
        return False
    return True


def server_misses_it(lab: Lab) -> bool:
    """As whoever watches the site sees it."""
    status, said = lab.get("health", "/metrics", 3)
    return status == 200 and "\nmonero_daemon_up 0.0" in said


def must_be_missed(lab: Lab) -> None:
    must_show("a server that misses the daemon", lambda: server_misses_it(lab), 40)


def restart(lab: Lab) -> None:
    """Stopped as it should be, with time to write its chain, and started; it returns when the daemon answers."""
    container = container_of(lab, SERVICE)
    lab.docker(["restart", "--time", "120", container], check=True, timeout=180)
    must_show("a daemon that answers", lambda: answers(lab), 60)


def keep(lab: Lab) -> None:
    """A copy of its chain, for the way back; the daemon must be stopped."""
    lab.run(["rm", "-rf", KEPT], check=True)
    lab.run(["mkdir", "-p", KEPT], check=True)
    lab.run(["cp", "-a", f"{DATA}/.", KEPT], check=True)


def put_back(lab: Lab) -> None:
    """The chain as it was kept; wallets that saw later blocks follow it back."""
    if lab.run(["test", "-d", KEPT]).returncode != 0:
        return
    there = lab.container(SERVICE)
    if there:
        lab.docker(["stop", "--time", "120", there], check=True, timeout=180)
    lab.run(["find", DATA, "-mindepth", "1", "-delete"], check=True)
    lab.run(["cp", "-a", f"{KEPT}/.", DATA], check=True)
    lab.run(["rm", "-rf", KEPT], check=True)
    if there:
        lab.docker(["start", there], check=True)
