# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vendor's wallet RPC stopped in its tracks: its port accepts connections, and nobody ever answers."""

from __future__ import annotations

from lab.faults.outside import must_show
from lab.faults.wallets import SERVICE, must_be_open, process_of, server_says
from lab.instance import Lab

SUMMARY = "no escrow is paid: the vendor's wallet RPC accepts connections and never answers"


def break_(lab: Lab) -> None:
    must_be_open(lab)
    lab.run(["kill", "-STOP", process_of(lab, SERVICE)], check=True)
    must_show("a server that gets no answer from the vendor's wallet", lambda: server_says(lab, "not_responding"))
    must_show("an unhealthy container", lambda: _health(lab) == "unhealthy", 90)


def _health(lab: Lab) -> str:
    return next((one.health for one in lab.services() if one.name == SERVICE), "")
