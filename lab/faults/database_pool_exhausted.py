# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every connection of the server's pool is lent and never given back: a client that asks for exports of a day that is none."""

from __future__ import annotations

import re

from lab.faults import database, unhealthy
from lab.faults.outside import must_show, site_status
from lab.instance import Lab

SUMMARY = "every page that needs the database answers 503 (Failed to get DB connection): the pool is used up"


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    for _ in range(unhealthy.REQUESTS):
        lab.get("https", "/api/orders/export?since=yesterday", 5)
    must_show("a pool that is used up", lambda: _free(lab) == 0)
    must_show("503 from the server", lambda: database.health(lab) == 503)
    must_show("503 from the site", lambda: site_status(lab) == 503)


def _free(lab: Lab) -> int:
    said = lab.get("health", "/metrics", 3)[1]
    size, used = (re.search(rf"^diesel_connection_pool_{what} (\d+)", said, re.MULTILINE) for what in ("size", "in_use"))
    return int(size[1]) - int(used[1]) if size and used else -1
