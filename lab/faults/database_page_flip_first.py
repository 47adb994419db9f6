# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database's first page inverted behind its header: it says what it is, and nobody knows its tables."""

from __future__ import annotations

from lab.faults import database, pages
from lab.faults.outside import health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 502: the server does not start, the database's list of tables is damaged"

HEADER_BYTES = 100


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    database.stop(lab)
    database.keep(lab)
    pages.invert(lab, 1, HEADER_BYTES)
    database.start(lab)
    must_show("a server that names the damage", lambda: "malformed" in database.last_words(lab), 20)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504))


heal_ = database.put_back
