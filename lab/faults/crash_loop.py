# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A setting the server refuses: somebody wrote `ten` where a number belongs, and deployed it."""

from __future__ import annotations

from lab.faults.outside import health_status, must_show, site_status
from lab.instance import Lab
from lab.places import COMPOSE_DIR

SUMMARY = "the site says 502: the server refuses a setting and is started again and again"


def break_(lab: Lab) -> None:
    lab.run(["sed", "--in-place", "s/^POOL_SIZE=.*/POOL_SIZE=ten/", f"{COMPOSE_DIR}/.env"], check=True)
    lab.compose(["up", "--detach", "--no-deps", "--no-build", "server"], check=True)
    must_show("a server that was started at least three times", lambda: _restarts(lab) >= 2)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)


def _restarts(lab: Lab) -> int:
    counted = lab.docker(["inspect", "--format", "{{.RestartCount}}", lab.container("server") or "server"]).stdout.strip()
    return int(counted) if counted.isdecimal() else 0
