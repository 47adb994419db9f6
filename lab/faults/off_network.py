# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server taken off its network: by a person who isolates it, or by one who was about to put it back. Docker cannot tell."""

from __future__ import annotations

from lab.faults.outside import NETWORK, container_of, health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 504, and the server's own port is dead, though its container is healthy"


def break_(lab: Lab) -> None:
    lab.docker(["network", "disconnect", NETWORK, container_of(lab, "server")], check=True)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("504 from the site", lambda: site_status(lab) in (502, 504), 30)


def heal_(lab: Lab) -> None:
    # Fails where it was put back already, and says so.
    lab.docker(["network", "connect", "--alias", "server", NETWORK, container_of(lab, "server")])
