# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes that lie in a wallet's files, or in which of them is open."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_causes_rpc import falls, log_of
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_view import Wallet, WalletView, evidence

DAMAGED = ("cache_damaged", "cache_missing", "keys_damaged", "keys_missing", "missing")
_WORDS = {
    "cache_damaged": "its cache is damaged, its keys are sound",
    "cache_missing": "its cache is missing, its keys are sound",
    "keys_damaged": "its keys are damaged",
    "keys_missing": "its keys are missing",
    "missing": "its files are missing",
}


def to_open(view: WalletView, wallet: Wallet) -> str:
    """The wallet that is to be open: where the inventory says so, or because we restarted what had it open."""
    if wallet.get("open") == "always":
        return str(wallet.get("wanted_wallet") or "")
    if view.tried(wallet["service"], "restart", "restore"):
        return str(view.earlier(wallet["service"]).get("open_wallet") or "")
    return ""


def is_doubtful(view: WalletView, wallet: Wallet) -> bool:
    """Whether a wallet that should be open is not, for a reason that its files may tell.

    One whose RPC was started in this run has not been told to open it yet.
    """
    name = wallet["service"]
    if not to_open(view, wallet):
        return False
    if falls(view, wallet):
        return True
    if view.tried(name, "open", "switch", "restore"):
        return wallet["state"] in ("no_wallet_open", "wrong_wallet")
    return wallet["state"] == "no_wallet_open" and not view.tried(name, "start", "restart", "set_login_aside")


def damaged(view: WalletView, wallet: Wallet) -> Finding | None:
    files = view.told.files.get(wallet["role"]) or {}
    if not is_doubtful(view, wallet) or files.get("state") not in DAMAGED:
        return None
    name, role, which = wallet["service"], wallet["role"], to_open(view, wallet)
    found = Finding(name, f"the {role}'s wallet {which}: {_WORDS[files['state']]}", _shown(files), log=log_of(wallet))
    if view.tried(name, "restore"):
        found.escalate = (
            f"The {role}'s wallet {which} was restored in this run and still cannot be opened: its files say {files['state']}."
        )
        return found
    plan = view.told.restores.get(role) or {}
    ladder = str(plan.get("ladder") or "")
    found.details = {"role": role, "wallet": which}
    if ladder == "resume":
        found.do = "restore"
        found.reason = (
            "an earlier restore of it was begun and is ended first; payouts are frozen until multisig info was exchanged"
        )
    elif ladder == "rescan":
        found.do = "restore"
        cache = "no cache is left" if files["state"] == "cache_missing" else "the damaged cache is kept"
        found.reason = f"{cache} and the chain is read again; payouts are frozen first, until multisig info was exchanged"
    elif ladder == "keys_from_backup" and plan.get("confirm"):
        found.confirm = str(plan["confirm"])
        found.reason = f"{_sentence(plan)}; what is there is kept, payouts are frozen first"
        found.do = "restore" if view.allows(found.confirm) else None
    else:
        found.escalate = f"The {role}'s wallet {which} cannot be restored by itself: {_sentence(plan)}."
    return found


def _shown(files: Mapping[str, Any]) -> list[str]:
    return [str(sentence) for sentence in files.get("evidence") or []][:2]


def _sentence(plan: Mapping[str, Any]) -> str:
    why = str(plan.get("why") or "no plan for it was made").rstrip(".")
    lost = [str(one) for one in plan.get("lost") or []]
    return f"{why} (lost: {', '.join(lost[:3])})" if lost else why


