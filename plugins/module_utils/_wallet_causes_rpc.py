# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes that lie in one wallet RPC: its container, its process, its answers."""

from __future__ import annotations

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _monero_versions
from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import clock_time, epoch, human_seconds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_view import (
    LAG_BLOCKS,
    Wallet,
    WalletView,
    evidence,
    is_halted,
    status,
)

DOWN = ("exited", "dead", "created")
SILENT = ("not_responding", "port_closed")
# Since this release a wallet answers while it refreshes.
ANSWERS_SINCE = "v0.18.4.1"


def log_of(wallet: Wallet) -> list[str]:
    return [str(line) for line in wallet.get("log") or []]


def login_files(wallet: Wallet) -> list[str]:
    files = wallet.get("files") or {}
    folder = str(files.get("directory") or "")
    return [name if str(name).startswith("/") else f"{folder}/{name}" for name in files.get("login_files") or []]


def falls(view: WalletView, wallet: Wallet) -> bool:
    """It ends right after each start."""
    if status(wallet) == "restarting":
        return True
    return status(wallet) in DOWN and view.tried(wallet["service"], "start", "restart")


def unfinished(wallet: Wallet) -> list[str]:
    """What an interrupted store has left: the next one would write over it."""
    files = wallet.get("files") or {}
    return [f"{files.get('directory') or ''}/{name}" for name in files.get("leftovers") or []]


def signing_risk(view: WalletView) -> str:
    """What is at stake where a wallet died: it is said, and keeps nobody from starting what is dead already."""
    state, words = view.signing()
    return "" if state == "none" else f"{words}; do not retry a transfer, look at it in the application first"


def missing(_view: WalletView, wallet: Wallet) -> Finding | None:
    if status(wallet) != "missing" or wallet["state"] not in ("container_down", "port_closed"):
        return None
    name = wallet["service"]
    return Finding(
        name, f"{name} has no container", escalate=f"{name} has to be created: ansible-playbook playbooks/outage.yml"
    )


def paused(_view: WalletView, wallet: Wallet) -> Finding | None:
    if status(wallet) != "paused":
        return None
    name = wallet["service"]
    return Finding(
        name,
        f"{name} is paused (docker pause)",
        escalate=f"{name} was paused, maybe on purpose: playbooks/outage.yml asks before it goes on.",
    )


def halted(view: WalletView, wallet: Wallet) -> Finding | None:
    if not is_halted(wallet):
        return None
    name, pid = wallet["service"], wallet["process"]["pid"]
    found = Finding(name, f"{name} halted by a signal (SIGSTOP): pid {pid}", details={"pids": [pid]})
    if view.tried(name, "resume"):
        found.escalate = f"{name} was told to go on in this run and is halted again: somebody or something keeps stopping it."
    else:
        found.do, found.reason = "resume", "it goes on where it stopped, a signing round too"
    return found


def stale_login(view: WalletView, wallet: Wallet) -> Finding | None:
    """Below v0.18.3.4 a wallet RPC without a login of its own does not start where a killed one has left the file."""
    left = login_files(wallet)
    if not left or not (falls(view, wallet) or status(wallet) in DOWN):
        return None
    says = [line for line in log_of(wallet) if ".login" in line or "Failed to create file" in line]
    if not says:
        return None
    name = wallet["service"]
    found = Finding(
        name, f"{name} does not start: {', '.join(left)} is left of a run that was killed", [f'it says "{says[-1]}"']
    )
    if view.tried(name, "set_login_aside"):
        found.escalate = f"{name} falls over its login file again: look who else starts it."
    else:
        found.do = "set_login_aside"
        found.reason = "it holds the password of a process that is gone; it is kept, and nothing else is moved"
        found.details = {"paths": left}
    return found


def falling(view: WalletView, wallet: Wallet) -> Finding | None:
    if not falls(view, wallet):
        return None
    name = wallet["service"]
    code = (wallet.get("container") or {}).get("exit_code")
    return Finding(
        name,
        f"{name} ends right after each start (exit status {'unknown' if code is None else code})",
        evidence(wallet),
        escalate=f"{name} ends by itself, so starting it again mends nothing; its last lines say why.",
        log=log_of(wallet),
        exit_code=code,
    )


