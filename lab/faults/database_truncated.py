# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database was copied onto a disk that ran full: its last third is missing."""

from __future__ import annotations

from lab.faults import database
from lab.faults.outside import health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 502: the server does not start, the last third of its database is missing"

CUT = 'size=$(stat -c %s "$0"); truncate --size $((size / 3 / 4096 * 2 * 4096)) "$0"'


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    database.stop(lab)
    database.keep(lab)
    lab.run(["sh", "-e", "-c", CUT, database.PATH], check=True)
    database.start(lab)
    must_show("a server that names the damage", lambda: "malformed" in database.last_words(lab), 20)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504))


heal_ = database.put_back
