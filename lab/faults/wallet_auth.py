# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A password was changed, the vendor's wallet RPC restarted with it, and the change taken back: that RPC alone knows the new one.

The file, the server and the other two wallets agree on the old one; only a restart makes the vendor's read the file again.
"""

from __future__ import annotations

import contextlib

from lab.faults.outside import container_of, must_show
from lab.faults.wallets import SERVICE, RefusedError, ask, must_be_open, server_says
from lab.instance import Lab
from lab.places import COMPOSE_DIR
from lab.stack.project import WALLET_LOGIN

SUMMARY = "no escrow is paid: the vendor's wallet RPC refuses the login (401) that file and server have"

FILE = f"{COMPOSE_DIR}/secrets/wallet_rpc_login"
OTHER = "marketplace:changed-and-taken-back"


def break_(lab: Lab) -> None:
    must_be_open(lab)
    wallet = container_of(lab, SERVICE)
    lab.docker(["stop", "--time", "60", wallet], check=True)
    # For a moment only: the other wallets' health checks read the file too.
    _write(lab, OTHER)
    since = lab.run(["date", "+%s.%N"], check=True).stdout.strip()
    lab.docker(["start", wallet], check=True)
    must_show("a start with the new password", lambda: "Binding on" in lab.docker(["logs", "--since", since, wallet]).stdout)
    _write(lab, WALLET_LOGIN)
    must_show("a server that is refused by the vendor's wallet", lambda: server_says(lab, "auth_required"))


def heal_(lab: Lab) -> None:
    _write(lab, WALLET_LOGIN)
    there = lab.container(SERVICE)
    if there and _refused(lab):
        lab.docker(["restart", "--time", "60", there], check=True)


def _write(lab: Lab, login: str) -> None:
    """In place: the containers see the file itself, not its name."""
    lab.run(["sh", "-c", f"cat > {FILE}"], check=True, stdin=f"rpc-login={login}\n")


def _refused(lab: Lab) -> bool:
    with contextlib.suppress(RefusedError):
        ask(lab, "get_version", seconds=5)
        return False
    return server_says(lab, "auth_required")
