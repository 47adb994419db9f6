# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest archive of the database is damaged on the disk of the backups; the one before it is whole."""

from __future__ import annotations

from lab.faults import backups
from lab.faults.outside import must_show
from lab.faults.wallets import damage
from lab.instance import Lab

SUMMARY = "nothing is seen: the newest backup of the database does not decrypt"


def break_(lab: Lab) -> None:
    newest = backups.two(lab)
    damage(lab, newest)
    must_show("an archive that does not open", lambda: not backups.opens(lab, newest), 1)


heal_ = backups.put_back
