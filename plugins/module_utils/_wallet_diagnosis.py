# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The plan for wallets and their daemon: what is wrong, the root first, and what is to be done. A pure function of what was found."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_words import listed
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import DATABASE, words
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_causes import DAEMON_CAUSES, WALLET_CAUSES
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_causes_daemon import (
    DOUBTFUL,
    silences_wallets,
    taken_back_words,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_causes_files import is_doubtful, to_open
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_steps import ORDER, SENTENCES
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_view import (
    FREEZE,
    LAG_BLOCKS,
    NOTABLE_BLOCKS,
    Wallet,
    WalletView,
)

# Those that may be told at once; each of the others is one wallet's own matter.
TOGETHER = ("resume", "start")
# What wallets that miss their daemon look like.
FOR_WANT_OF_A_DAEMON = ("daemon-out-of-reach", "wallet-busy", "wallet-silent", "wallet-behind")
# Steps after which another wallet's state, or none, may be in memory.
TOUCHING = ("restart", "switch", "restore")
# They follow a daemon that reads the chain.
BEHIND_WITH_IT = ("wallet-busy", "wallet-behind")
# What these say needs no look at the wallet's files.
KNOWN_WITHOUT_FILES = ("stale-login", "keys-locked", "wallet-halted")
# Whoever works on, only later, serves.
HARMLESS = ("wallet-behind", "unfinished-store", "blocks-taken-back")


def plan(view: WalletView) -> dict[str, Any]:
    """What to do about what was found."""
    findings = _daemon_findings(view) + _wallet_findings(view)
    _defer_to_the_daemon(findings, view)
    steps, refused = _steps(findings, view)
    escalate = [
        {"cause": one.cause, "service": one.service, "sentence": one.escalate, "log": one.log}
        for one in findings
        if one.escalate
    ] + refused
    confirm = [
        {"what": one.confirm, "service": one.service, "given": one.do is not None, "why": one.reason}
        for one in findings
        if one.confirm
    ] + _thaw_questions(view, steps)
    escalate += [
        _said("frozen", f"The freeze {one['name']} could not be lifted in this run: playbooks/status.yml shows it.")
        for one in view.told.freezes
        if view.tried(str(one["name"]), "thaw")
    ]
    escalate += _exchange_needed(view)
    waiting = [{"service": one.service, "for": one.wait_for} for one in findings if one.wait_for]
    sick = {one.service for one in findings}
    return {
        "causes": [
            {
                "cause": one.cause,
                "service": one.service,
                "sentence": one.sentence,
                "evidence": one.evidence,
                "consequence_of": one.consequence_of,
            }
            for one in findings
        ],
        "steps": steps,
        "confirm": confirm,
        "escalate": escalate,
        "waiting": waiting,
        "risks": list(dict.fromkeys([one.risk for one in findings if one.risk] + _notes(view))),
        "healthy": [one["service"] for one in view.wallets if one["service"] not in sick],
        "hopeless": [one.service for one in findings if one.is_hopeless],
        "frozen": None if view.freeze is None else words(view.freeze),
        "settled": not findings and not steps and view.freeze is None,
        "serving": all(one.cause in HARMLESS for one in findings) and view.freeze is None,
        # How much longer than the deadline what reads the chain may take.
        "start_period": max([float(one.details.get("budget") or 0) for one in findings if one.wait_for], default=0.0),
        "decided": bool(steps)
        or not waiting
        or view.site.patience_over
        or (view.site.check and all(one.details.get("budget") for one in findings if one.wait_for)),
        "ask": _questions(findings, view),
    }


def _daemon_findings(view: WalletView) -> list[Finding]:
    if not view.daemon.get("service") and view.daemon["state"] == "unknown":
        return []
    for cause in DAEMON_CAUSES:
        found = cause.find(view)
        if found is not None:
            found.cause = cause.name
            return [found]
    return []


def _wallet_findings(view: WalletView) -> list[Finding]:
    findings = []
    for wallet in view.wallets:
        for cause in WALLET_CAUSES:
            found = cause.find(view, wallet)
            if found is not None:
                found.cause = cause.name
                findings.append(found)
                break
    return findings


def _defer_to_the_daemon(findings: list[Finding], view: WalletView) -> None:
    """All wallets silent and the daemon silent is one cause: the daemon. Nobody restarts a wallet for it."""
    root = next((one for one in findings if one.service == view.daemon.get("service")), None)
    if root is None:
        return
    explained = (
        FOR_WANT_OF_A_DAEMON if silences_wallets(root, view) else BEHIND_WITH_IT if root.cause == "daemon-behind" else ()
    )
    hopeless = root.is_hopeless
    for one in findings:
        if one is root or one.cause not in explained:
            continue
        one.consequence_of = str(root.service)
        one.sentence = f"{one.sentence}, because of {root.service}"
        one.do = one.confirm = one.escalate = None
        one.wait_for = None if hopeless else f"{root.service} to come back"
        one.blocked = hopeless


def _steps(findings: list[Finding], view: WalletView) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Steps in their order, and what is refused because payouts could not be frozen before it."""
    acting = [one for one in findings if one.do]
    refused: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []
    needing = [one for one in acting if one.do == "restore" or one.details.get("touches_signing")]
    # Somebody else's freeze is lifted when he likes: what we need is our own, and in force as a whole.
    ours = next((one for one in view.told.freezes if one["name"] == FREEZE), None)
    if needing and (ours is None or ours.get("whole", True) is not True):
        if view.tried_on_host("freeze"):
            refused = [
                _said(
                    one.cause, f"Payouts could not be frozen, so {one.service} is left alone: look at why first.", one.service
                )
                for one in needing
            ]
            acting = [one for one in acting if one not in needing]
        else:
            why = f"what follows may leave {listed([str(one.service) for one in needing])} unable to sign until multisig info was exchanged"
            steps.append({**_step("freeze", [], why, view), "details": [{"wallets": [_touched(one, view) for one in needing]}]})
    for do in ORDER:
        group = [one for one in acting if one.do == do]
        # The daemon first, and by itself: what its wallets need then is another look's matter.
        root = [one for one in group if one.service == view.daemon.get("service")]
        rest = [one for one in group if one not in root]
        for part in [root, rest] if do in TOGETHER else [[one] for one in root + rest]:
            if part:
                steps.append(_step(do, part, "; ".join(dict.fromkeys(one.reason for one in part if one.reason)), view))
    if needing or any(do in TOUCHING for do, _service in view.site.tried):
        # A word given before a wallet was touched says nothing about what became of it.
        confirmed: frozenset[str] = frozenset()
    else:
        confirmed = view.site.confirm
    return steps + _thaws(findings, view, confirmed), refused


def _touched(one: Finding, view: WalletView) -> dict[str, str]:
    wallet = next(wallet for wallet in view.wallets if wallet["service"] == one.service)
    which = one.details.get("wallet") or wallet.get("open_wallet") or wallet.get("wanted_wallet") or ""
    return {"role": str(wallet["role"]), "wallet": str(which)}


def _thaws(findings: list[Finding], view: WalletView, confirmed: frozenset[str]) -> list[dict[str, Any]]:
    steps = []
    for one in view.told.freezes:
        name = str(one["name"])
        if name == DATABASE or view.tried(name, "thaw"):
            continue
        if f"thaw:{name}" in confirmed:
            why = "confirmed"
        elif name == FREEZE and one.get("readable", True) and not findings and _all_exchanged(view, one):
            why = "every wallet is ready, none needs an exchange of multisig info, and no signing round is open"
        else:
            continue
        steps.append({**_step("thaw", [], why, view), "key": f"thaw:{name}", "details": [{"name": name, "why": why}]})
    return steps


def _step(do: str, findings: list[Finding], reason: str, view: WalletView) -> dict[str, Any]:
    services = [str(one.service) for one in findings]
    return {
        "do": do,
        "services": services,
        "key": f"{do}:{','.join(services)}" if services else do,
        "sentence": SENTENCES[do].format(services=listed(services) if services else ""),
        "reason": reason,
        "containers": [_container_of(str(one.service), view) for one in findings],
        "details": [one.details for one in findings],
    }


def _container_of(service: str, view: WalletView) -> str:
    found = next(one for one in [view.daemon, *view.wallets] if one.get("service") == service)
    return str((found.get("container") or {}).get("id") or service)


def _said(cause: str, sentence: str, service: Any = None) -> dict[str, Any]:
    return {"cause": cause, "service": service, "sentence": sentence, "log": []}


def _all_exchanged(view: WalletView, freeze: Mapping[str, Any]) -> bool:
    """That none needs an exchange does not prove a fresh one where a round is open: an older cache is complete too, with its nonces."""
    touched = {str(one["role"]): str(one["wallet"]) for one in freeze.get("wallets") or []}
    return (
        bool(view.wallets)
        and view.signing()[0] == "none"
        and all(_can_sign(one) and touched.get(one["role"], "") in ("", one.get("open_wallet")) for one in view.wallets)
    )


def _can_sign(wallet: Mapping[str, Any]) -> bool:
    lag = wallet.get("lag")
    return (
        wallet["state"] == "ready"
        and wallet.get("import_needed") is False
        and isinstance(lag, int)
        and lag <= LAG_BLOCKS
        and (wallet.get("multisig") or {}).get("ready") is True
    )


def _needing_exchange(view: WalletView) -> list[str]:
    return [str(one["role"]) for one in view.wallets if one.get("import_needed") is True]


def _exchange_needed(view: WalletView) -> list[dict[str, Any]]:
    """Only where payouts stand frozen: at work every payment that comes in asks for an exchange before the next signature."""
    who = _needing_exchange(view)
    if view.freeze is None or not who:
        return []
    return [
        _said(
            "exchange-needed",
            f"The wallets have to exchange multisig info before {listed(who)} can sign: the application does that, this tool never. "
            "Payouts stay frozen until then; run this playbook again afterwards.",
        )
    ]


def _thaw_questions(view: WalletView, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    thawing = [step["key"] for step in steps]
    unknown = [str(one["role"]) for one in view.wallets if one.get("import_needed") is None]
    known = f" (not known of {listed(unknown)})" if unknown else ""
    found = []
    for one in view.told.freezes:
        if one["name"] == DATABASE:
            continue  # playbooks/data_corruption.yml ends it
        what = f"thaw:{one['name']}"
        if what in thawing and not view.allows(what):
            continue  # it needs no question
        quiet = f"when every wallet is ready and needs no exchange of multisig info{known}, and no signing round is open"
        itself = f"; it ends by itself {quiet}; {view.signing()[1]}"
        why = words(one) + (itself if one["name"] == FREEZE else "")
        found.append({"what": what, "service": None, "given": what in thawing, "why": why})
    return found


def _notes(view: WalletView) -> list[str]:
    """What is no fault and still good to know."""
    notes = []
    shallow = view.taken_back(NOTABLE_BLOCKS)
    if shallow is not None:
        notes.append(f"{taken_back_words(*shallow)}; {DOUBTFUL}")
    for one in view.wallets:
        left = (one.get("files") or {}).get("leftovers") or []
        if left and not view.told.full:
            notes.append(
                f"{one['role']}: {', '.join(map(str, left))} is left of a store that was interrupted; nobody removes it"
            )
    return notes


def _questions(findings: list[Finding], view: WalletView) -> dict[str, Any]:
    """What has to be known before this plan can be trusted, and was not asked yet."""
    known = {found.service for found in findings if found.cause in KNOWN_WITHOUT_FILES}
    damaged = {found.service for found in findings if found.cause == "wallet-damaged"}
    doubtful = [one for one in view.wallets if is_doubtful(view, one) and one["service"] not in known]
    of_wallets = any(found.service != view.daemon.get("service") for found in findings)
    return {
        "signing": (of_wallets or view.freeze is not None) and view.told.signing is None and not view.told.no_query,
        "files": [_asked(one, view) for one in doubtful if one["role"] not in view.told.files],
        "restores": [
            _asked(one, view) for one in view.wallets if one["service"] in damaged and one["role"] not in view.told.restores
        ],
        "disks": view.told.full is None and any((one.get("files") or {}).get("leftovers") for one in view.wallets),
    }


def _asked(wallet: Wallet, view: WalletView) -> dict[str, str]:
    return {"role": str(wallet["role"]), "wallet": to_open(view, wallet)}
