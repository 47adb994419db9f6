# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody deleted -wal and -shm against a lock: the server goes on in files that no longer have a name."""

from __future__ import annotations

from lab.errors import LabError
from lab.faults import database
from lab.faults.outside import must_show
from lab.instance import Lab

SUMMARY = "customers notice nothing, and what they bought last is in a deleted file: the database's log was removed"

ORDER = "SELECT count(*) FROM orders WHERE reference = '{}'"


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    with database.paused(lab):
        database.keep(lab)
        lab.run(["rm", f"{database.PATH}-wal", f"{database.PATH}-shm"], check=True)
    reference = database.place_order(lab)
    if not reference or reference not in database.ask(lab, "/api/orders")[1]:
        raise LabError("The server does not trade on with its deleted log. `script/lab heal` undoes it.")
    must_show("a database on the disk without the newest order",
              lambda: database.examine(lab, ORDER.format(reference)) == ["0"], 1)  # fmt: skip


heal_ = database.put_back
