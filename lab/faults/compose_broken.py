# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Half an edit: somebody began to change the published ports of nginx, and the server was killed before they went on."""

from __future__ import annotations

from lab.errors import LabError
from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab
from lab.places import COMPOSE_DIR

SUMMARY = "the site says 502: the server was killed, and docker-compose.yml is half edited, so Compose refuses every command"

EDIT = r's/^    ports: \["80:80", "443:443"\]$/    ports: ["80:80", "443:443"/'


def break_(lab: Lab) -> None:
    server = container_of(lab, "server")
    lab.run(["sed", "--in-place", EDIT, f"{COMPOSE_DIR}/docker-compose.yml"], check=True)
    if lab.compose(["config", "--quiet"]).returncode == 0:
        raise LabError("Compose still reads the edited file: the line to edit was not found in docker-compose.yml.")
    lab.docker(["kill", server], check=True)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)
