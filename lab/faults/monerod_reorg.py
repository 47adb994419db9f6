# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain's last blocks are replaced by a longer fork: what the wallets had seen of them is void, and they follow.

Nothing is broken that a restart would mend.
"""

from __future__ import annotations

import json

from lab.errors import LabError
from lab.faults import chain
from lab.faults.outside import address_of, container_of, must_show
from lab.faults.wallets import ask
from lab.instance import Lab

SUMMARY = "4 blocks that the wallets had seen are gone from the chain, 6 others are in their place"

GONE, NEW = 4, 6


def break_(lab: Lab) -> None:
    chain.mine(lab, GONE)
    for role in ("buyer", "vendor", "arbiter"):
        ask(lab, "refresh", role)
    before = chain.ask(lab, "get_last_block_header")["block_header"]
    _pop(lab, GONE)
    chain.mine(lab, NEW)
    same = chain.ask(lab, "get_block_header_by_height", height=before["height"])["block_header"]
    must_show("another block at the height of the last one", lambda: same["hash"] != before["hash"], 1)


def _pop(lab: Lab, blocks: int) -> None:
    url = f"http://{address_of(lab, container_of(lab, chain.SERVICE))}:{chain.PORT}/pop_blocks"
    told = lab.run(["curl", "--silent", "--max-time", "60", "--data", json.dumps({"nblocks": blocks}), url]).stdout
    if json.loads(told or "{}").get("status") != "OK":
        raise LabError(f"The daemon did not take its last blocks back: {told.strip()[:200]}")
