# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server taken off its network and put back by hand, without the name by which nginx looks for it."""

from __future__ import annotations

from lab.faults.outside import NETWORK, address_of, container_of, health_status, must_show, site_status, squat, unsquat
from lab.instance import Lab

SUMMARY = "the site says 502: inside the stack nobody finds the server by its name, though it answers at its address"


def break_(lab: Lab) -> None:
    server = container_of(lab, "server")
    old = address_of(lab, server)
    lab.docker(["network", "disconnect", NETWORK, server], check=True)
    squat(lab, old)
    lab.docker(["network", "connect", NETWORK, server], check=True)
    must_show("200 from the server", lambda: health_status(lab) == 200, 30)
    must_show("a name that nobody finds", lambda: _finds_server(lab) is False)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)


def heal_(lab: Lab) -> None:
    unsquat(lab)
    if not _finds_server(lab):
        server = container_of(lab, "server")
        lab.docker(["network", "disconnect", NETWORK, server])
        lab.docker(["network", "connect", "--alias", "server", NETWORK, server], check=True)


def _finds_server(lab: Lab) -> bool:
    return lab.docker(["exec", container_of(lab, "nginx"), "getent", "hosts", "server"]).returncode == 0
