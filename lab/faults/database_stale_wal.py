# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody copied a backup over the database while the server was dead: the log of the old one stayed beside, and was replayed.

The backup is whole and so is the log. They do not belong together.
"""

from __future__ import annotations

from lab.errors import LabError
from lab.faults import database
from lab.faults.outside import health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 502: a backup was copied over the database, and the log of the old one lies beside it"

# The image of a backup has its pages in another order.
OVERWRITE = r"""
import glob, os, shutil, sqlite3, sys
path, scratch = sys.argv[1:]
shutil.rmtree(scratch, ignore_errors=True)
os.makedirs(scratch)
for file in glob.glob(path + "*"):
    if file[len(path):] in ("", "-wal"):
        shutil.copy(file, scratch)
copy = os.path.join(scratch, os.path.basename(path))
database = sqlite3.connect(copy)
database.execute("VACUUM INTO ?", (scratch + "/image",))
database.close()
with open(scratch + "/image", "rb") as image, open(path, "r+b") as old:
    shutil.copyfileobj(image, old)
    old.truncate()
    os.fsync(old.fileno())
shutil.rmtree(scratch)
"""


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    must_show("a log that is not empty", lambda: lab.run(["test", "-s", f"{database.PATH}-wal"]).returncode == 0)
    database.kill(lab)
    database.keep(lab)
    lab.run(["python3", "-c", OVERWRITE, database.PATH, database.SCRATCH], check=True)
    if database.integrity(lab) == ["ok"]:
        raise LabError("The fault did not show: SQLite finds a copy whole. `script/lab heal` undoes it.")
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504))


heal_ = database.put_back
