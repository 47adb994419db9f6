# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Half of the vendor's key file overwritten while its RPC was restarted: only a backup has its share of the escrow's key."""

from __future__ import annotations

from lab.faults import wallets
from lab.faults.outside import must_show
from lab.instance import Lab

SUMMARY = "no escrow is paid: the vendor's wallet RPC answers, and its wallet cannot be opened (key file damaged)"


def break_(lab: Lab) -> None:
    wallets.must_be_open(lab)
    wallets.stop_stored(lab)
    wallets.keep(lab)
    wallets.damage(lab, wallets.KEYS)
    wallets.start_without_wallet(lab)
    must_show("a wallet that cannot be opened", lambda: wallets.open_fails(lab), 1)


heal_ = wallets.put_back
