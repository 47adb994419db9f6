# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report that nobody ended still reads the database as it was when it began: the log cannot be begun anew and grows."""

from __future__ import annotations

from lab.faults import database
from lab.faults.outside import must_show
from lab.instance import Lab
from lab.shell import wait_until

SUMMARY = "customers notice nothing yet: the database's log grows without end, a forgotten process reads from before it"

UNIT = "monthly-report.service"
READ = r"""
import signal, sqlite3, sys
database = sqlite3.connect("file:%s?mode=ro" % sys.argv[1], uri=True, isolation_level=None)
database.execute("BEGIN")
database.execute("SELECT count(*) FROM orders").fetchone()
signal.pause()
"""
# Write every page of the table, and together change nothing; a page that stays as it is would not be written.
THERE, BACK = "UPDATE orders SET updated_at = updated_at + 1", "UPDATE orders SET updated_at = updated_at - 1"
LEAST_BYTES = 40 << 20


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    database.run_beside(lab, UNIT, READ, database.PATH)
    must_show("a reader", lambda: _held(lab))
    must_show("a log that has grown", lambda: _touched(lab) and _bytes(lab) > LEAST_BYTES, 60)
    # Whoever tries to begin it anew is told how many pages must stay.
    must_show("a log that cannot be begun anew", lambda: not _emptied(lab), 1)


def heal_(lab: Lab) -> None:
    database.end_beside(lab, UNIT)
    wait_until(lambda: _bytes(lab) == 0 or _emptied(lab), 30, every=0.5)


def _held(lab: Lab) -> bool:
    found = lab.run(["systemctl", "show", "--property=MainPID", "--value", UNIT]).stdout.strip()
    return f"{database.PATH}-shm" in lab.run(["sh", "-c", 'ls -l "/proc/$0/fd"', found]).stdout


def _touched(lab: Lab) -> bool:
    database.change(lab, THERE, BACK)
    return True


def _bytes(lab: Lab) -> int:
    return int(lab.run(["stat", "--format=%s", f"{database.PATH}-wal"]).stdout or 0)


def _emptied(lab: Lab) -> bool:
    said = lab.run(["sqlite3", "-cmd", ".timeout 2000", database.PATH, "PRAGMA wal_checkpoint(TRUNCATE)"])
    return said.stdout.startswith("0|")
