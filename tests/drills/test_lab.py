# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab itself: after `heal` of whatever was done to its escrow, the escrow pays, with the funds of before."""

from __future__ import annotations

import random

import pytest

from drills.fixture import DrillLab
from lab import escrow
from lab.faults import names

ESCROW_FAULTS = ("wallet-", "monerod-", "signing-")
# Healing takes seconds, and so does the payment after it: each session tries a few.
TRIED = 2
# The fee, and what a round that was half way still pays.
MOST_SPENT = 2 * 10**10


@pytest.mark.drill(name="lab-heals-its-escrow", pool="rotated")
def test_a_healed_escrow_pays(drill: DrillLab, chance: random.Random) -> None:
    for name in chance.sample([name for name in names() if name.startswith(ESCROW_FAULTS)], TRIED):
        before = escrow.funds(drill.lab)
        drill.break_(name)
        drill.heal()
        escrow.pay(drill.lab)
        for role, funds in escrow.funds(drill.lab).items():
            assert 0 < before[role]["balance"] - funds["balance"] < MOST_SPENT, (
                f"{name}: {role} had {before[role]}, has {funds}"
            )
            assert not funds["import_needed"], f"{name}: {role} cannot sign"
