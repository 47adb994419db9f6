# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Which of ten things is the matter with a wallet RPC, and how the daemon is. Pure functions over what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _monero_versions
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import clock_time

WALLET_STATES = (
    "ready", "no_wallet_open", "wrong_wallet", "auth_required", "syncing_busy", "daemon_unreachable", "keys_locked",
    "not_responding", "port_closed", "container_down",
)  # fmt: skip
DAEMON_STATES = (
    "synchronized", "synchronizing", "no_peers", "stale", "auth_required", "not_responding", "port_closed", "container_down",
    "unknown",
)  # fmt: skip
# States in which the daemon serves nobody.
DAEMON_AWAY = {"not_responding": "does not answer", "port_closed": "does not listen", "container_down": "does not run"}
# A wallet looks for blocks every 20 seconds; what is mined meanwhile does not make it busy.
LAG_BLOCKS = 20
# The chain makes a block every two minutes; two hours without one is no bad luck.
STALE_SECONDS = 7200.0
STARTS_WITHIN = 20.0
PRIVATE = "fakechain"


@dataclass(frozen=True)
class Facts:
    """What was found of one wallet RPC, or of the daemon, for which the later fields mean nothing."""

    told: dict[str, Any] | None
    container: dict[str, Any] | None = None
    containers_known: bool = False
    process: dict[str, Any] | None = None
    started: float | None = None
    clock: float = 0.0
    wanted: str = ""
    open: str = "on_demand"
    address: str = ""
    signer: str = ""
    files: dict[str, Any] | None = None
    login: dict[str, Any] = field(default_factory=dict)

    @property
    def down(self) -> bool:
        """By what the engine says; one that answers is not down, wherever it runs."""
        return self.containers_known and (self.container is None or self.container["status"] != "running")

    @property
    def halted(self) -> bool:
        return self.process is not None and self.process["state"] in ("T", "t")

    @property
    def answer(self) -> str:
        return "unasked" if self.told is None else str(self.told["answer"])


def wallet(facts: Facts, daemon: str) -> tuple[str, list[str]]:
    """State and evidence; daemon is the daemon's state."""
    state, evidence = _wallet(facts, daemon)
    return state, [*evidence, *_beside(facts, state)]


def _wallet(facts: Facts, daemon: str) -> tuple[str, list[str]]:
    alone = _foreign_lock(facts)
    if facts.answer == "answered":
        return _open_wallet(facts, daemon)
    if facts.answer == "auth_required":
        return "auth_required", [f"the RPC answers, but {(facts.told or {})['detail']}", *_login(facts)]
    if alone and facts.answer in ("no_wallet_open", "unasked", "closed"):
        return "keys_locked", [*_down(facts), alone]
    if facts.answer == "no_wallet_open":
        return "no_wallet_open", [_none_open(facts)]
    if facts.down:
        return "container_down", _down(facts)
    if facts.answer in ("closed", "unasked"):
        return "port_closed", _closed(facts)
    return _silent(facts, daemon)


def _silent(facts: Facts, daemon: str) -> tuple[str, list[str]]:
    detail = str((facts.told or {}).get("detail") or "no answer")
    said = [f"the RPC does not answer as one: {detail}" if facts.answer == "wrong" else detail]
    if facts.halted:
        return "not_responding", [*said, _halted(facts)]
    if daemon in DAEMON_AWAY and facts.answer == "late":
        return "daemon_unreachable", [*said, f"the Monero daemon {DAEMON_AWAY[daemon]} either: a wallet waits for its daemon"]
    if facts.answer == "late" and facts.process is not None and facts.process["moving"]:
        advice = _monero_versions.advice((facts.told or {}).get("interface"))
        return "syncing_busy", [
            *said,
            f"its process (pid {facts.process['pid']}) works: processor time or its log moves",
            *filter(None, [advice]),
        ]
    return "not_responding", [*said, *_still(facts)]


