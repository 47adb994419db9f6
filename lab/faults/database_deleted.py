# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database was deleted by mistake, its log with it: the server still has both open and trades on."""

from __future__ import annotations

from lab.errors import LabError
from lab.faults import database
from lab.faults.outside import must_show
from lab.faults.wallets import process_of
from lab.instance import Lab

SUMMARY = "customers notice nothing, and the next restart loses everything: the server's database is deleted"


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    with database.paused(lab):
        database.keep(lab)
        lab.run(["sh", "-c", f"rm {database.PATH}*"], check=True)
    must_show("a server that trades on", lambda: bool(database.place_order(lab)))
    if lab.run(["test", "-e", database.PATH]).returncode == 0:
        raise LabError("The fault did not show: the database is there. `script/lab heal` undoes it.")
    must_show("a deleted file that the server holds", lambda: _held(lab), 10)
    must_show("an unhealthy database service", lambda: _database(lab) == "unhealthy", 30)


heal_ = database.put_back


def _held(lab: Lab) -> bool:
    links = lab.run(["sh", "-c", 'ls -l "/proc/$0/fd"', process_of(lab, "server")]).stdout
    return f"{database.PATH} (deleted)" in links


def _database(lab: Lab) -> str:
    return next((service.health for service in lab.services() if service.name == "database"), "")
