# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host came back with /data mounted read-only: the database opens no more, though nothing in it is damaged.

A kernel refuses to make a file system read-only while something is open for writing in it; so those who write there are stopped
for the moment of it, as a reboot stops them, and started again.
"""

from __future__ import annotations

from lab.faults.outside import container_of, health_status, must_show, site_status
from lab.instance import Lab

SUMMARY = "the site says 502, and the server's log `unable to open database file`: /data is mounted read-only"

DATA = "/data"
WALLETS = ("monero-wallet-rpc-arbiter", "monero-wallet-rpc-buyer", "monero-wallet-rpc-vendor")
WRITERS = ("database", "monerod", "prometheus", "server")

# Does a container's own table of mounts say read-only of what it keeps its data on?
STALE = r"""
pid=$(docker inspect --format '{{.State.Pid}}' "$1") && [ "$pid" -gt 0 ] &&
awk '$2 ~ /^\/(data|monero|prometheus)$/ && $4 ~ /^ro(,|$)/ {found = 1} END {exit !found}' "/proc/$pid/mounts"
"""


def break_(lab: Lab) -> None:
    writers = [container_of(lab, service) for service in WRITERS]
    wallets = [container_of(lab, service) for service in WALLETS]
    lab.docker(["stop", *writers, *wallets], check=True)
    # A wallet's process that has opened no wallet writes nothing; so these keep a mount from before.
    lab.docker(["start", *wallets], check=True)
    lab.run(["mount", "-o", "remount,ro", DATA], check=True)
    lab.docker(["start", *writers], check=True)
    must_show("no file can be made in /data", lambda: lab.run(["touch", f"{DATA}/probe"]).returncode != 0)
    must_show("no answer from the server", lambda: health_status(lab) is None)
    must_show("502 from the site", lambda: site_status(lab) in (502, 504), 30)


def heal_(lab: Lab) -> None:
    lab.run(["mount", "-o", "remount,rw", DATA], check=True)
    # What was started meanwhile keeps a mount of its own that stays read-only.
    writers = [identity for identity in map(lab.container, WRITERS) if identity]
    stale = [identity for identity in writers if lab.run(["sh", "-c", STALE, "stale", identity]).returncode == 0]
    if stale:
        lab.docker(["restart", "--time", "10", *stale], check=True)
