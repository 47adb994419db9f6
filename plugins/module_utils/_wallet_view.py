# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What monero_info found, with the questions that the causes of wallets and of their daemon ask of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _signing_round
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch, human_seconds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import freezing, words

Wallet = Mapping[str, Any]

# A wallet RPC listens some seconds after its start, and one that opens a wallet meanwhile answers nobody.
FIRST_LOOK = 60.0
# Monero's wallets look for new blocks every 20 seconds: one that is this far behind is catching up.
LAG_BLOCKS = 10
# A reorganisation of one block is everyday; one of as many as Monero locks every payment for is a person's matter.
NOTABLE_BLOCKS, GRAVE_BLOCKS = 2, 10
RECENT = 3600.0
# The freeze that this tool places and lifts; others are somebody else's.
FREEZE = "payouts"


@dataclass(frozen=True)
class WalletSite:
    """What the site is called, what it allows, and what this run has already done."""

    server_service: str = "server"
    chain_dir: str = ""
    sync_budget: float = 600.0
    confirm: frozenset[str] = frozenset()
    tried: frozenset[tuple[str, str]] = frozenset()
    patience_over: bool = False
    # Whether this only plans: then nobody waits for the chain.
    check: bool = False
    acted_at: float | None = None


@dataclass(frozen=True)
class Told:
    """What was asked beside monero_info, because a plan needed it; what nobody asked is None or absent."""

    # The `sqlite` of sqlite_info for marketplace_open_signing_query; no_query where the site names none.
    signing: Mapping[str, Any] | None = None
    no_query: bool = False
    # By role: the `wallet_files` of wallet_files_info, and the plan of role wallet_restore.
    files: Mapping[str, Any] = field(default_factory=dict)
    restores: Mapping[str, Any] = field(default_factory=dict)
    freezes: tuple[Mapping[str, Any], ...] = ()
    # Mount points of full disks; None where nobody looked.
    full: tuple[str, ...] | None = None


class WalletView:
    """One look at the wallets and their daemon, readable."""

    def __init__(
        self, monero: Mapping[str, Any], site: WalletSite, told: Told, before: Mapping[str, Any] | None = None
    ) -> None:
        self.site, self.told = site, told
        self.clock: float = monero["clock"]
        self.daemon: Mapping[str, Any] = monero["daemon"]
        self.wallets: list[Wallet] = list(monero["wallets"])
        self.before: Mapping[str, Any] = before or monero

    def tried(self, service: str, *what: str) -> bool:
        return any((do, service) in self.site.tried for do in what)

    def tried_on_host(self, do: str) -> bool:
        return (do, "") in self.site.tried

    def allows(self, what: str) -> bool:
        return what in self.site.confirm

    def up_for(self, one: Mapping[str, Any]) -> float | None:
        """How long the container of a wallet or of the daemon runs."""
        started = epoch((one.get("container") or {}).get("started_at"))
        return None if started is None else max(0.0, self.clock - started)

    def is_young(self, one: Mapping[str, Any]) -> bool:
        up = self.up_for(one)
        return up is not None and up < FIRST_LOOK and not self.site.patience_over

    def was_restarted(self, one: Mapping[str, Any]) -> bool:
        """Whether its container is not the run of it that the first look saw."""
        earlier = self.earlier(str(one.get("service"))).get("container") or {}
        return bool(earlier.get("started_at") != (one.get("container") or {}).get("started_at"))

    @property
    def freeze(self) -> Mapping[str, Any] | None:
        """Whatever keeps payouts from leaving; our own first, which alone is lifted by itself."""
        standing = sorted(self.told.freezes, key=lambda one: one.get("name") != FREEZE)
        return standing[0] if standing else None

    def frozen(self, service: str) -> str:
        """Why a service must not be started; empty where it may."""
        found = freezing(self.told.freezes, [service])
        return words(found[1]) if found else ""

    def signing(self) -> tuple[str, str]:
        """Whether a signing round is open (none, open or unknown), and in words from where that is known."""
        return _signing_round.judge(self.told.signing, self.told.no_query)

    def earlier(self, service: str) -> Mapping[str, Any]:
        """The same wallet or daemon in the first look of this run."""
        for one in [self.before["daemon"], *self.before["wallets"]]:
            if one.get("service") == service:
                return dict(one)
        return {}

    def taken_back(self, least: int) -> tuple[dict[str, Any], list[str]] | None:
        """The deepest reorganisation of the last hour, and who tells of it."""
        # With a transfer in it, it may have been an import of multisig info.
        told = [
            (one.get("detached"), str(one["role"])) for one in self.wallets if (one.get("detached") or {}).get("transfers") == 0
        ]
        told.append((self.daemon.get("reorganised"), str(self.daemon.get("service"))))
        found = [(what, who) for what, who in told if what and what["blocks"] >= least and self.clock - what["at"] < RECENT]
        if not found:
            return None
        deepest = max((what for what, _who in found), key=lambda what: int(what["blocks"]))
        return dict(deepest), [who for _what, who in found]

    def progress(self, one: Mapping[str, Any], goal: int | None) -> str:
        """3,250,512 of 3,306,512 (56,000 blocks to go, 41 a second, about 23 m)."""
        height = one.get("height")
        if height is None:
            return "its height is not told while it is busy"
        if not goal or goal <= height:
            return f"at height {height:,}"
        left = goal - height
        begun, seconds = self.earlier(str(one.get("service"))).get("height"), self.clock - float(self.before["clock"])
        pace = (height - begun) / seconds if isinstance(begun, int) and seconds >= 2 else 0.0
        speed = f", {pace:.0f} a second, about {human_seconds(left / pace)}" if pace >= 1 else ""
        return f"{height:,} of {goal:,} ({left:,} blocks to go{speed})"


def status(one: Mapping[str, Any]) -> str:
    """The state of its container as Docker calls it; missing without one."""
    container = one.get("container")
    return str(container.get("status") or "unknown") if container else "missing"


def is_halted(one: Mapping[str, Any]) -> bool:
    process = one.get("process") or {}
    return status(one) == "running" and process.get("state") in ("T", "t")


def evidence(one: Mapping[str, Any]) -> list[str]:
    return [str(sentence) for sentence in one.get("evidence") or []]
