# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database is damaged, and five escrows were paid since the newest backup: in the backup they wait to be paid."""

from __future__ import annotations

import json

from lab.errors import LabError
from lab.faults import backups, database, database_page_flip_table
from lab.faults.outside import must_show
from lab.instance import Lab
from lab.stack.project import WALLET_NAME

SUMMARY = "the export of orders answers 500, and whoever restores the newest backup pays five escrows twice"

ESCROWS = 5
AMOUNT = 10**9
FUNDED = "SELECT id FROM escrows WHERE state = 'funded' AND wallet_name IS NOT NULL ORDER BY id"


def break_(lab: Lab) -> None:
    """Escrows that are funded already, and a backup that knows of them, are taken as they are."""
    database.must_serve(lab)
    escrows = funded(lab)
    if len(escrows) < ESCROWS:
        escrows = fund(lab, ESCROWS)
        backups.keep(lab)
        backups.make(lab)
    for escrow in escrows[:ESCROWS]:
        if database.ask(lab, f"/api/escrows/{escrow}/release", {})[0] != 202:
            raise LabError(f"Escrow {escrow} cannot be released. `script/lab heal` undoes it.")
    must_show("escrows that are paid", lambda: not set(escrows[:ESCROWS]) & set(unpaid(lab)), 300)
    database_page_flip_table.break_(lab)


def heal_(lab: Lab) -> None:
    database.put_back(lab)
    backups.put_back(lab)


def fund(lab: Lab, number: int) -> list[int]:
    """Escrows whose deposits are there and which nobody has decided on."""
    made = [
        int(json.loads(database.ask(lab, "/api/escrows", {"wallet": WALLET_NAME, "amount_piconero": AMOUNT})[1])["id"])
        for _ in range(number)
    ]
    must_show("funded escrows", lambda: set(made) <= set(funded(lab)), 300)
    return made


def funded(lab: Lab) -> list[int]:
    return [int(number) for number in lab.run(["sqlite3", "-readonly", database.PATH, FUNDED], check=True).stdout.split()]


def unpaid(lab: Lab) -> list[int]:
    query = "SELECT id FROM escrows WHERE state NOT IN ('released', 'refunded')"
    return [int(number) for number in lab.run(["sqlite3", "-readonly", database.PATH, query], check=True).stdout.split()]
