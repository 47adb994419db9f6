# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody has made a backup of the database for days: the job ended with the last change of the host, and nobody was told."""

from __future__ import annotations

from lab.errors import LabError
from lab.faults import backups
from lab.instance import Lab

SUMMARY = "nothing is seen: the newest backup of the database is four days old"

AGE_SECONDS = 4 * 86400


def break_(lab: Lab) -> None:
    backups.keep(lab)
    lab.run(["find", backups.FOLDER, "-mindepth", "1", "-delete"], check=True)
    made = backups.make(lab, AGE_SECONDS)
    if backups.archives(lab) != [made] or not backups.opens(lab, made):
        raise LabError("The fault did not show: there is another backup. `script/lab heal` undoes it.")


heal_ = backups.put_back