def exited(view: WalletView, wallet: Wallet) -> Finding | None:
    if status(wallet) not in DOWN:
        return None
    name = wallet["service"]
    code = (wallet.get("container") or {}).get("exit_code")
    how = {137: ", SIGKILL", 143: ", SIGTERM"}.get(code or 0, "")
    sentence = f"{name} is not running (exit status {'unknown' if code is None else code}{how})"
    if view.frozen(name):
        return Finding(name, sentence, escalate=f"{name} is frozen ({view.frozen(name)}) and is not started.")
    reopened = (
        f", then {wallet['wanted_wallet']} is opened" if wallet.get("open") == "always" and wallet.get("wanted_wallet") else ""
    )
    found = Finding(name, sentence, do="start", reason=f"it is not running{reopened}", exit_code=code, risk=signing_risk(view))
    if code != 0 and view.signing()[0] != "none":
        # Signing is never stored: what was killed comes back with the nonces of a signature that may have left the host, and a second
        # one with them gives its key share away.
        found.details["touches_signing"] = True
    left = unfinished(wallet)
    if left:
        found.evidence.append(f"{', '.join(left)} is left of a store that did not end")
        found.reason += "; that file and the one beside it are kept first"
    return found


def keys_locked(_view: WalletView, wallet: Wallet) -> Finding | None:
    """The kernel frees a lock when its process ends, so that it always means one that lives."""
    lock = (wallet.get("files") or {}).get("lock") or {}
    if wallet["state"] != "keys_locked" and not (wallet["state"] == "no_wallet_open" and lock and lock.get("ours") is False):
        return None
    name, role = wallet["service"], wallet["role"]
    where = f"in container {lock['container']}" if lock.get("container") else "on the host itself"
    who = f"pid {lock['pid']} ({lock.get('command') or 'unknown'}) {where}" if lock.get("pid") else "a process that is not seen"
    look = f"ps -o pid,user,lstart,args -p {lock['pid']}" if lock.get("pid") else f"fuser -v {_keys(wallet)}"
    return Finding(
        name,
        f"the {role}'s keys are locked by {who}",
        escalate=(
            f"{who} has the {role}'s wallet open: two programs on one wallet spoil it, so the lock is not broken. "
            f"See who it is (`{look}`), end it there, then run this playbook again."
        ),
    )


def _keys(wallet: Wallet) -> str:
    files = wallet.get("files") or {}
    return f"{files.get('directory') or '.'}/{wallet.get('wanted_wallet') or files.get('wallet') or '*'}.keys"


def auth_required(view: WalletView, wallet: Wallet) -> Finding | None:
    if wallet["state"] != "auth_required":
        return None
    name, login = wallet["service"], wallet.get("login") or {}
    if not login.get("given"):
        return Finding(
            name,
            f"{name} wants a login, and none is given",
            evidence(wallet),
            escalate="Set marketplace_wallet_login_file (or marketplace_wallet_user and its password) to the login it was started with.",
        )
    changed, started = login.get("file_changed_at"), epoch((wallet.get("container") or {}).get("started_at"))
    where = login.get("file") or "the login file"
    found = Finding(name, f"{name} refuses the login given", evidence(wallet))
    if changed is None or started is None or changed <= started or view.tried(name, "restart"):
        since = "" if started is None else f" (started {clock_time(started)})"
        found.escalate = (
            f"{name}{since} refuses the login of {where}, which is not newer than it: set marketplace_wallet_login_file, "
            "or the user and password, to the login it was started with; a restart would change nothing."
        )
        return found
    found.evidence.insert(0, f"{where} was changed {clock_time(changed)}, after its start {clock_time(started)}")
    return ask_before_restart(view, found, "it reads its login only at its start, and the file is newer than that")


def ask_before_restart(view: WalletView, found: Finding, reason: str) -> Finding:
    name = str(found.service)
    state, words = view.signing()
    found.confirm, found.reason = f"restart:{name}", f"{reason}; {words}"
    if view.allows(found.confirm):
        found.do = "restart"
        found.details["touches_signing"] = state != "none"
    return found


