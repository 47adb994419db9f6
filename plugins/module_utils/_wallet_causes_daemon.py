# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes that lie in the Monero daemon or in its chain."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import clock_time, human_seconds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_words import listed
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_view import (
    GRAVE_BLOCKS,
    WalletView,
    evidence,
    is_halted,
    status,
)

DOWN = ("exited", "dead", "created")
SILENT = ("not_responding", "port_closed")
# What LMDB and monerod say of a chain database that cannot be read; a lock, a right or a full disk is none of these.
_DAMAGE = re.compile(
    r"MDB_(?:CORRUPTED|PAGE_NOTFOUND|INVALID|PANIC|VERSION_MISMATCH)|(?:lmdb|blockchain|database|\bdb\b).*(?:corrupt|damaged|invalid page)"
    r"|(?:failed|error|unable) .*(?:lmdb|blockchain db|blockchain database|open database)",
    re.IGNORECASE,
)
# A sound one says these too, to whoever asks for a block that it does not have: they count only where it ends at each start.
_MISSED = re.compile(r"(?:failed|error|unable) .*retrieved? .*from the db|failed -- .*not in db", re.IGNORECASE)
DOUBTFUL = "deposits in the last blocks may be unconfirmed again: count their confirmations anew before anything is paid out"
_NO_DAMAGE = re.compile(
    r"permission denied|no space left|resource temporarily unavailable|read-only file system|already running", re.I
)


def _name(view: WalletView) -> str:
    return str(view.daemon.get("service") or "the daemon")


def _log(view: WalletView) -> list[str]:
    return [str(line) for line in view.daemon.get("log") or []]


def _falls(view: WalletView) -> bool:
    """It ends right after each start."""
    restarts = (view.daemon.get("container") or {}).get("restart_count") or 0
    if status(view.daemon) == "restarting":
        return True
    if status(view.daemon) in DOWN:
        return view.tried(_name(view), "start", "restart")
    return restarts >= 2 and view.daemon["state"] in SILENT and not view.site.patience_over and view.is_young(view.daemon)


def halted(view: WalletView) -> Finding | None:
    if not is_halted(view.daemon):
        return None
    name, pid = _name(view), view.daemon["process"]["pid"]
    found = Finding(name, f"{name} halted by a signal (SIGSTOP): pid {pid}", details={"pids": [pid]})
    if view.tried(name, "resume"):
        found.escalate = f"{name} was told to go on in this run and is halted again: somebody or something keeps stopping it."
    else:
        found.do, found.reason = "resume", "it goes on where it stopped, nothing is lost"
    return found


def _says_damage(line: str, falls: bool) -> bool:
    return bool(_DAMAGE.search(line) or (falls and _MISSED.search(line)))


def chain_damaged(view: WalletView) -> Finding | None:
    lines = [line for line in _log(view) if _says_damage(line, _falls(view)) and not _NO_DAMAGE.search(line)]
    if (
        not lines
        or view.daemon["state"] not in ("container_down", *SILENT)
        or not (_falls(view) or status(view.daemon) in DOWN)
    ):
        return None
    name = _name(view)
    found = Finding(name, f"{name} does not come up: its chain database is damaged", [f'it says "{lines[-1]}"'], log=_log(view))
    if view.tried(name, "set_chain_aside"):
        found.escalate = f"{name} has a new chain database in this run and still calls it damaged: look at the disk below it."
    elif not view.site.chain_dir:
        found.escalate = f"Set marketplace_daemon_chain_dir to the folder of {name}'s data.mdb: then it can be moved aside."
    else:
        found.details = {"paths": [view.site.chain_dir]}
        found.confirm = f"set_chain_aside:{name}"
        found.reason = (
            f"{view.site.chain_dir} is moved aside, not deleted, and {name} fetches the whole chain anew, which may take days: "
            "a copy of a sound node's chain put there instead is faster"
        )
        found.do = "set_chain_aside" if view.allows(found.confirm) else None
    return found


def down(view: WalletView) -> Finding | None:
    where, name = status(view.daemon), _name(view)
    if view.daemon["state"] != "container_down" and where not in DOWN:
        return None
    if where == "missing":
        return Finding(
            name, f"{name} has no container", escalate=f"{name} has to be created: ansible-playbook playbooks/outage.yml"
        )
    if where == "paused":
        return Finding(
            name,
            f"{name} is paused (docker pause)",
            escalate=f"{name} was paused, maybe on purpose: playbooks/outage.yml asks before it goes on.",
        )
    code = (view.daemon.get("container") or {}).get("exit_code")
    sentence = f"{name} is not running (exit status {'unknown' if code is None else code})"
    if _falls(view):
        return Finding(
            name,
            f"{name} ends right after each start (exit status {'unknown' if code is None else code})",
            escalate=f"{name} ends by itself, so starting it again mends nothing; its last lines say why.",
            log=_log(view),
        )
    if view.frozen(name):
        return Finding(name, sentence, escalate=f"{name} is frozen ({view.frozen(name)}) and is not started.")
    return Finding(name, sentence, do="start", reason="wallets see no block without it", log=_log(view), exit_code=code)


