# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One page of an index inverted on the disk: every row is there, and no order can be added."""

from __future__ import annotations

from lab.faults import database, pages
from lab.faults.outside import must_show
from lab.instance import Lab

SUMMARY = "no order can be placed (500): a page of an index is damaged, health says all is well"


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    database.stop(lab)
    database.keep(lab)
    pages.invert(lab, pages.leaf(lab, "orders_created", pages.RIGHTMOST))
    database.start(lab)
    database.must_serve(lab)
    must_show("500 for an order", lambda: database.ask(lab, "/api/orders", {"total_piconero": 10**9})[0] == 500, 20)


heal_ = database.put_back
