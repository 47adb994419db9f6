# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vendor's wallet RPC killed by hand: its container has exit status 137 and stays down; server and other wallets go on."""

from __future__ import annotations

from lab.faults.outside import container_of, must_show
from lab.faults.wallets import SERVICE, must_be_open, server_says
from lab.instance import Lab

SUMMARY = "no escrow is paid: the vendor's wallet is not_responding in the server's health, its container exited with 137"


def break_(lab: Lab) -> None:
    must_be_open(lab)
    wallet = container_of(lab, SERVICE)
    lab.docker(["kill", wallet], check=True)
    shape = "{{.State.Status}} {{.State.ExitCode}}"
    must_show("exit status 137", lambda: lab.docker(["inspect", "--format", shape, wallet]).stdout.strip() == "exited 137")
    must_show("a server that misses the vendor's wallet", lambda: server_says(lab, "not_responding"))