def silent(view: WalletView) -> Finding | None:
    """It runs and says nothing: busy as long as it works, else hung."""
    if view.daemon["state"] not in SILENT:
        return None
    name, up = _name(view), view.up_for(view.daemon)
    found = Finding(name, f"{name} runs but does not answer", evidence(view.daemon), log=_log(view))
    if view.is_young(view.daemon):
        found.wait_for = f"its first answer (started {human_seconds(up or 0)} ago)"
    elif (view.daemon.get("process") or {}).get("moving") and not view.site.patience_over:
        found.wait_for = "it to answer: it works (processor or log), so it may be busy with the chain"
    elif view.tried(name, "restart", "start"):
        found.escalate = f"{name} was started afresh in this run and still does not answer: another restart mends nothing."
    else:
        found.confirm = f"restart:{name}"
        found.reason = "a restart in the middle of a block can cost the chain database; it gets 300 s to end by itself"
        found.do = "restart" if view.allows(found.confirm) else None
    return found


def login_wanted(view: WalletView) -> Finding | None:
    if view.daemon["state"] != "auth_required":
        return None
    name = _name(view)
    return Finding(
        name,
        f"{name} wants a login that is not known here",
        evidence(view.daemon),
        escalate=f"Name an address of {name} without a login in marketplace_daemon_url (its restricted RPC will do).",
    )


def taken_back(view: WalletView) -> Finding | None:
    """A reorganisation, or an older chain database: what was confirmed may not be any more."""
    height, block = view.daemon.get("height"), view.daemon.get("last_block_hash")
    if height is None or view.daemon["state"] == "synchronizing":
        return None
    name, earlier = _name(view), view.before["daemon"]
    ahead = {str(one["role"]): one["height"] - height for one in view.wallets if one.get("height") is not None}
    most = max(ahead.values(), default=0)
    if most > 0:
        who = ", ".join(role for role, blocks in ahead.items() if blocks > 0)
        sentence = f"the chain of {name} ends at {height:,}, {most} blocks below what {who} has seen: blocks were taken back"
    elif earlier.get("height") == height and block and earlier.get("last_block_hash") not in (None, block):
        sentence = f"the last block of {name} at {height:,} is another one than at first: blocks were taken back"
    else:
        return _deep(view)
    found = Finding(name, f"{sentence} (a reorganisation, or an older chain database)", evidence(view.daemon))
    found.risk = DOUBTFUL
    if view.site.patience_over:
        found.escalate = f"{name} and its wallets stay on different chains; nothing is restarted: compare its last block with another node's."
    else:
        found.wait_for = "the wallets to follow the chain"
    return found


def _deep(view: WalletView) -> Finding | None:
    """One that wallets have followed, and that is deeper than Monero's own lock of payments."""
    deep = view.taken_back(GRAVE_BLOCKS)
    if deep is None:
        return None
    found = Finding(_name(view), taken_back_words(*deep), risk=DOUBTFUL)
    found.escalate = (
        "Count the confirmations of every deposit in these blocks anew before anything is paid out; nothing is restarted."
    )
    return found


def taken_back_words(what: dict[str, Any], roles: list[str]) -> str:
    return (
        f"the chain was reorganised at {clock_time(float(what['at']))}: {what['blocks']} blocks from {what['height']:,} on were taken back "
        f"(told by {listed(roles)})"
    )


def behind(view: WalletView) -> Finding | None:
    if view.daemon["state"] != "synchronizing":
        return None
    name = _name(view)
    how = view.progress(view.daemon, view.daemon.get("target_height"))
    found = Finding(
        name, f"{name} is behind the network: {how}", evidence(view.daemon), details={"budget": view.site.sync_budget}
    )
    if view.site.patience_over:
        found.escalate = f"{name} is still behind: {how}; it is not restarted, that would only cost it time."
    else:
        found.wait_for = f"the chain: {how}"
    return found


def without_peers(view: WalletView) -> Finding | None:
    return _left_alone(view, "no_peers", "has no peer, so it hears of no block", "look at its network and its --add-node")


def stale(view: WalletView) -> Finding | None:
    age = view.daemon.get("last_block_age")
    old = f" for {human_seconds(float(age))}" if age is not None else ""
    return _left_alone(view, "stale", f"has seen no new block{old}", "compare its height with another node's")


def _left_alone(view: WalletView, state: str, what: str, command: str) -> Finding | None:
    if view.daemon["state"] != state:
        return None
    name = _name(view)
    return Finding(
        name,
        f"{name} {what}, though it calls itself synchronized",
        evidence(view.daemon),
        escalate=f"{name} {what}: a restart gives it no peer that it has not; {command}.",
        log=_log(view),
    )


def silences_wallets(finding: Finding, view: WalletView) -> bool:
    """Whether wallets that say nothing, or miss their daemon, are explained by it."""
    return view.daemon["state"] in ("container_down", *SILENT) or is_halted(view.daemon) or finding.cause == "chain-damaged"
