# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A setting that the server needs is gone from `.env`, and the server was killed: its container still has the value."""

from __future__ import annotations

from lab.errors import LabError
from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab
from lab.places import COMPOSE_DIR

SUMMARY = "the site says 502: the server was killed, and SESSION_KEY is gone from .env, so Compose refuses every command"


def break_(lab: Lab) -> None:
    server = container_of(lab, "server")
    lab.run(["sed", "--in-place", "/^SESSION_KEY=/d", f"{COMPOSE_DIR}/.env"], check=True)
    if lab.compose(["config", "--quiet"]).returncode == 0:
        raise LabError("Compose still reads the project without SESSION_KEY: does docker-compose.yml require it?")
    lab.docker(["kill", server], check=True)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)
