# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody paused the server. Who, and why, the engine does not know."""

from __future__ import annotations

from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "pages load for ever, the site says 504: the server's container is paused"


def break_(lab: Lab) -> None:
    lab.docker(["pause", container_of(lab, "server")], check=True)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("504 from the site", lambda: site_status(lab) == 504, 30)
