# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server lives but has lost its database connections: a client asks for an export of a day that is none.

Each such request makes the server leak one connection, a defect of its own; a restart gives it all of them back.
"""

from __future__ import annotations

from lab.faults.outside import health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "every page that needs the database answers 503: Failed to get DB connection"

# More than the pool holds, so that a connection freed meanwhile is taken as well.
REQUESTS = 14


def break_(lab: Lab) -> None:
    for _ in range(REQUESTS):
        lab.get("https", "/api/orders/export?since=yesterday", 5)
    must_show("503 from the server", lambda: health_status(lab) == 503)
    must_show("503 from the site", lambda: site_status(lab) == 503)
    must_show("a running container that the engine calls unhealthy", lambda: _server(lab) == ("running", "unhealthy"), 30)


def _server(lab: Lab) -> tuple[str, str]:
    return next(((service.state, service.health) for service in lab.services() if service.name == "server"), ("", ""))
