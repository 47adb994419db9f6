# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report that somebody began by hand on the host holds the write lock for ever."""

from __future__ import annotations

from lab.faults import database
from lab.faults.outside import must_show
from lab.instance import Lab

SUMMARY = "nobody can buy (503, `database is locked`): a process on the host holds the write lock"

UNIT = "nightly-report.service"
HOLD = r"""
import signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
database.execute("BEGIN IMMEDIATE")
signal.pause()
"""


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    database.run_beside(lab, UNIT, HOLD, database.PATH)
    must_show("503 from the server", lambda: database.health(lab) == 503, 40)
    must_show("a server that names the lock", lambda: database.server_says(lab, "database is locked"))


def heal_(lab: Lab) -> None:
    database.end_beside(lab, UNIT)
