# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of free pages inverted on the disk: nothing is missing, and the next row that needs a page cannot be written."""

from __future__ import annotations

from lab.errors import LabError
from lab.faults import database, pages
from lab.instance import Lab

SUMMARY = "nothing is seen yet: the list of free pages is damaged, and new rows will fail"


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    database.stop(lab)
    database.keep(lab)
    pages.invert(lab, pages.free(lab))
    found = database.integrity(lab)
    database.start(lab)
    database.must_serve(lab)
    if found == ["ok"]:
        raise LabError("The fault did not show: SQLite finds a copy whole. `script/lab heal` undoes it.")


heal_ = database.put_back
