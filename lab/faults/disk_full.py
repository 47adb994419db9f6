# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's file system filled by the logs of running containers, which nothing rotates.

The daemon's log level was raised and the server has been writing traces: both really run while their logs grow.
"""

from __future__ import annotations

from lab.faults.outside import container_of, must_show, upload_status, uploads_work
from lab.instance import Lab

SUMMARY = "pictures can no longer be uploaded (500): the engine's disk is full of container logs"

ENGINE_DISK = "/var/lib/docker"
# What a burst of small log lines may still take while somebody repairs; an upload does not fit.
LEFT_BYTES = 24 << 20
# The daemon's is the large one; archiving a log pauses its service, and customers feel only the server's pause.
SHARES = {"monerod": 0.9, "server": 0.1}

# Runs on the host: appends whole lines in the engine's own format, timestamps rising up to now.
GROW = r"""
import datetime, json, os, sys
path, size, text = sys.argv[1], int(sys.argv[2]), sys.argv[3]
line = json.dumps({"log": text * (4096 // len(text)) + "\n", "stream": "stdout", "time": "@"}).replace('"@"', '"%s"') + "\n"
stamp = "%Y-%m-%dT%H:%M:%S.%f000Z"
now = datetime.datetime.now(datetime.timezone.utc)
count = size // len(line % now.strftime(stamp))
with open(path, "a") as log:
    for number in range(count, 0, -1):
        log.write(line % (now - datetime.timedelta(milliseconds=number)).strftime(stamp))
    log.flush()
    os.fsync(log.fileno())
"""
TEXTS = {
    "monerod": "2026-11-24 02:06:49.117 D block queue: span 3210400-3210419 scheduled, 0 peers, retry in 100 ms; ",
    "server": "File /opt/marketplace/marketplace/pool.py, line 71, in acquire: return self._free.get(timeout=1.0); ",
}


def break_(lab: Lab) -> None:
    uploads_work(lab)
    fill(lab)
    must_show("500 for an upload", lambda: upload_status(lab) == 500)


def fill(lab: Lab, left: int = LEFT_BYTES) -> None:
    """Logs of running containers until so many bytes are left."""
    to_fill = _available(lab) - left
    for service, share in SHARES.items():
        path = lab.docker(["inspect", "--format", "{{.LogPath}}", container_of(lab, service)], check=True).stdout.strip()
        lab.run(["python3", "-c", GROW, path, str(int(to_fill * share)), TEXTS[service]], check=True)
    must_show("more than 90 % in use", lambda: _used_percent(lab) > 90)


def _available(lab: Lab) -> int:
    return int(lab.run(["df", "--output=avail", "-B1", ENGINE_DISK], check=True).stdout.split()[1])


def _used_percent(lab: Lab) -> int:
    return int(lab.run(["df", "--output=pcent", ENGINE_DISK], check=True).stdout.split()[1].rstrip("%"))
