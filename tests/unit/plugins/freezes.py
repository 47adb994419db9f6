# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which payouts are frozen and thawed, and what has to be so of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _payout_freeze_cut
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import read_freezes, words
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places
from ansible_collections.monero_marketplace.incident.plugins.module_utils._payout_freeze import Wish
from ansible_collections.monero_marketplace.incident.plugins.module_utils._payout_freeze_machine import Container, Seen

POLICIES = {"aa": ["server", "on-failure", 3], "bb": ["server", "unless-stopped", 0], "cc": ["nginx", "always", 0]}


class Machine:
    """A host whose every state is a file, so that a killed child leaves what a killed module would."""

    def __init__(self, folder: Path, wish: Wish) -> None:
        self.folder, self.wish = folder, wish
        self.docker, self.published, self.refuses, self.stuck = True, frozenset({18090}), False, ""
        if not (folder / "policies").exists():
            (folder / "policies").write_text(json.dumps(POLICIES))

    def look(self, _wallets: Any) -> Seen:
        if not self.docker:
            return Seen(None, "Docker gives no answer (docker.service is inactive)", "shop", self.published)
        return Seen([Container(one, *what) for one, what in self.policies.items()], "", "shop", self.published)

    @property
    def policies(self) -> dict[str, list[Any]]:
        return dict(json.loads((self.folder / "policies").read_text()))

    def _put(self, name: str, text: str) -> None:
        draft = os.open(str(self.folder / f"{name}.new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.write(draft, text.encode())
        os.close(draft)
        os.rename(str(self.folder / f"{name}.new"), str(self.folder / name))

    def set_policy(self, identity: str, policy: str, maximum: int) -> None:
        if identity == self.stuck:
            raise IncidentError("no such container")
        self._put("policies", json.dumps({**self.policies, identity: [self.policies[identity][0], policy, maximum]}))

    def tables(self) -> dict[str, str]:
        kernel = self.folder / "kernel"
        return dict.fromkeys(_payout_freeze_cut.FAMILIES, kernel.read_text()) if kernel.exists() else {}

    def enabled(self) -> bool:
        return (self.folder / "enabled").exists()

    def apply(self) -> None:
        assert Path(self.wish.unit).exists(), "systemd knows no such unit"
        self._put("enabled", "yes")
        if self.refuses:
            raise IncidentError("nft says no")
        self._put("kernel", Path(self.wish.rules).read_text())

    def disable(self) -> None:
        if self.enabled():
            os.unlink(self.folder / "enabled")

    def forget(self) -> None:
        if self.tables():
            os.unlink(self.folder / "kernel")

    def nft(self) -> str:
        return "/usr/sbin/nft"


def wish_in(folder: Path, **changes: Any) -> Wish:
    known: dict[str, Any] = {
        "name": "payouts", "reason": "an import is needed", "by": "alice", "run_id": "run-1", "services": ("server",),
        "wallet_services": ("buyer", "vendor"), "wallet_ports": (18082,), "state_dir": str(folder / "state"),
        "unit_dir": str(folder / "units"),
    }  # fmt: skip
    (folder / "units").mkdir(exist_ok=True)
    return Wish(**{**known, **changes})


def host_in(folder: Path, **changes: Any) -> tuple[Wish, Machine]:
    wish = wish_in(folder, **changes)
    return wish, Machine(folder, wish)


def standing(wish: Wish) -> list[dict[str, Any]]:
    return read_freezes(Places(state_dir=wish.state_dir, lease_dir=""))


def assert_frozen(wish: Wish, machine: Machine) -> None:
    (found,) = standing(wish)
    assert (found["readable"], found["services"], found["by"]) == (True, ["server"], "alice")
    assert [what[1] for what in machine.policies.values()] == ["no", "no", "always"]
    assert machine.enabled() and "{ 18082, 18090 } drop" in machine.tables()["bridge"]
    assert {one: policy["name"] for one, policy in found["policies"].items()} == {"aa": "on-failure", "bb": "unless-stopped"}


def assert_thawed(wish: Wish, machine: Machine) -> None:
    assert standing(wish) == [] and machine.policies == POLICIES
    assert not machine.enabled() and not machine.tables()
    assert not os.path.exists(wish.rules) and not list(Path(wish.unit_dir).rglob("*"))


def assert_tells_the_truth(wish: Wish, machine: Machine) -> None:
    for found in standing(wish):
        half = (
            {what[1] for what in list(machine.policies.values())[:2]} != {"no"} or not machine.tables() or not machine.enabled()
        )
        assert not (half and found["whole"]), "it is said to be in force"
        assert (found["whole"] is False) == ("by halves" in words(found))
