# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two causes at once: the engine's disk full of container logs, and the server killed. Without room it would not last."""

from __future__ import annotations

from lab.faults import disk_full
from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 502: the server is dead, and the engine's disk is full of container logs"


def break_(lab: Lab) -> None:
    disk_full.fill(lab)
    lab.docker(["kill", container_of(lab, "server")], check=True)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)
