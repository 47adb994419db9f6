# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host rebooted, after somebody had told the engine not to start server and nginx by itself, and forgot about it."""

from __future__ import annotations

from lab.faults.outside import container_of, must_show, nobody_answers
from lab.instance import Lab

SUMMARY = "the site is gone since the host was rebooted: server and nginx did not come back with the others"

SERVICES = ("server", "nginx")


def break_(lab: Lab) -> None:
    lab.docker(["update", "--restart=no", *(container_of(lab, service) for service in SERVICES)], check=True)
    lab.reboot()
    must_show("containers that came back", lambda: _runs(lab, "database") and _runs(lab, "monerod"), 60)
    must_show("no answer from the site and from the server", lambda: nobody_answers(lab))


def heal_(lab: Lab) -> None:
    there = [identity for service in SERVICES if (identity := lab.container(service))]
    if there:
        lab.docker(["update", "--restart=unless-stopped", *there])


def _runs(lab: Lab, service: str) -> bool:
    return any(one.name == service and one.state == "running" for one in lab.services())
