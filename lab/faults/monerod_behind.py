# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon follows another node that is two hundred blocks ahead, over a thin line: it syncs, slowly.

A daemon that runs with --offline always claims to be synchronized, so its start line is changed; `heal` takes it back.
"""

from __future__ import annotations

from lab.faults import chain
from lab.faults.outside import address_of, container_of, must_show
from lab.instance import Lab
from lab.places import COMPOSE_DIR
from lab.stack.project import STACK_IMAGE

SUMMARY = "payouts are not confirmed: monerod is 200 blocks behind the network and takes some minutes to catch up"

BLOCKS = 200
NODE = "marketplace-lab-node"
FOLDER = "/var/lib/marketplace-lab-node"
START = f"{COMPOSE_DIR}/monerod/run.sh"
FOLLOWS = "--add-exclusive-node={address}:18080 --allow-local-ip --block-sync-size=1 --limit-rate-down=1"
COMMAND = (
    "monerod", "--regtest", "--keep-fakechain", "--no-zmq", "--no-igd", "--hide-my-port", "--non-interactive",
    "--fixed-difficulty=1", "--disable-rpc-ban", "--data-dir=/monero", "--log-file=/dev/null", "--rpc-bind-ip=0.0.0.0",
    f"--rpc-bind-port={chain.PORT}", "--confirm-external-bind", "--allow-local-ip",
)  # fmt: skip


def break_(lab: Lab) -> None:
    daemon = container_of(lab, chain.SERVICE)
    lab.docker(["stop", "--time", "120", daemon], check=True, timeout=180)
    lab.run(["rm", "-rf", FOLDER], check=True)
    lab.run(["cp", "-a", chain.DATA, FOLDER], check=True)
    # Only an offline node makes blocks without peers; afterwards it tells others of them.
    _start_node(lab, "--offline")
    chain.mine(lab, BLOCKS, NODE)
    lab.docker(["stop", "--time", "120", NODE], check=True, timeout=180)
    lab.docker(["rm", NODE], check=True)
    _start_node(lab)
    follows = FOLLOWS.format(address=address_of(lab, NODE))
    lab.run(["sed", "-i", f"s/--offline/{follows}/", START], check=True)
    lab.docker(["start", daemon], check=True)
    must_show("a daemon behind its peer", lambda: _behind(lab), 90)


def heal_(lab: Lab) -> None:
    changed = lab.run(["grep", "--quiet", "exclusive-node", START]).returncode == 0
    lab.run(["git", "-C", COMPOSE_DIR, "checkout", "--quiet", "--", "monerod"], check=True)
    if changed and lab.container(chain.SERVICE):
        chain.restart(lab)
    lab.docker(["rm", "--force", NODE])
    lab.run(["rm", "-rf", FOLDER], check=True)


def _start_node(lab: Lab, *more: str) -> None:
    lab.docker(
        ["run", "--detach", "--name", NODE, "--network", "marketplace_default", "--init", "--user", "10001:10001",
         "--volume", f"{FOLDER}:/monero", STACK_IMAGE, *COMMAND, *more], check=True,
    )  # fmt: skip
    must_show("a second node that answers", lambda: chain.answers(lab, NODE), 60)


def _behind(lab: Lab) -> bool:
    if not chain.answers(lab):
        return False
    told = chain.ask(lab, "get_info")
    return bool(told["height"] < told["target_height"] and not told["synchronized"])
