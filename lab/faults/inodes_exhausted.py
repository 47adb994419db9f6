# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every inode of the engine's file system taken by empty files, as a proxy leaves them that never tidies up after uploads."""

from __future__ import annotations

from lab.faults.outside import container_of, must_show, upload_status, uploads_work
from lab.instance import Lab

SUMMARY = "pictures can no longer be uploaded (500), though the engine's disk has room: no inode is left"

ENGINE_DISK = "/var/lib/docker"
# Where nginx writes the bodies of requests; its own files there are named by number alone.
FOLDER = "/var/lib/nginx/body"

# Runs in nginx's container: until the file system says that there is no more.
FILL = f"""
import errno, os
number = 0
try:
    while True:
        os.close(os.open("{FOLDER}/upload-%08d" % number, os.O_CREAT | os.O_WRONLY, 0o600))
        number += 1
except OSError as full:
    if full.errno != errno.ENOSPC:
        raise
"""


def break_(lab: Lab) -> None:
    uploads_work(lab)
    lab.docker(["exec", container_of(lab, "nginx"), "python3", "-c", FILL], check=True)
    must_show("no free inode", lambda: _free_inodes(lab) == 0)
    must_show("500 for an upload", lambda: upload_status(lab) == 500)


def heal_(lab: Lab) -> None:
    # On the host: with no inode left the engine itself can no longer run anything in a container.
    folders = f"{ENGINE_DISK}/overlay2/*/merged{FOLDER}"
    lab.run(["sh", "-c", f"find {folders} -name 'upload-*' -delete"])


def _free_inodes(lab: Lab) -> int:
    return int(lab.run(["df", "--output=iavail", ENGINE_DISK], check=True).stdout.split()[1])
