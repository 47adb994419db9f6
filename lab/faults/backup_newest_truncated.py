# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disk of the backups ran full while the newest archive of the database was written: its second half is missing."""

from __future__ import annotations

from lab.faults import backups
from lab.faults.outside import must_show
from lab.instance import Lab

SUMMARY = "nothing is seen: the newest backup of the database ends in the middle"


def break_(lab: Lab) -> None:
    newest = backups.two(lab)
    # Whoever wrote it took the checksum of what was there.
    script = 'truncate --size=$(($(stat -c %s "$0") / 2)) "$0"; cd "${0%/*}"; sha256sum "${0##*/}" > "${0##*/}.sha256"'
    lab.run(["sh", "-e", "-c", script, newest], check=True)
    must_show("an archive that does not open", lambda: not backups.opens(lab, newest), 1)


heal_ = backups.put_back
