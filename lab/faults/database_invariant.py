# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A payout's amount was changed by hand: every page is whole, every reference is there, and the money is wrong."""

from __future__ import annotations

from lab.errors import LabError
from lab.faults import database
from lab.instance import Lab

SUMMARY = "nothing is seen, and SQLite's own check says ok: an escrow was paid another amount than it holds"

CHANGE = "UPDATE payouts SET amount_piconero = amount_piconero + 1 WHERE escrow_id = 20000"
WRONG = "SELECT count(*) FROM escrows JOIN payouts ON escrow_id = escrows.id WHERE payouts.amount_piconero <> escrows.amount_piconero"


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    with database.paused(lab):
        database.keep(lab)
    database.change(lab, CHANGE)
    found = database.examine(lab, WRONG)
    if found != ["1"] or database.integrity(lab) != ["ok"]:
        raise LabError(f"The fault did not show: {found}. `script/lab heal` undoes it.")


heal_ = database.put_back
