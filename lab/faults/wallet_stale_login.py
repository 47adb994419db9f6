# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vendor's RPC is started without a login of its own, in the wallets' folder, where a run as root once left a .login file.

Without --rpc-login it writes a random password into monero-wallet-rpc.PORT.login in its working folder, and refuses to start
where it cannot: for Monero 0.18.0 that is a file of another user, or one that a live process holds (src/common/util.cpp).
Once that file is gone the RPC starts, with a random password that neither the server nor the health check knows: the override
in the project is undone by a person, here by `heal`.
"""

from __future__ import annotations

from lab.faults.outside import must_show
from lab.faults.wallets import DIRECTORY, PORT, SERVICE, must_be_open, server_says
from lab.instance import Lab
from lab.places import COMPOSE_DIR

SUMMARY = "no escrow is paid: the vendor's wallet RPC does not start, `Failed to create file monero-wallet-rpc.18082.login`"

OVERRIDE = f"{COMPOSE_DIR}/docker-compose.override.yml"
LOGIN_FILE = f"{DIRECTORY}/monero-wallet-rpc.{PORT}.login"
TEXT = f"""services:
  {SERVICE}:
    working_dir: /wallets
    command:
      - monero-wallet-rpc
      - --daemon-address=monerod:18081
      - --trusted-daemon
      - --wallet-dir=/wallets
      - --rpc-bind-ip=0.0.0.0
      - --rpc-bind-port={PORT}
      - --confirm-external-bind
      - --non-interactive
      - --log-file=/tmp/wallet-rpc.log
"""


def break_(lab: Lab) -> None:
    must_be_open(lab)
    lab.run(["sh", "-c", f"umask 377 && cat > {LOGIN_FILE}"], check=True, stdin="monero:AAAAAAAAAAAAAAAAAAAAAA==")
    lab.run(["sh", "-c", f"cat > {OVERRIDE}"], check=True, stdin=TEXT)
    lab.compose(["up", "--detach", "--no-deps", SERVICE], check=True)
    must_show("a start that is refused for the file", lambda: _refused(lab), 90)
    must_show("a server that misses the vendor's wallet", lambda: server_says(lab, "not_responding"))


def heal_(lab: Lab) -> None:
    lab.run(["rm", "-f", LOGIN_FILE, OVERRIDE], check=True)
    lab.compose(["up", "--detach", "--no-deps", SERVICE], check=True)


def _refused(lab: Lab) -> bool:
    return "Failed to create file" in lab.compose(["logs", "--no-color", "--tail", "20", SERVICE]).stdout
