# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Freeze payouts so that neither a playbook nor Docker nor a reboot lifts it, and thaw them exactly.

What binds most comes first and goes last: the file that every playbook reads, then the cut, then the restart policies. Killed
anywhere, the next call goes on; as long as the file lies there payouts are frozen, and it says of itself whether all else is in force.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _payout_freeze_cut as cut
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    IncidentError,
    clean,
    draft_of,
    private_directory,
    remove,
    sync_directory,
    utc,
    write_all,
    write_json,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import (
    folder_of,
    read_freezes,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_holds import LONGEST_REASON, NAME
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import UNLISTED, Places
from ansible_collections.monero_marketplace.incident.plugins.module_utils._payout_freeze_machine import Container, Machine, Seen

RELEASED = "released"
RULES = "payout-freeze.nft"


@dataclass(frozen=True)
class Wish:
    """What is to be frozen, or thawed."""

    name: str
    reason: str
    by: str
    run_id: str
    services: tuple[str, ...]
    wallet_services: tuple[str, ...]
    wallet_ports: tuple[int, ...]
    state_dir: str
    unit_dir: str = "/etc/systemd/system"
    # (role, wallet) of those that were touched, whose exchange the freeze waits for.
    wallets: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> str:
        return folder_of(self.state_dir)

    @property
    def path(self) -> str:
        return os.path.join(self.folder, f"{self.name}.json")

    @property
    def rules(self) -> str:
        return os.path.join(self.folder, RULES)

    @property
    def unit(self) -> str:
        return os.path.join(self.unit_dir, cut.UNIT)

    @property
    def drop_in(self) -> str:
        return os.path.join(self.unit_dir, cut.DROP_IN)


@dataclass
class Done:
    """What became of it."""

    changed: bool
    freeze: dict[str, Any] | None
    not_done: list[str]
    seen: Seen


def check(wish: Wish, frozen: bool) -> None:
    if not NAME.match(wish.name):
        raise IncidentError(
            f"'{clean(wish.name, 80)}' cannot be the name of a freeze: use up to 64 letters, digits, dots, hyphens and underscores, "
            "beginning with a letter or a digit, for example payouts."
        )
    if not wish.reason.strip():
        raise IncidentError("Payouts are frozen and thawed with a reason, which everybody will read: give one.")
    if frozen and not (wish.services and wish.wallet_ports and all(0 < port < 65536 for port in wish.wallet_ports)):
        raise IncidentError(
            "A freeze names the services that may not be started, and the ports of the wallets: give services and wallet_ports."
        )


def freeze(wish: Wish, machine: Machine, write: bool = True) -> Done:
    """Freeze payouts, or put right what is missing of a freeze that stands. The first reason and author stay."""
    check(wish, frozen=True)
    seen = machine.look(wish.wallet_services)
    standing = _standing(wish)
    earlier = next((one for one in standing if one["name"] == wish.name), None)
    wanted = _wanted(wish, earlier, seen, [one for one in standing if one["name"] != wish.name])
    changed = wanted != earlier
    if changed and write:
        _write(wish, {**wanted, "whole": False}, earlier)
    # Told at the end: what else there is of a freeze is worth more then, not less.
    problems: list[IncidentError | OSError] = []
    try:
        changed |= _cut(wish, machine, [*(one for one in standing if one["name"] != wish.name), wanted], write)
    except (IncidentError, OSError) as refused:
        problems.append(refused)
    if seen.containers is None:
        not_done = [
            f"the restart policy of {', '.join(wish.services)} is as it was: {seen.why}; run the same again when it answers"
        ]
    else:
        not_done = []
        for one in _restarting(seen, wanted["services"]):
            changed = True
            try:
                if write:
                    machine.set_policy(one.identity, "no", 0)
            except IncidentError as refused:
                problems.append(refused)
    if write and (changed or problems):
        _write(wish, {**wanted, "whole": wanted["whole"] and not problems}, wanted)
    if problems:
        raise problems[0]
    return Done(changed, wanted, not_done, seen)


def thaw(wish: Wish, machine: Machine, write: bool = True) -> Done:
    """Lift one freeze. What another freeze still wants stays as it is."""
    check(wish, frozen=False)
    seen = machine.look(wish.wallet_services)
    standing = _standing(wish)
    mine = next((one for one in standing if one["name"] == wish.name), None)
    others = [one for one in standing if one["name"] != wish.name]
    if mine is None or not os.path.lexists(wish.path):
        return Done(_uncut(wish, machine, write) if not standing else False, None, [], seen)
    if mine["policies"] and seen.containers is None:
        raise IncidentError(
            f"Restart policies cannot be put back ({seen.why}), so nothing was thawed: start Docker, then run the same command again."
        )
    if write and mine["readable"] and mine["whole"] is not False:
        mine = {**mine, "whole": False}
        _write(wish, mine, mine)
    not_done = (
        []
        if mine["readable"]
        else ["restart policies: what they were before cannot be read any more; `docker update` sets them"]
    )
    kept_off = {service for one in others for service in one["services"]}
    for container in seen.containers or []:
        before = mine["policies"].get(container.identity)
        if (
            before is None
            or container.policy != "no"
            or container.service in kept_off
            or not all(one["services"] for one in others)
        ):
            continue
        if write:
            machine.set_policy(container.identity, before["name"], before["maximum"])
    # After them: a Docker that refuses leaves the cut in force, as everybody is told that it is.
    _cut(wish, machine, others, write) if others else _uncut(wish, machine, write)
    if write:
        _release(wish, mine)
    return Done(True, mine, not_done, seen)


def _standing(wish: Wish) -> list[dict[str, Any]]:
    found = read_freezes(Places(state_dir=wish.state_dir, lease_dir=""))
    hidden = next((one for one in found if one["name"] == UNLISTED), None)
    if hidden is not None:
        raise IncidentError(f"{hidden['reason']}, so nobody knows what is frozen: mend that, then run the same command again.")
    return found


def _wanted(wish: Wish, earlier: dict[str, Any] | None, seen: Seen, others: list[dict[str, Any]]) -> dict[str, Any]:
    """What the file has to say: all that was said before, and what this call adds."""
    known = earlier if earlier is not None and earlier["readable"] else None
    # Nobody knows which ports an unreadable one means: what is cut stays cut.
    ports = cut.ports_in(_text(wish.rules)) if earlier is not None and known is None else set()
    before: dict[str, Any] = known or {
        "name": wish.name, "reason": clean(wish.reason.strip(), LONGEST_REASON), "by": clean(wish.by), "run_id": clean(wish.run_id),
        "since": utc(time.time()), "services": [], "wallet_services": [], "wallet_ports": [], "published_ports": [], "wallets": [],
        "policies": {}, "readable": True,
    }  # fmt: skip
    services = sorted({*before["services"], *wish.services})
    policies = dict(before["policies"])
    elsewhere = {identity: policy for one in others for identity, policy in one["policies"].items()}
    for one in seen.containers or []:
        if one.service not in services:
            continue
        if one.policy != "no":
            policies.setdefault(one.identity, {"service": one.service, "name": one.policy, "maximum": one.maximum})
        elif one.identity in elsewhere:
            policies.setdefault(one.identity, elsewhere[one.identity])
    return {
        **before,
        "services": services,
        "wallet_services": sorted({*before["wallet_services"], *wish.wallet_services}),
        "wallet_ports": sorted({*before["wallet_ports"], *wish.wallet_ports, *ports}),
        "published_ports": sorted({*before["published_ports"], *seen.published}),
        "wallets": _wallets(before["wallets"], wish.wallets),
        "policies": policies,
        "whole": seen.containers is not None,
    }


def _wallets(before: list[dict[str, str]], more: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """A pair that lacks one half names no wallet, which is no reason not to freeze."""
    pairs = {(one["role"], one["wallet"]) for one in before} | {
        (clean(role), clean(wallet)) for role, wallet in more if role and wallet
    }
    return [{"role": role, "wallet": wallet} for role, wallet in sorted(pairs)]


def _restarting(seen: Seen, services: list[str]) -> list[Container]:
    return [one for one in seen.containers or [] if one.service in services and one.policy != "no"]


def _write(wish: Wish, wanted: dict[str, Any], earlier: dict[str, Any] | None) -> None:
    for folder in (wish.state_dir, wish.folder):
        private_directory(folder)
    if earlier is not None and not earlier["readable"]:
        # Linked, not moved: at no moment is there no freeze.
        kept = os.path.join(wish.folder, RELEASED, f"{wish.name}-{os.lstat(wish.path).st_mtime_ns}.unreadable")
        private_directory(os.path.dirname(kept))
        if not os.path.lexists(kept):
            os.link(wish.path, kept, follow_symlinks=False)
    write_json(wish.path, {key: value for key, value in wanted.items() if key != "readable"})


def _cut(wish: Wish, machine: Machine, freezes: list[dict[str, Any]], write: bool) -> bool:
    """Whether the cut of these freezes was not in force as it has to be; afterwards it is."""
    ports = {port for one in freezes for port in [*one["wallet_ports"], *one["published_ports"]]}
    if not all(one["wallet_ports"] for one in freezes):
        # Nobody knows which ports one means that cannot be read, or was written by hand: what is cut stays cut.
        ports |= cut.ports_in(_text(wish.rules)) or set(wish.wallet_ports)
    rules = cut.rules(ports)
    before = machine.tables()
    changed = set(before) != set(cut.FAMILIES) or not machine.enabled()
    nft = machine.nft()
    files = (
        (wish.rules, rules, 0o600),
        (wish.drop_in, cut.drop_in(wish.rules, nft), 0o644),
        (wish.unit, cut.unit(wish.rules, nft), 0o644),
    )
    for path, text, mode in files:
        if _text(path) != text:
            changed = True
            if write:
                _place(path, text, mode)
    if write:
        # Always: somebody may have changed the tables by hand, and one transaction leaves no gap.
        machine.apply()
        changed |= machine.tables() != before
    return changed


def _uncut(wish: Wish, machine: Machine, write: bool) -> bool:
    files = (wish.unit, wish.drop_in, wish.rules)
    there = bool(machine.tables()) or any(os.path.lexists(path) for path in files)
    if there and write:
        machine.disable()
        for path in files:
            remove(draft_of(path))
            remove(path)
        with suppress(OSError):  # others may have theirs there, or it is gone already
            os.rmdir(os.path.dirname(wish.drop_in))
        machine.forget()
    return there


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _place(path: str, text: str, mode: int) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    draft = draft_of(path)
    remove(draft)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        os.fchmod(handle, mode)
        write_all(handle, text.encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    os.rename(draft, path)
    sync_directory(os.path.dirname(path))


def _release(wish: Wish, mine: dict[str, Any]) -> None:
    """What was frozen and who lifted it, kept; the freeze stands until the one step that takes its file away."""
    kept = os.path.join(wish.folder, RELEASED, f"{wish.name}-{os.lstat(wish.path).st_mtime_ns}")
    private_directory(os.path.dirname(kept))
    write_json(
        f"{kept}.json",
        {**mine, "released_by": clean(wish.by), "released_at": utc(time.time()), "released_run_id": clean(wish.run_id),
         "released_reason": clean(wish.reason.strip(), LONGEST_REASON)},
    )  # fmt: skip
    os.rename(wish.path, f"{kept}.frozen")
    sync_directory(wish.folder)
    sync_directory(os.path.dirname(kept))
