# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of faults around the wallets: what each asks of monero_rpc.yml and of triage.yml."""

from __future__ import annotations

from dataclasses import dataclass

from drills.faults import Fault
from drills.wallets import RPC

BUYER, VENDOR = RPC["buyer"], RPC["vendor"]
MONEROD = frozenset({"monerod"})


@dataclass(frozen=True)
class WalletFault(Fault):
    """What such a fault asks beyond the others. A confirm that ends in * is completed from what the plan says."""

    playbook: str = "monero_rpc"
    triage: str = "monero_rpc"
    harms: frozenset[str] = frozenset({VENDOR})
    # Whether the run changes anything before it leaves the rest to a person.
    acts: bool = True
    # Whether the wallet can sign only after the application has made an exchange; payouts are frozen until then.
    exchange: bool = False
    # Words of a final summary that leaves the rest to a person, where a run before it has already mended the cause itself.
    left: tuple[str, ...] = ()
    # Whose wallet RPC falls silent besides, so that only a restart would help.
    silent: str = ""
    # Whether a payout is half way, which the application alone can bring to its end.
    round_open: bool = False
    # Whether it needs a backup from before.
    backup: bool = False

    @property
    def drill(self) -> str:
        """Its drill's name: all of them begin alike."""
        return self.name if self.name.startswith("wallet-") else f"wallet-{self.name}"


FAULTS = (
    WalletFault("wallet-killed", pool="main", cause=(VENDOR, "137")),
    WalletFault("wallet-hung", cause=(VENDOR, "halted by a signal")),
    WalletFault("wallet-closed", cause=(VENDOR, "no wallet is open")),
    WalletFault("wallet-wrong", cause=(VENDOR, "escrow_2")),
    WalletFault("wallet-cache-corrupt", pool="often", cause=(VENDOR, "cache"), left=("exchange",), exchange=True),
    WalletFault(
        "wallet-keys-corrupt",
        cause=("vendor: the vendor's wallet escrow_1", "keys"),
        confirm="restore:*",
        backup=True,
        never=("cache is damaged",),
    ),
    WalletFault(
        "wallet-files-lost",
        cause=("vendor: the vendor's wallet escrow_1", "missing"),
        left=("exchange",),
        confirm="restore:*",
        exchange=True,
        backup=True,
    ),
    WalletFault("wallet-auth", cause=(VENDOR, "refuses the login", "after its start"), confirm=f"restart:{VENDOR}"),
    WalletFault(
        "wallet-keys-locked",
        pool="often",
        mends=False,
        acts=False,
        cause=("keys are locked by pid", "monero-wallet-rpc", "in container"),
        never=("damaged",),
    ),
    WalletFault(
        "wallet-stale-login",
        mends=False,
        cause=(VENDOR, "monero-wallet-rpc.18082.login"),
        left=(VENDOR, "login"),
        restless=frozenset({VENDOR}),
    ),
    WalletFault("wallet-full-disk", cause=(VENDOR, "escrow_1.new")),
    WalletFault("monerod-down", pool="often", cause=("monerod", "137"), harms=MONEROD, grave=True),
    WalletFault("monerod-hung", cause=("monerod", "halted by a signal"), harms=MONEROD, grave=True),
    WalletFault("monerod-behind", acts=False, cause=("monerod", "behind"), harms=MONEROD),
    WalletFault(
        "monerod-chain-damaged",
        mends=False,
        acts=False,
        outcome="needs_confirmation",
        cause=("monerod", "chain database is damaged", "not deleted"),
        confirm="set_chain_aside:monerod",
        harms=MONEROD,
        restless=MONEROD,
        grave=True,
    ),
    WalletFault(
        "signing-open",
        pool="often",
        cause=(BUYER, "does not answer", "signing"),
        confirm=f"restart:{BUYER}",
        harms=frozenset({BUYER}),
        silent="buyer",
        round_open=True,
    ),
)
