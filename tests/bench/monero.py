# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long it takes to know how three wallets and the daemon are, with the way over SSH, when all answer and when one hangs."""

from __future__ import annotations

import os
import statistics

from drills.fixture import DrillLab

FAULTS = (None, "wallet-hung")
SECONDS = 3.0


def compare(shop: DrillLab, times: int) -> list[str]:
    """The table, then the promise and whether this machine saw it kept."""
    lines, verdicts = ["                     seconds   slowest"], []
    for fault in FAULTS:
        name = fault or "healthy"
        print(f"{name}: monero_info, as verify.yml calls it", flush=True)
        shop.begin(f"monero-{name}")
        if fault is not None:
            shop.break_(fault)
        took = [shop.run("verify", "--check").seconds_of("monero_info") for _ in range(max(times, 3))]
        assert all(took), "verify.yml did not ask the wallets"
        lines.append(f"{name:<19}{statistics.median(took):9.2f} {max(took):9.2f}")
        verdicts.append(f"{'PASS' if max(took) <= SECONDS else 'OVER'}  {name}: {max(took):.2f} of {SECONDS:.0f} seconds")
    shop.heal()
    head = f"\nbench monero: {os.cpu_count()} cores, {max(times, 3)} looks each, three wallets and the daemon\n"
    return [head, *lines, "", *verdicts]
