# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's process stopped in its tracks: its port accepts connections, and nobody ever answers."""

from __future__ import annotations

import socket

from lab.errors import LabError
from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "pages load for ever: the server accepts connections and never answers, the site says 504"


def break_(lab: Lab) -> None:
    init = lab.docker(["inspect", "--format", "{{.State.Pid}}", container_of(lab, "server")], check=True).stdout.strip()
    # The container's first process is the engine's init; the server is its child.
    server = lab.run(["pgrep", "--parent", init]).stdout.split()
    if len(server) != 1:
        raise LabError(f"One server process was expected in its container, found {len(server)}: `script/lab heal` first.")
    lab.run(["kill", "-STOP", *server], check=True)
    with socket.create_connection((lab.state["address"], lab.ports["health"]), timeout=5):
        must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("504 from the site", lambda: site_status(lab) == 504, 30)
