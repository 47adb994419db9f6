# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database is encrypted, and its key was changed in the site's settings only: the server reads nothing with the new one.

To whoever has the wrong key, an encrypted file and a damaged one look alike.
"""

from __future__ import annotations

from lab.faults import database
from lab.faults.outside import health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 502: `file is not a database`, the server has another key than the one it is encrypted with"

RIGHT, WRONG = "the-key-of-last-year", "the-key-of-this-year"

ENCRYPT = r"""
import os, shutil, sys
from sqlcipher3 import dbapi2
path, key = sys.argv[1:]
plain = dbapi2.connect(path, isolation_level=None)
plain.execute("ATTACH DATABASE ? AS locked KEY ?", (path + ".locked", key))
plain.execute("SELECT sqlcipher_export('locked')")
plain.execute("DETACH DATABASE locked")
plain.close()
with open(path + ".locked", "rb") as locked, open(path, "r+b") as old:
    shutil.copyfileobj(locked, old)
    old.truncate()
    os.fsync(old.fileno())
os.unlink(path + ".locked")
"""


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    database.stop(lab)
    database.keep(lab)
    lab.run(["python3", "-c", ENCRYPT, database.PATH, RIGHT], check=True)
    # It works with the right one: what is wrong is the key alone.
    database.deploy(lab, DATABASE_KEY=RIGHT)
    database.must_serve(lab)
    database.deploy(lab, DATABASE_KEY=WRONG)
    # Compose leaves the server alone where the database does not get well; whoever deployed it starts it by hand.
    database.start(lab)
    must_show("a server that reads nothing", lambda: "file is not a database" in database.last_words(lab), 90)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504))


heal_ = database.put_back
