# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a loss of power the file system gave the database back at its full length, and nothing but zeros in it."""

from __future__ import annotations

from lab.faults import database
from lab.faults.outside import health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 502: the server does not start, its database is all zeros"

ZERO = 'size=$(stat -c %s "$0"); head -c "$size" /dev/zero | dd of="$0" conv=notrunc,fsync bs=1M status=none'


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    database.stop(lab)
    database.keep(lab)
    lab.run(["sh", "-e", "-c", ZERO, database.PATH], check=True)
    database.start(lab)
    must_show("a server that names it", lambda: "file is not a database" in database.last_words(lab), 20)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504))


heal_ = database.put_back
