# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database was copied by hand and belongs to root now, closed to everyone else; then the server was started afresh."""

from __future__ import annotations

from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.host_container import SERVICE_UID
from lab.instance import Lab

SUMMARY = "the site says 502: the server may not open its own database and is started again and again"

DATABASE = "/data/marketplace.db"


def break_(lab: Lab) -> None:
    lab.run(["sh", "-c", f"chown root:root {DATABASE}* && chmod 000 {DATABASE}*"], check=True)
    # Killed, not stopped: stopping would fold the write-ahead log into the database, and -wal and -shm were gone.
    pid = lab.docker(["inspect", "--format", "{{.State.Pid}}", container_of(lab, "server")], check=True).stdout.strip()
    lab.run(["kill", "-KILL", pid], check=True)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)


def heal_(lab: Lab) -> None:
    lab.run(["sh", "-c", f"chown {SERVICE_UID}:{SERVICE_UID} {DATABASE}* && chmod 644 {DATABASE}*"], check=True)
