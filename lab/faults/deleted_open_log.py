# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx's access log had grown over the disk, and somebody in need of room deleted it: nginx holds it open and writes on."""

from __future__ import annotations

from lab.faults.disk_full import ENGINE_DISK, LEFT_BYTES
from lab.faults.outside import container_of, must_show, upload_status, uploads_work
from lab.instance import Lab

SUMMARY = "pictures can no longer be uploaded (500): the disk is full, and `du` does not find of what"

LOG = "/var/log/nginx/access.log"


def break_(lab: Lab) -> None:
    uploads_work(lab)
    nginx = container_of(lab, "nginx")
    grow = _available(lab) - LEFT_BYTES
    lab.docker(["exec", nginx, "sh", "-c", f"fallocate --offset $(stat -c %s {LOG}) --length {grow} {LOG}"], check=True)
    lab.docker(["exec", nginx, "rm", LOG], check=True)
    must_show("a full disk though the log is gone", lambda: _available(lab) <= 2 * LEFT_BYTES)
    must_show("500 for an upload", lambda: upload_status(lab) == 500)


def heal_(lab: Lab) -> None:
    lab.docker(["exec", container_of(lab, "nginx"), "nginx", "-c", "/etc/marketplace/nginx.conf", "-s", "reopen"])
    # The blocks go back to the machine too, not only to the lab's file system.
    lab.run(["fstrim", ENGINE_DISK])


def _available(lab: Lab) -> int:
    return int(lab.run(["df", "--output=avail", "-B1", ENGINE_DISK], check=True).stdout.split()[1])
