# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What wallets and the site's own escrow test prove. What could not be measured is "unproven", never "ok"."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

# Nothing is broken there, but nothing is proven either.
WAITING = frozenset({"syncing_busy", "unknown"})
WORDS = {
    "no_wallet_open": "no wallet open",
    "wrong_wallet": "another wallet open",
    "auth_required": "login refused",
    "syncing_busy": "busy with the chain",
    "daemon_unreachable": "daemon not reached",
    "keys_locked": "keys locked by another process",
    "not_responding": "not responding",
    "port_closed": "port closed",
    "container_down": "container down",
}
NUMBERS = ("no", "one", "two", "three", "four", "five")

Wallet = Mapping[str, Any]


def escrow(tested: Mapping[str, Any] | None, monero: Mapping[str, Any] | None, site: Sequence[Wallet] = ()) -> dict[str, Any]:
    """The site's own test decides where it was run; the wallets decide where it was not."""
    wallets = _wallets(monero, site)
    test = dict(tested) if tested and not tested.get("skipped") else None
    sentences = [wallets["sentence"]]
    if test is None:
        state = wallets["state"]
    elif test["state"] == "not_run":
        state = "failed" if wallets["state"] == "failed" else "unproven"
        sentences.append(f"escrow test not run ({test['why']})")
    else:
        state = "failed" if test["state"] == "failed" or wallets["state"] == "failed" else "proven"
        sentences.append(_test_sentence(test))
    return {
        "state": state,
        "sentence": " · ".join(sentences),
        "wallets": {key: wallets[key] for key in ("state", "ready", "total")},
        "test": test,
        "next": "monero_rpc" if state == "failed" else "",
    }


def _test_sentence(test: Mapping[str, Any]) -> str:
    line = clean_line(str(test["line"]), 160)
    said = f": {line}" if line else ""
    if test["state"] == "proven":
        return f"escrow test passed in {test['seconds']:.0f} s{said}"
    return f"escrow test FAILED after {test['seconds']:.0f} s ({test['why']}){said}"


def _none() -> dict[str, Any]:
    return {"state": "unproven", "ready": 0, "total": 0}


def _wallets(monero: Mapping[str, Any] | None, site: Sequence[Wallet]) -> dict[str, Any]:
    wallets = list((monero or {}).get("wallets") or [])
    if not wallets:
        why = clean_line(str((monero or {}).get("msg") or ""), 200)
        return {**_none(), "sentence": f"wallets unproven ({why})" if why else "wallets unproven (none is named)"}
    ready = [one for one in wallets if one["state"] == "ready"]
    idle = [one for one in wallets if _idle(one)]
    wrong = [*_not_working(wallets), *_one_share_twice(wallets), *_not_as_pinned(wallets, site), *_addresses_differ(ready)]
    missing = [*_busy(wallets), *_not_known(wallets, ready, idle), *_daemon((monero or {}).get("daemon") or {})]
    state = "failed" if wrong else "unproven" if missing else "proven"
    said = [f"wallets {len(ready)}/{len(wallets)} open", *wrong, *missing]
    if state == "proven":
        said.append(f"one address, {_count(len(wallets))} signers")
    return {"state": state, "ready": len(ready), "total": len(wallets), "sentence": ", ".join(said)}


def _idle(wallet: Wallet) -> bool:
    """With wallets that are opened on demand, none open is the normal state between two payments."""
    return bool(wallet["state"] == "no_wallet_open" and wallet.get("open") != "always")


def _name(wallet: Wallet) -> str:
    return clean_line(str(wallet.get("role") or "?"), 60)


def _names(wallets: Sequence[Wallet]) -> str:
    names = [_name(one) for one in wallets]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _not_working(wallets: Sequence[Wallet]) -> list[str]:
    by_state: dict[str, list[Wallet]] = {}
    for one in wallets:
        if one["state"] == "ready" or one["state"] in WAITING or _idle(one) or _not_allowed_to_look(one):
            continue
        by_state.setdefault(one["state"], []).append(one)
    return [f"{_names(each)}: {WORDS.get(state, clean_line(state, 40))}" for state, each in by_state.items()]


def _not_allowed_to_look(wallet: Wallet) -> bool:
    return wallet["state"] == "auth_required" and not (wallet.get("login") or {}).get("given", True)


def _signer(wallet: Wallet) -> str:
    return str(((wallet.get("files") or {}).get("keys") or {}).get("sha256") or "")


def _one_share_twice(wallets: Sequence[Wallet]) -> list[str]:
    """All share one address, so only the keys tell whose wallet it is."""
    holders: dict[str, list[Wallet]] = {}
    for one in wallets:
        if _signer(one):
            holders.setdefault(_signer(one), []).append(one)
    return [f"{_names(each)} hold the SAME keys: two copies of one share" for each in holders.values() if len(each) > 1]


def _not_as_pinned(wallets: Sequence[Wallet], site: Sequence[Wallet]) -> list[str]:
    pins = {str(one.get("role")): str(one.get("signer") or "").lower() for one in site}
    other = [one for one in wallets if _signer(one) and pins.get(str(one.get("role")), "") not in ("", _signer(one))]
    return [f"{_names(other)}: keys of ANOTHER signer than the pinned one"] if other else []


def _addresses_differ(ready: Sequence[Wallet]) -> list[str]:
    """Of wallets of one name: with one for each escrow, different ones may be open."""
    by_name: dict[str, set[str]] = {}
    for one in ready:
        if one.get("address"):
            by_name.setdefault(str(one.get("open_wallet") or one.get("wanted_wallet") or ""), set()).add(str(one["address"]))
    return [
        f"the addresses of {clean_line(name, 60) or 'the wallets'} DIFFER" for name, found in by_name.items() if len(found) > 1
    ]


def _busy(wallets: Sequence[Wallet]) -> list[str]:
    busy = [one for one in wallets if one["state"] in WAITING]
    locked_out = [one for one in wallets if _not_allowed_to_look(one)]
    return [f"{_name(one)}: {WORDS.get(one['state'], 'state unknown')}" for one in busy] + (
        [f"{_names(locked_out)}: no login is named to ask with"] if locked_out else []
    )


def _not_known(wallets: Sequence[Wallet], ready: Sequence[Wallet], idle: Sequence[Wallet]) -> list[str]:
    found = []
    if idle:
        found.append(f"{_names(idle)}: none open now, as is usual between two payments")
    waiting = [one for one in ready if one.get("import_needed")]
    if waiting:
        found.append(f"{_names(waiting)} cannot sign before an exchange of multisig info")
    not_multisig = [one for one in ready if not (one.get("multisig") or {}).get("ready")]
    if not_multisig:
        found.append(f"{_names(not_multisig)}: not known to be a multisig wallet that is set up")
    silent = [one for one in ready if not one.get("address")]
    if silent:
        found.append(f"{_names(silent)}: address unknown")
    names = {one.get("open_wallet") for one in ready if one.get("open_wallet")}
    if len(names) > 1:
        found.append("different escrows are open, so the addresses cannot be compared")
    unsigned = [one for one in wallets if not _signer(one)]
    if unsigned:
        found.append(f"{_names(unsigned)}: signer unknown")
    unknown = [one for one in ready if one.get("import_needed") is None]
    if unknown:
        found.append(f"{_names(unknown)}: not known whether an exchange is needed")
    return found


def _daemon(daemon: Mapping[str, Any]) -> list[str]:
    state = str(daemon.get("state") or "")
    return [] if state in ("synchronized", "") else [f"daemon {state.replace('_', ' ')}"]


def _count(number: int) -> str:
    return NUMBERS[number] if number < len(NUMBERS) else str(number)
