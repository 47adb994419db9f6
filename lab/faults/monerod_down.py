# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon killed by hand: its container has exit status 137 and stays down. The wallets answer, and follow no chain."""

from __future__ import annotations

from lab.faults import chain
from lab.faults.outside import container_of
from lab.instance import Lab

SUMMARY = "no escrow is paid: monerod exited with 137; the three wallets answer, and reach no daemon"


def break_(lab: Lab) -> None:
    lab.docker(["kill", container_of(lab, chain.SERVICE)], check=True)
    chain.must_be_missed(lab)
