# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and cache of the vendor's wallet deleted while its RPC was restarted; the other wallets of its folder are there."""

from __future__ import annotations

from lab.faults import wallets
from lab.faults.outside import must_show
from lab.instance import Lab

SUMMARY = "no escrow of escrow_1 is paid: the vendor's files of it are gone, escrow_2 lies beside where they were"


def break_(lab: Lab) -> None:
    wallets.must_be_open(lab)
    wallets.stop_stored(lab)
    wallets.keep(lab)
    lab.run(["rm", wallets.CACHE, wallets.KEYS], check=True)
    wallets.start_without_wallet(lab)
    must_show("a wallet that cannot be opened", lambda: wallets.open_fails(lab), 1)


heal_ = wallets.put_back
