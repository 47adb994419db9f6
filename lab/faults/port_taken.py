# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server stopped, and a program of the host's, started meanwhile, listens on its port."""

from __future__ import annotations

from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 502, and on the server's port a stranger answers 404"

UNIT = "file-share.service"


def break_(lab: Lab) -> None:
    lab.docker(["stop", container_of(lab, "server")], check=True)
    lab.run(
        ["systemd-run", "--quiet", "--collect", f"--unit={UNIT}", "--uid=nobody", "--working-directory=/opt",
         "python3", "-m", "http.server", "8080"], check=True,
    )  # fmt: skip
    must_show("404 on the server's port", lambda: health_status(lab) == 404)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)


def heal_(lab: Lab) -> None:
    lab.run(["systemctl", "stop", UNIT])
