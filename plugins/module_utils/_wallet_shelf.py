# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What the archives of the wallets are worth: from a glance at their names to each byte read."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_shelf, _wallet_archive
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_shelf import Archive
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import sentence_for, utc
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_archive import (
    BadArchive,
    Limits,
    manifest_problems,
)

LISTING, CHECKSUM, FULL = "listing", "checksum", "full"


def looked(
    folder: str, key: Key, verify: str = LISTING, *, roles: list[str] | None = None, site: str = "", everything: bool = False,
    seconds: float = 1800.0,
) -> dict[str, Any]:  # fmt: skip
    """Archives newest first. With `full` each role is read back to its newest good one, and no further unless everything is wanted."""
    wanted = roles or []
    found: list[dict[str, Any]] = []
    newest: dict[str, str] = {}
    for archive in _backup_shelf.archives(folder):
        if archive.role is not None and wanted and archive.role not in wanted:
            continue
        done = not everything and (archive.role in newest or (bool(wanted) and newest.keys() >= set(wanted)))
        one = _entry(archive, key, LISTING if done else verify, site, seconds)
        found.append(one)
        for role in one["roles"]:
            if one["good"] and role not in newest:
                newest[role] = one["path"]
    return {"backups": found, "newest_good": newest, "latest": _pointers(folder, found)}


def good(archive: Archive, key: Key) -> bool:
    """Opened to its end now; that it is unchanged is enough where this host cannot open it by design."""
    try:
        return not any(manifest_problems(_wallet_archive.read(archive.path, key)))
    except BadArchive as problem:
        return problem.kind == "no_secret_key"


def _pointers(folder: str, found: list[dict[str, Any]]) -> dict[str, str]:
    """Where each role's pointer leads; what leads nowhere is left out."""
    paths = {one["path"] for one in found}
    pointed = {role: _backup_shelf.pointed(folder, role) for one in found for role in one["roles"]}
    return {role: path for role, path in pointed.items() if path is not None and path in paths}


def _entry(archive: Archive, key: Key, verify: str, site: str, seconds: float) -> dict[str, Any]:
    manifest = _backup_shelf.manifest_beside(archive.path)
    one: dict[str, Any] = {
        "path": archive.path, "role": archive.role, "roles": [archive.role] if archive.role else [], "ours": archive.ours,
        "created": utc(archive.created), "age_seconds": int(time.time() - archive.created), "bytes": archive.bytes,
        "manifest": manifest, "sha256": _backup_shelf.sha256_beside(archive.path), "sha256_ok": None, "decrypts": None,
        "content_ok": None, "good": None, "problem": "", "wallets": [], "seconds": None,
    }  # fmt: skip
    try:
        if verify != LISTING:
            one["sha256_ok"] = _backup_shelf.intact(archive.path)
        if one["sha256_ok"] is False:
            one.update(
                good=False,
                problem=f"{archive.path} is not what it was when it was made: its sha256 differs from the one beside it.",
            )
        elif verify == FULL:
            began = time.monotonic()
            one.update(_read(archive, key, manifest, site, seconds))
            one["seconds"] = {"decrypt": round(time.monotonic() - began, 2)}
    except OSError as problem:
        one.update(good=False, problem=sentence_for(problem))
    return one


def _read(archive: Archive, key: Key, beside: dict[str, Any] | None, site: str, seconds: float) -> dict[str, Any]:
    try:
        listing = _wallet_archive.read(archive.path, key, Limits(seconds=seconds))
    except BadArchive as problem:
        # That this host has not the key is no judgement on the archive.
        if problem.kind in ("no_secret_key", "no_passphrase", "no_gpg", "too_slow"):
            return {"problem": str(problem)}
        opened = problem.kind in ("unsafe", "too_big")
        return {"decrypts": opened, "content_ok": False if opened else None, "good": False, "problem": str(problem)}
    problems = list(manifest_problems(listing))
    manifest = listing.manifest
    if beside is not None and manifest is not None and beside != manifest:
        problems.append("the manifest beside it is another one than the manifest in it")
    if archive.role is not None and manifest is not None and manifest.get("role") != archive.role:
        problems.append(f"its name says {archive.role}, its manifest another role")
    if site and manifest is not None and manifest.get("site") != site:
        problems.append("it is another site's")
    if not listing.wallets:
        problems.append("no wallet's keys are in it")
    return {
        "manifest": manifest if manifest is not None else beside,
        "roles": list(listing.roles),
        "role": archive.role or (listing.roles[0] if len(listing.roles) == 1 else None),
        "wallets": list(listing.wallets),
        "decrypts": True,
        "content_ok": not problems,
        "good": not problems,
        "problem": f"{archive.path}: {'; '.join(problems)}." if problems else "",
    }
