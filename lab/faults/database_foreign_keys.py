# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody deleted a customer in the sqlite3 shell, which knows no foreign keys: the orders of that customer are nobody's."""

from __future__ import annotations

from lab.errors import LabError
from lab.faults import database
from lab.instance import Lab

SUMMARY = "nothing is seen, and SQLite's own check says ok: orders name a customer who is not there"

# One that bought, of the middle.
DELETE = "DELETE FROM users WHERE id = (SELECT buyer_id FROM orders WHERE reference = 'S-25000')"


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    with database.paused(lab):
        database.keep(lab)
    database.change(lab, DELETE)
    found = database.examine(lab, "PRAGMA foreign_key_check")
    if not found or database.integrity(lab) != ["ok"]:
        raise LabError(f"The fault did not show: {found}. `script/lab heal` undoes it.")


heal_ = database.put_back
