# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon stopped in its tracks: its port accepts connections and nobody answers, so the wallets hang as soon as they ask it."""

from __future__ import annotations

from lab.faults import chain
from lab.faults.wallets import process_of
from lab.instance import Lab

SUMMARY = "no escrow is paid: monerod accepts connections and never answers, and wallets that ask it hang too"


def break_(lab: Lab) -> None:
    lab.run(["kill", "-STOP", process_of(lab, chain.SERVICE)], check=True)
    chain.must_be_missed(lab)
