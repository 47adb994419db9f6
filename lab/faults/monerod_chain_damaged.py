# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of the daemon's chain database overwritten while it was stopped: it starts, fails on them and is started again."""

from __future__ import annotations

from lab.faults import chain
from lab.faults.outside import container_of, must_show
from lab.faults.wallets import damage
from lab.instance import Lab

SUMMARY = "no escrow is paid: monerod does not come up, its chain database is damaged"

FILE = f"{chain.DATA}/fake/lmdb/data.mdb"


def break_(lab: Lab) -> None:
    daemon = container_of(lab, chain.SERVICE)
    lab.docker(["stop", "--time", "120", daemon], check=True, timeout=180)
    chain.keep(lab)
    damage(lab, FILE)
    lab.docker(["start", daemon], check=True)
    shape = "{{.RestartCount}}"
    must_show("a daemon that fails again and again",
              lambda: int(lab.docker(["inspect", "--format", shape, daemon]).stdout or 0) > 1, 60)  # fmt: skip
    chain.must_be_missed(lab)


heal_ = chain.put_back