def _open_wallet(facts: Facts, daemon: str) -> tuple[str, list[str]]:
    told, files = facts.told or {}, facts.files or {}
    opened = files.get("open_wallet")
    wrong = []
    if facts.address and told["address"] and told["address"] != facts.address:
        wrong.append(f"the open wallet's address is {short(told['address'])} instead of {short(facts.address)}")
    if opened and facts.wanted and opened != facts.wanted:
        sentence = f"{opened} is open instead of {facts.wanted}"
        if facts.open != "always":
            return _usable(facts, daemon, [f"{sentence}, as the application may have asked (open: on_demand)"], wrong)
        wrong.append(sentence)
    if not wrong and pin(facts) == "differs":
        wrong.append("the open wallet's .keys file is another signer's: its SHA-256 differs from the pin")
    return _usable(facts, daemon, [], wrong)


def _usable(facts: Facts, daemon: str, said: list[str], wrong: list[str]) -> tuple[str, list[str]]:
    told = facts.told or {}
    if wrong:
        return "wrong_wallet", wrong
    name = (facts.files or {}).get("open_wallet")
    evidence = [*said, f"{name or 'a wallet'} is open at height {told['height']}"]
    if daemon in DAEMON_AWAY:
        return "daemon_unreachable", [
            *evidence,
            f"the RPC answers, but the Monero daemon {DAEMON_AWAY[daemon]}: nothing can be paid",
        ]
    behind = told.get("lag")
    if behind is not None and behind > LAG_BLOCKS:
        return "syncing_busy", [*evidence, f"it is {behind} blocks behind the daemon"]
    return "ready", evidence


def pin(facts: Facts) -> str:
    """Whether the keys of the wallet that is shown are those of the signer: equal, differs or none."""
    files = facts.files or {}
    found = (files.get("keys") or {}).get("sha256")
    if not facts.signer or not found:
        return "none"
    return "equal" if found == facts.signer.lower() else "differs"


def _foreign_lock(facts: Facts) -> str | None:
    """Somebody else has the keys that this RPC needs; where none is wanted, any in its directory."""
    lock = (facts.files or {}).get("lock")
    if not lock or lock["ours"] is not False:
        return None
    where = f"container {lock['container']}" if lock["container"] else "no container"
    return (
        f"a live process has the .keys file of {(facts.files or {}).get('wallet') or 'a wallet'} locked: {lock['command'] or 'unknown'} "
        f"(pid {lock['pid']}, in {where}), not this RPC"
    )


def _none_open(facts: Facts) -> str:
    if facts.open == "always":
        return f"the RPC answers, no wallet is open, and {facts.wanted or 'one'} should be"
    return "the RPC answers and no wallet is open, which is normal where the application opens them (open: on_demand)"


def _down(facts: Facts) -> list[str]:
    if not facts.down:
        return []
    if facts.container is None:
        return ["its service has no container"]
    status, code = facts.container["status"], facts.container["exit_code"]
    if status == "exited":
        return ["its container has ended" + ("" if code is None else f" with exit status {code}")]
    return [
        f"its container is {status}" + (f", after exit status {code}" if status == "restarting" and code is not None else "")
    ]


def _closed(facts: Facts) -> list[str]:
    detail = str((facts.told or {}).get("detail") or "it has no address that could be asked")
    said = [f"nobody listens: {detail}"]
    young = _age(facts)
    if young is not None and young < STARTS_WITHIN:
        said.append(f"its container was started {young:.0f} s ago: it listens some seconds after that")
    restarts = (facts.container or {}).get("restart_count")
    if restarts:
        said.append(f"Docker has restarted it {restarts} times by itself")
    return said


def _age(facts: Facts) -> float | None:
    return None if facts.started is None else max(0.0, facts.clock - facts.started)


def _halted(facts: Facts) -> str:
    pid = (facts.process or {}).get("pid")
    return f"its process (pid {pid}) is halted by a signal (state T): `kill -CONT {pid}` lets it go on"


def _still(facts: Facts) -> list[str]:
    if facts.process is None:
        return []
    pid, state = facts.process["pid"], facts.process["state"]
    if state == "D":
        return [f"its process (pid {pid}) waits for a disk (state D)"]
    if facts.process["moving"] is None:
        return [f"its process (pid {pid}) is alive (state {state})"]
    return [
        f"its process (pid {pid}) {'works, but not on this' if facts.process['moving'] else 'does nothing'} (state {state})"
    ]


