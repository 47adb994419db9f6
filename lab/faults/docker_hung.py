# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker daemon stopped in its tracks, while all of its containers serve."""

from __future__ import annotations

from lab.errors import LabError
from lab.faults.outside import must_show, site_status
from lab.instance import Lab

SUMMARY = "the site still answers, but on the host every docker command hangs: nothing is watched or started again any more"


def break_(lab: Lab) -> None:
    lab.run(["systemctl", "kill", "--kill-who=main", "--signal=STOP", "docker.service"], check=True)
    must_show("a daemon that does not answer", lambda: _hangs(lab))
    if site_status(lab) != 200:
        raise LabError("The site does not answer beside the halted daemon: `script/lab heal`, then again.")


def _hangs(lab: Lab) -> bool:
    return lab.run(["timeout", "3", "docker", "version"]).returncode == 124