def refuses_to_open(view: WalletView, wallet: Wallet) -> Finding | None:
    """It was told to open, its files are not damaged, or nobody could look at them."""
    if not is_doubtful(view, wallet) or falls(view, wallet):
        return None
    name, role, which = wallet["service"], wallet["role"], to_open(view, wallet)
    files = view.told.files.get(role) or {}
    state = str(files.get("state") or "unknown")
    if state != "wrong_password" and not view.tried(name, "open", "switch", "restore"):
        return None
    found = Finding(name, f"{name} does not open {which}", _shown(files) or evidence(wallet), log=log_of(wallet))
    found.escalate = {
        "wrong_password": f"The password of the {role}'s wallet {which} is not the one in marketplace_wallets: correct it there.",
        "sound": f"{which} opens in a throw-away wallet RPC, but not in {name}: its last lines say why.",
    }.get(state, f"{name} does not open {which}, and what is wrong with its files is unknown: its last lines say why.")
    return found


def wrong_wallet(view: WalletView, wallet: Wallet) -> Finding | None:
    """Where the application opens wallets as it needs them, another one is no fault; other keys under the right name always are."""
    if wallet["state"] != "wrong_wallet":
        return None
    if wallet.get("wanted_wallet") and wallet.get("open_wallet") == wallet["wanted_wallet"]:
        return _not_the_signers(wallet)
    if wallet.get("open") != "always":
        return None
    name, role, which = wallet["service"], wallet["role"], to_open(view, wallet)
    other = wallet.get("open_wallet") or "another wallet"
    found = Finding(name, f"{name} has {other} open, not {which}", evidence(wallet), details=_opening(wallet, which))
    if view.tried(name, "switch"):
        found.escalate = (
            f"{name} was told to open {which} in this run and has {other} open again: somebody else opens wallets there. "
            "Find out whether the application does, and whether the inventory's `open: always` is right."
        )
        return found
    state, words = view.signing()
    if state == "none":
        found.do, found.reason = "switch", f"the inventory wants {which} open always, and {words}"
        return found
    found.confirm, found.reason = f"open:{role}", f"closing {other} may end a round that it signs; {words}"
    if view.allows(found.confirm):
        found.do = "switch"
        found.details["touches_signing"] = True
    return found


def _not_the_signers(wallet: Wallet) -> Finding:
    """To close it and to open the same name again would mend nothing."""
    name, role, which = wallet["service"], wallet["role"], wallet["wanted_wallet"]
    what = "its keys are not the pinned ones" if wallet.get("pin") == "differs" else "its address is not the inventory's"
    return Finding(
        name,
        f"{name} has {which} open, but {what}",
        evidence(wallet),
        escalate=(
            f"{name} has {which} open, but {what}: find out who changed its files, or whether the entry of the {role} in "
            "marketplace_wallets (signer, address) is the wrong one. It is left open as it is, and nobody should sign with it meanwhile."
        ),
    )


def none_open(view: WalletView, wallet: Wallet) -> Finding | None:
    name, which = wallet["service"], to_open(view, wallet)
    if wallet["state"] != "no_wallet_open" or not which:
        return None
    found = Finding(name, f"{name} answers, but no wallet is open", details=_opening(wallet, which))
    always = wallet.get("open") == "always"
    found.do, found.reason = (
        "open",
        f"the inventory wants {which} open always" if always else f"{which} was open before our restart",
    )
    return found


def _opening(wallet: Wallet, which: str) -> dict[str, Any]:
    return {"role": wallet["role"], "wallet": which, "url": wallet["url"], "service": wallet["service"]}


def unfinished_store(view: WalletView, wallet: Wallet) -> Finding | None:
    """A store that found no room leaves its new file beside the old one; either may be the better one."""
    files = wallet.get("files") or {}
    left = [str(name) for name in files.get("leftovers") or []]
    if not left or not view.told.full:
        return None
    name = wallet["service"]
    return Finding(
        name,
        f"{name} could not store its wallet, {', '.join(view.told.full)} is full: {', '.join(left)} is left beside the old file",
        evidence(wallet),
        escalate=(
            f"Make room first (ansible-playbook playbooks/outage.yml). Keep {', '.join(left)} and the file beside it, both: "
            f"{name} still has the newest state in memory, so it is not restarted; then run this playbook again."
        ),
    )
