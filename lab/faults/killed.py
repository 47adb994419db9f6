# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server killed by hand: exit status 137, as after a kill for memory, of which the kernel knows nothing."""

from __future__ import annotations

from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 502: the server was killed (exit status 137)"


def break_(lab: Lab) -> None:
    lab.docker(["kill", container_of(lab, "server")], check=True)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)