def busy(view: WalletView, wallet: Wallet) -> Finding | None:
    if wallet["state"] != "syncing_busy":
        return None
    name, how = wallet["service"], view.progress(wallet, view.daemon.get("height"))
    found = Finding(name, f"{name} is busy with the chain: {how}", evidence(wallet), details={"budget": view.site.sync_budget})
    found.risk = upgrade_advice(wallet)
    if view.site.patience_over:
        found.escalate = (
            f"{name} is still busy: {how}. It is not restarted, that would throw its work away; run this playbook again later."
        )
    else:
        found.wait_for = f"its blocks: {how}"
    return found


def upgrade_advice(wallet: Wallet) -> str:
    if _monero_versions.answers_while_busy(_monero_versions.pair_of(wallet.get("rpc_version"))):
        return ""
    has = f" (here {wallet['release']})" if wallet.get("release") else ""
    return f"before {ANSWERS_SINCE} a wallet RPC answers nothing while it refreshes{has}: plan the upgrade"


def daemon_missing(view: WalletView, wallet: Wallet) -> Finding | None:
    """The daemon answers us and not the wallet, or does not answer anybody (then it is the root)."""
    if wallet["state"] != "daemon_unreachable":
        return None
    name = wallet["service"]
    found = Finding(name, f"{name} does not reach its Monero daemon", evidence(wallet), symptom=True, log=log_of(wallet))
    if view.site.patience_over:
        found.escalate = (
            f"{name} does not reach its daemon, which answers here: look at its --daemon-address, then playbooks/outage.yml."
        )
    else:
        found.wait_for = "it to find its daemon again"
    return found


def silent(view: WalletView, wallet: Wallet) -> Finding | None:
    if wallet["state"] not in SILENT:
        return None
    name, up = wallet["service"], view.up_for(wallet)
    words = "does not answer" if wallet["state"] == "not_responding" else "runs, but nobody listens on its port"
    found = Finding(name, f"{name} {words}", evidence(wallet), symptom=True, log=log_of(wallet))
    if view.is_young(wallet):
        found.wait_for = f"its first answer (started {human_seconds(up or 0)} ago)"
    elif (wallet.get("process") or {}).get("moving") and not view.site.patience_over:
        found.wait_for = "it to answer: it works (processor or log)"
        found.details["budget"] = view.site.sync_budget
    elif view.tried(name, "restart") and not view.was_restarted(wallet):
        found.escalate = f"{name} was to be restarted in this run and was not: run this playbook again."
    elif view.tried(name, "restart", "start"):
        found.escalate = f"{name} was started afresh in this run and still does not answer: another restart mends nothing."
    elif view.tried(name, "resume") and not view.site.patience_over:
        found.wait_for = "it to answer: it has just been told to go on"
    elif not _is_idle(wallet):
        doubt = "it works (processor or log), which a restart would throw away"
        if not (wallet.get("process") or {}).get("moving"):
            doubt = "whether it is idle is not known, or something else answers in its place"
        return ask_before_restart(view, found, doubt)
    elif view.signing()[0] == "none":
        found.do, found.reason = "restart", f"it does not answer, and {view.signing()[1]}"
    else:
        return ask_before_restart(view, found, "its memory may hold a half signed payout, which a restart loses")
    return found


def _is_idle(wallet: Wallet) -> bool:
    """Whether it was seen to do nothing; one that answers at once, but not as an RPC does, was looked at too shortly for that."""
    process = wallet.get("process")
    return process.get("moving") is False if process else wallet["state"] == "port_closed"


def lagging(view: WalletView, wallet: Wallet) -> Finding | None:
    lag = wallet.get("lag")
    if wallet["state"] != "ready" or not isinstance(lag, int) or lag <= LAG_BLOCKS:
        return None
    name, how = wallet["service"], view.progress(wallet, view.daemon.get("height"))
    found = Finding(
        name, f"{name} is {lag:,} blocks behind its daemon: {how}", details={"budget": view.site.sync_budget}, symptom=True
    )
    if view.site.patience_over:
        found.escalate = f"{name} is still behind: {how}. It works, and is not restarted; run this playbook again later."
    else:
        found.wait_for = f"its blocks: {how}"
    return found
