# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker stopped, the socket too: with the socket alone the next `docker ps` would start it again."""

from __future__ import annotations

from lab.faults.outside import must_show, nobody_answers
from lab.instance import Lab

SUMMARY = "the site is gone, and on the host `docker ps` cannot connect to the Docker daemon"


def break_(lab: Lab) -> None:
    lab.run(["systemctl", "stop", "docker.socket", "docker.service"], check=True)
    must_show("no answer from the site and from the server", lambda: nobody_answers(lab))
    must_show("a stopped daemon", lambda: lab.docker(["version"], timeout=10).returncode != 0)