def _login(facts: Facts) -> list[str]:
    login, said = facts.login, []
    if login.get("problem"):
        said.append(str(login["problem"]))
    changed = login.get("file_changed_at")
    if changed is not None and facts.started is not None and changed > facts.started:
        said.append(
            f"the file of the login was changed at {clock_time(changed)}, after its container was started at {clock_time(facts.started)}"
        )
    return said


def _beside(facts: Facts, state: str) -> list[str]:
    """What is worth to be said whatever the state is."""
    said, files = [], facts.files or {}
    if facts.down and state not in ("container_down", "keys_locked"):
        said.append(f"something answers at its address, though {_down(facts)[0]}")
    for name in files.get("leftovers") or []:
        whose = (
            "a store that did not end, as on a full disk"
            if name.endswith(".new")
            else "an attempt to open a cache that could not be read"
        )
        said.append(f"{name} was left over by {whose}: keep both")
    if state in ("container_down", "port_closed", "not_responding"):
        said += [
            f"{path} was left by an earlier start; below release 0.18.3.4 it blocks the next"
            for path in files.get("login_files") or []
        ]
    if state not in ("ready", "wrong_wallet") and facts.wanted and files.get("wallet") == facts.wanted:
        said += [
            f"{facts.wanted}{end} is missing"
            for key, end in (("keys", ".keys"), ("cache", ""))
            if not (files.get(key) or {}).get("exists")
        ]
    if ((facts.told or {}).get("ahead") or 0) > 0:
        said.append(f"it has seen {(facts.told or {})['ahead']} blocks that the daemon does not have")
    if (facts.told or {}).get("import_needed"):
        said.append("it needs the other signers' multisig info before it can sign")
    said += [f"not told: {one}" for one in (facts.told or {}).get("unanswered") or []]
    return said


def daemon(facts: Facts) -> tuple[str, list[str]]:
    told = facts.told or {}
    if facts.answer == "answered":
        return _answering_daemon(told)
    if facts.answer == "auth_required":
        return "auth_required", [f"it answers, but {told['detail']}"]
    if facts.down:
        return "container_down", _down(facts)
    if facts.answer == "unasked" and not facts.containers_known:
        return "unknown", ["neither its service nor its address is known"]
    if facts.answer in ("closed", "unasked"):
        return "port_closed", _closed(facts)
    if facts.answer == "no_wallet_open":
        return "not_responding", ["a wallet RPC answers at its address"]
    said = [f"it does not answer as a daemon: {told['detail']}" if facts.answer == "wrong" else str(told["detail"])]
    return "not_responding", [*said, _halted(facts)] if facts.halted else [*said, *_still(facts)]


def _answering_daemon(told: dict[str, Any]) -> tuple[str, list[str]]:
    height, target = told["height"], told["target_height"]
    said = [f"it answers at height {height}"] + [f"not told: {one}" for one in told["unanswered"]]
    behind = max(0, (target or 0) - height)
    if told["peers_out"] == 0 and not told["peers_in"] and told["offline"] is False:
        return "no_peers", [*said, "it has no peer, and learns of no new block"]
    if behind:
        return "synchronizing", [*said, f"it is {behind} blocks behind its peers (target {target})"]
    if told["synchronized"] is False or told["busy_syncing"]:
        return "synchronizing", [*said, "it says that it is not synchronized"]
    age = told["last_block_age"]
    if age is not None and age > STALE_SECONDS and told["network"] != PRIVATE:
        return "stale", [*said, f"it says synchronized, but its last block is {age / 60:.0f} minutes old"]
    if told["synchronized"] is None:
        return "unknown", [*said, "it does not say whether it is synchronized"]
    offline = ["it is offline, so that nothing can show that it is behind"] if told["offline"] else []
    return "synchronized", [*said, *offline]


def short(address: str) -> str:
    """Enough of an address to tell it from another."""
    return f"{address[:8]}…{address[-4:]}"
