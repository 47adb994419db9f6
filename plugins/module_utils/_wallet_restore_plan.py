# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The ladder of a wallet's restore: nothing, the end of an earlier one, the same keys and a rescan, keys from a backup, or a refusal."""

from __future__ import annotations

import os
from typing import Any, Mapping

# What goes with a cache, in the words of a summary.
LOST = (
    "the secret keys of transactions sent (no proof of payment by them)",
    "labels, notes and the address book",
    "how far subaddresses were looked ahead",
    "key images and nonces: signing needs a fresh exchange of multisig info by all signers",
)


def plan(
    files: Mapping[str, Any],
    role: str,
    wallet: str,
    archive: str = "",
    backups: Mapping[str, Any] | None = None,
    tried: Mapping[str, Any] | None = None,
    backup_dir: str = "",
    is_open: bool = False,
) -> dict[str, Any]:
    state = str(files.get("state") or "unknown")
    evidence = "; ".join(str(one) for one in files.get("evidence") or []) or "nothing could be seen"
    found: dict[str, Any] = {
        "ladder": "refused", "archive": None, "age": None, "changes": [], "lost": [], "confirm": "", "why": "",
        "role": role, "wallet": wallet, "state": state,
    }  # fmt: skip
    if files.get("unfinished"):
        found.update(
            ladder="resume",
            changes=[f"what an earlier restore of {wallet} had begun is ended, the originals kept"],
            why=f"An earlier restore of {wallet} was begun and not ended: it is ended before anything else.",
        )
    elif state == "sound":
        found.update(ladder="none", why=f"The files of {wallet} are well: {evidence}.")
    elif state == "cache_missing" and is_open:
        found.update(ladder="none", why=f"{wallet} is open already; it writes its cache when it is stored or closed.")
    elif state == "cache_missing":
        found.update(
            ladder="rescan",
            changes=[
                f"{wallet} has no cache to move aside; with the same keys it reads the chain again as soon as it is opened"
            ],
            lost=list(LOST),
            why=f"The keys of {wallet} open and its cache is missing: it reads the chain again with the same keys.",
        )
    elif state == "cache_damaged":
        found.update(
            ladder="rescan",
            changes=[f"the damaged cache of {wallet} is moved aside and kept; with the same keys it reads the chain again"],
            lost=list(LOST),
            why=f"The keys of {wallet} open and its cache does not load: it reads the chain again with the same keys.",
        )
    elif state in ("keys_damaged", "keys_missing", "missing"):
        _from_backup(found, evidence, archive, backups or {}, tried or {}, backup_dir)
    else:
        found["why"] = f"Nothing is restored while it is not known what is wrong: {evidence}."
    return found


def _from_backup(
    found: dict[str, Any],
    evidence: str,
    archive: str,
    backups: Mapping[str, Any],
    tried: Mapping[str, Any],
    backup_dir: str,
) -> None:
    role, wallet = found["role"], found["wallet"]
    if not archive:
        listed = backups.get("backups") or []
        problems = [str(one.get("problem")) for one in listed if isinstance(one, Mapping) and one.get("problem")]
        words = problems[0] if problems else str(backups.get("msg") or "none is there")
        found["why"] = (
            f"No good backup of the {role}'s wallet is in {backup_dir} ({words.rstrip('.')}): name an archive with -e wallet_restore_archive=PATH."
        )
        return
    found["archive"] = archive
    if "kind" in tried or not tried or "did" not in tried:
        found["why"] = str(tried.get("msg") or f"{archive} could not be looked at.")
        return
    said = tried.get("archive") or {}
    found.update(age=said.get("age_seconds"), changes=list(tried["did"]), lost=list(tried.get("lost") or []))
    if not tried.get("changed"):
        found.update(ladder="none", why=f"The keys of {wallet} are those of {archive} already.")
        return
    proven = {"pin": "by its pin", "confirmation": "by nothing but your word"}.get(
        str((tried.get("signer") or {}).get("proven_by")), "as all other signers are known"
    )
    found.update(
        ladder="keys_from_backup",
        confirm=f"restore:{os.path.basename(archive)}",
        why=(
            f"{evidence[:1].upper()}{evidence[1:]}. The archive {os.path.basename(archive)}{_old(found['age'])} holds its keys, "
            f"proven to be the {role}'s {proven}."
        ),
    )


def _old(age: Any) -> str:
    if not isinstance(age, (int, float)):
        return " (of unknown age)"
    hours = age / 3600
    return f" ({hours:.0f} hours old)" if hours >= 2 else f" ({age / 60:.0f} minutes old)"
