# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's memory limited too tightly by somebody, and a few large uploads at once: the kernel kills it."""

from __future__ import annotations

import contextlib
import http.client
from concurrent.futures import ThreadPoolExecutor

from lab.errors import LabError
from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 502: the kernel killed the server for memory (exit status 137)"

# Above what the server needs at rest; the body of an upload waits in its /tmp, which is memory.
LIMIT = "96m"
UPLOAD_BYTES = 60 << 20
UPLOADS = 3
# As the Compose file has it; swap is what the engine adds by itself.
USUAL = {"memory": "2g", "memory-swap": "4g", "restart": "unless-stopped"}


def break_(lab: Lab) -> None:
    server = container_of(lab, "server")
    lab.docker(["update", "--memory", LIMIT, "--memory-swap", LIMIT, "--restart", "no", server], check=True)
    with ThreadPoolExecutor(UPLOADS) as customers:
        for _ in range(UPLOADS):
            customers.submit(_upload, lab)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)
    if server not in lab.run(["dmesg"], check=True).stdout.partition("oom_memcg=")[2]:
        raise LabError("The kernel's log does not name the server's container: `script/lab heal` undoes the fault.")


def heal_(lab: Lab) -> None:
    server = lab.container("server")
    if server:
        lab.docker(["update", *(word for name, value in USUAL.items() for word in (f"--{name}", value)), server], check=True)


def _upload(lab: Lab) -> None:
    """A picture that the server does not live to take."""
    connection = http.client.HTTPConnection(lab.state["address"], lab.ports["health"], timeout=20)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("POST", "/api/pictures", body=bytes(UPLOAD_BYTES))
        connection.getresponse()
