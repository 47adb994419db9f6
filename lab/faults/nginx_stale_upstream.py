# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server made anew at another address, as a deployment by hand does: nginx goes on asking at the old one."""

from __future__ import annotations

from lab.errors import LabError
from lab.faults.outside import address_of, container_of, health_status, must_show, site_status, squat, unsquat
from lab.instance import Lab

SUMMARY = "the site says 502, though the server behind it answers 200"


def break_(lab: Lab) -> None:
    server = container_of(lab, "server")
    old = address_of(lab, server)
    lab.docker(["rm", "--force", server], check=True)
    squat(lab, old)
    lab.compose(["up", "--detach", "--no-deps", "--no-build", "server"], check=True)
    if address_of(lab, container_of(lab, "server")) == old:
        raise LabError(f"The new server was given its old address {old} again: `script/lab heal` first.")
    must_show("200 from the server", lambda: health_status(lab) == 200, 30)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)


def heal_(lab: Lab) -> None:
    unsquat(lab)
