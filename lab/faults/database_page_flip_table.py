# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One page of the orders' table inverted on the disk: old orders cannot be read, new ones are taken as if nothing were."""

from __future__ import annotations

from lab.faults import database, pages
from lab.faults.outside import must_show
from lab.instance import Lab

SUMMARY = "the export of orders answers 500: a page of their table is damaged, health says all is well"

EXPORT = "/api/orders/export?since=2000-01-01"


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    database.stop(lab)
    database.keep(lab)
    # Near the left end: among the thousand orders that an export begins with.
    pages.invert(lab, pages.leaf(lab, "orders", 5))
    database.start(lab)
    database.must_serve(lab)
    must_show("500 for the export of orders", lambda: database.ask(lab, EXPORT)[0] == 500, 20)


heal_ = database.put_back
