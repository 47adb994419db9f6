# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody protected the database against change, the server was started afresh and may only read."""

from __future__ import annotations

from lab.faults import database
from lab.faults.outside import must_show
from lab.faults.wallets import process_of
from lab.instance import Lab

SUMMARY = "nobody can buy (503, `attempt to write a readonly database`): the database's mode is 0444"


def break_(lab: Lab) -> None:
    database.must_serve(lab)
    lab.run(["sh", "-c", f"chmod 444 {database.PATH}*"], check=True)
    # Killed, not stopped: stopping would fold the write-ahead log into the database, and -wal and -shm were gone.
    lab.run(["kill", "-KILL", process_of(lab, "server")], check=True)
    must_show("503 from the server", lambda: database.health(lab) == 503, 60)
    must_show("a server that names it", lambda: database.server_says(lab, "readonly database"))


def heal_(lab: Lab) -> None:
    lab.run(["sh", "-c", f"chmod 644 {database.PATH}*"], check=True)
    server = lab.container("server")
    if server:
        lab.docker(["restart", "--time", "20", server], check=True)
