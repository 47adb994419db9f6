# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's container removed and its image with it, as a careless prune does while the stack is down."""

from __future__ import annotations

from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab
from lab.stack.project import SERVER_IMAGE

SUMMARY = "the site says 502: the server has no container, and its image is not on the host"


def break_(lab: Lab) -> None:
    lab.docker(["rm", "--force", container_of(lab, "server")], check=True)
    lab.docker(["rmi", "--force", SERVER_IMAGE], check=True)
    must_show("a missing image", lambda: lab.docker(["image", "inspect", SERVER_IMAGE]).returncode != 0)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)
