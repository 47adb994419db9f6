# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/data ran full while the vendor's wallet was being stored: its cache is from before, half of a new one lies beside it.

Somebody made room again, and the RPC was killed; what it had not stored is gone with it.
"""

from __future__ import annotations

from lab.errors import LabError
from lab.faults import wallets
from lab.faults.outside import container_of, must_show
from lab.instance import Lab

SUMMARY = "no escrow is paid: the vendor's wallet RPC is down, and beside its wallet lies an escrow_1.new of a full disk"

DATA = "/data"
BALLAST = f"{DATA}/upload.tmp"
LEFTOVER = f"{wallets.CACHE}.new"
# Less than a wallet's cache, more than the other writers of /data need in these seconds.
LEFT_BYTES = 200 << 10


def break_(lab: Lab) -> None:
    wallets.must_be_open(lab)
    wallets.ask(lab, "store")
    wallets.keep(lab)
    try:
        free = int(lab.run(["df", "--output=avail", "-B1", DATA], check=True).stdout.split()[1])
        lab.run(["fallocate", "--length", str(free - LEFT_BYTES), BALLAST], check=True)
        stored = _stored(lab)
    finally:
        lab.run(["rm", "-f", BALLAST], check=True)
    if stored:
        raise LabError("The wallet was stored on a full disk: the fault did not show. `script/lab heal` undoes it.")
    lab.docker(["kill", container_of(lab, wallets.SERVICE)], check=True)
    must_show("half of a new cache", lambda: lab.run(["test", "-s", LEFTOVER]).returncode == 0, 1)
    must_show("a server that misses the vendor's wallet", lambda: wallets.server_says(lab, "not_responding"))


def heal_(lab: Lab) -> None:
    lab.run(["rm", "-f", BALLAST], check=True)
    wallets.put_back(lab)


def _stored(lab: Lab) -> bool:
    try:
        wallets.ask(lab, "store")
    except wallets.RefusedError:
        return False
    return True
