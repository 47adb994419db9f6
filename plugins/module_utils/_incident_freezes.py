# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Payout freezes of a host: which services nobody may start, since when, why, and how the freeze ends. Only reading here."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import Any, Iterable, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import clean, read_json
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import UNLISTED, Places

# Of the database: it ends with a sound one that was compared with the chain, never by a word about wallets.
DATABASE = "database"
# Stands for every service, where nobody can read which ones are meant.
ALL = "*"
LISTS: dict[str, type] = {"services": str, "wallet_services": str, "wallet_ports": int, "published_ports": int}


def folder_of(state_dir: str) -> str:
    return os.path.join(state_dir, "freezes")


def read_freezes(places: Places) -> list[dict[str, Any]]:
    """All freezes of the host. One that cannot be read counts, and freezes every service."""
    folder = folder_of(places.state_dir)
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as problem:
        return [_unreadable(UNLISTED, f"{folder} cannot be read: {problem.strerror}")]
    return [read_freeze(os.path.join(folder, name)) for name in names if name.endswith(".json") and not name.startswith(".")]


def read_freeze(path: str) -> dict[str, Any]:
    name = clean(os.path.basename(path)[: -len(".json")])
    try:
        found = read_json(path)
    except (OSError, ValueError):
        found = None
    if found is None or not all(_is_list(found.get(key, []), kind) for key, kind in LISTS.items()) or not found.get("services"):
        return _unreadable(name, "its file cannot be read")
    policies, wallets = found.get("policies", {}), found.get("wallets", [])
    if not isinstance(policies, dict) or not all(_is_policy(one) for one in policies.values()) or not _are_wallets(wallets):
        return _unreadable(name, "its file cannot be read")
    return {
        "name": name,
        "reason": clean(str(found.get("reason") or "no reason given")),
        "by": clean(str(found.get("by") or "unknown")),
        "run_id": clean(str(found.get("run_id") or "unknown")),
        "since": clean(str(found.get("since") or "unknown")),
        "services": [clean(one) for one in found["services"]],
        "wallet_services": [clean(one) for one in found.get("wallet_services", [])],
        "wallet_ports": list(found.get("wallet_ports", [])),
        "published_ports": list(found.get("published_ports", [])),
        "wallets": [{key: clean(one[key]) for key in ("role", "wallet")} for one in wallets],
        "policies": {str(key): dict(one) for key, one in policies.items()},
        "whole": found["whole"] if isinstance(found.get("whole"), bool) else None,
        "readable": True,
    }


def _unreadable(name: str, reason: str) -> dict[str, Any]:
    return {
        "name": name, "reason": reason, "by": "unknown", "run_id": "unknown", "since": "unknown", "services": [], "wallet_services": [],
        "wallet_ports": [], "published_ports": [], "wallets": [], "policies": {}, "whole": None,
        "readable": False,
    }  # fmt: skip


def _is_list(found: Any, kind: type) -> bool:
    return isinstance(found, list) and all(isinstance(one, kind) and not isinstance(one, bool) for one in found)


def _are_wallets(found: Any) -> bool:
    return isinstance(found, list) and all(
        isinstance(one, dict) and all(isinstance(one.get(key), str) for key in ("role", "wallet")) for one in found
    )


def _is_policy(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and isinstance(found.get("service"), str)
        and isinstance(found.get("name"), str)
        and isinstance(found.get("maximum"), int)
    )


def freezing(freezes: Iterable[Mapping[str, Any]], services: Iterable[str]) -> tuple[str, Mapping[str, Any]] | None:
    """The first of these services that is frozen, and by what."""
    standing = list(freezes)
    for service in services:
        for freeze in standing:
            if not freeze["services"] or service in freeze["services"]:
                return service, freeze
    return None


def words(freeze: Mapping[str, Any]) -> str:
    """payouts frozen since 2026-11-24T02:14:09Z by alice because the buyer's wallet needs an import"""
    half = " (placed or lifted by halves: the cut or a restart policy may be missing)" if freeze.get("whole") is False else ""
    return f"payouts frozen since {freeze['since']} by {freeze['by']} because {freeze['reason']}{half}"


def thaw_words(name: str, host: str = "") -> str:
    """The command that ends a freeze, or what to do where none can."""
    if name == UNLISTED:
        return "look at the folder freezes on the host, then run the same command again"
    limit = ["--limit", host] if host else []
    if name == DATABASE:
        return " ".join(["ansible-playbook", "playbooks/data_corruption.yml", *limit])
    value = (
        f"confirm=thaw:{name}"
        if re.fullmatch(r"[\w.-]+", name, re.ASCII)
        else shlex.quote(json.dumps({"confirm": f"thaw:{name}"}))
    )
    return " ".join(["ansible-playbook", "playbooks/monero_rpc.yml", *limit, "-e", value])


def frozen_services(freezes: Iterable[Mapping[str, Any]], host: str = "") -> dict[str, str]:
    """Each frozen service with the sentence that says why it is left alone; ALL stands for every service."""
    found: dict[str, str] = {}
    for freeze in freezes:
        for service in freeze["services"] or [ALL]:
            found.setdefault(service, f"{words(freeze)}; `{thaw_words(str(freeze['name']), host)}` ends it")
    return found
