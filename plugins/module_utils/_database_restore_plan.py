# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What a restore of the database would do and cost, and under which word a person allows it, or the opening after it."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Mapping, Sequence

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_damage import WITH_A_WORD, WRONG_VALUES

# Of a hash: over the plan in the word that restores, over it and all mismatches in the word that opens the shop.
SHORT = 6
MOST = 3


def plan(
    planned: Mapping[str, Any],
    sqlite: Mapping[str, Any] | None = None,
    rpo_seconds: int = 3600,
    confirm: str = "",
    priority_tables: Sequence[str] = (),
) -> dict[str, Any]:
    """planned: what backup_restore said of the newest good backup, or why there is none."""
    rejected = planned.get("rejected") or []
    if "plan" not in planned:
        why = clean_line(str(planned.get("msg") or "no backup could be looked at"), 500).rstrip(".")
        return {
            "ready": False,
            "given": False,
            "confirm": "",
            "why": why,
            "rejected": list(rejected),
            "risks": [],
            "expected": [],
        }
    chosen = dict(planned["plan"])
    image = chosen.get("image") or {}
    doubt = _doubt(image)
    # Another file may have the same name; the hash is over what is in it.
    word = f"{'restore_with_wrong_values' if doubt else 'restore'}:{chosen['name']}-{str(chosen['hash'])[:SHORT]}"
    given = word in [one.strip() for one in confirm.split(",")]
    return {
        **chosen,
        "ready": True,
        "confirm": word,
        "given": given,
        "rpo_breached": int(chosen["age_seconds"]) > rpo_seconds,
        "expected": _expected(sqlite or {}, image, priority_tables),
        "why": f"the backup of {chosen['created']}, {span(chosen['age_seconds'])} old, takes the database's place; what came after it is lost{doubt}",
        "risks": _risks(chosen, sqlite or {}, image, rpo_seconds),
    }


def _doubt(image: Mapping[str, Any]) -> str:
    """Why a person has to say that this one is better than none."""
    state = image.get("state")
    if state in WRONG_VALUES:
        return f"; it holds values that cannot be true ({state})"
    told = clean_line("; ".join(str(one).rstrip(".") for one in image.get("sentences") or []), 400) or str(state)
    return f"; whether its values are true is unknown ({told})" if state in WITH_A_WORD else ""


def _expected(sqlite: Mapping[str, Any], image: Mapping[str, Any], first: Sequence[str]) -> list[str]:
    """Tables that have other numbers of rows now; what was changed shows only when the rows are compared."""
    now, then = sqlite.get("tables") or {}, image.get("tables") or {}
    names = sorted({*now, *then}, key=lambda name: (name not in first, name))
    found = []
    for name in names:
        more = _difference(now.get(name), then.get(name))
        if more is None:
            found.append(f"{name}: unknown")
        elif more:
            found.append(f"{name}: {abs(more)} row{'' if abs(more) == 1 else 's'} {'fewer' if more > 0 else 'more'} than now")
    return found


def _difference(now: Any, then: Any) -> int | None:
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in (now, then))
    return now - then if whole else None


def _risks(chosen: Mapping[str, Any], sqlite: Mapping[str, Any], image: Mapping[str, Any], rpo_seconds: int) -> list[str]:
    found = []
    if int(chosen["age_seconds"]) > rpo_seconds:
        found.append(f"RPO of {span(rpo_seconds)} BREACHED: the newest good backup is {span(chosen['age_seconds'])} old")
    found += [
        f"{one['path'].rpartition('/')[2]} was passed over: {clean_line(str(one['problem']), 160).rstrip('.')}"
        for one in (chosen.get("rejected") or [])[:MOST]
    ]
    if sqlite.get("state") == "missing":
        path = str(sqlite.get("path") or "the database")
        found.append(
            f"nothing is at {path}: if its disk is not mounted (findmnt -T {path}), the backup would land on another one"
        )
    if chosen.get("compare_problem"):
        found.append(clean_line(str(chosen["compare_problem"]), 300))
    if chosen.get("good") is None:
        found.append("the backup is encrypted, and nobody here can prove that it is whole")
    versions = (sqlite.get("schema_version"), image.get("schema_version"))
    if None not in versions and versions[0] != versions[1]:
        found.append(f"the backup has schema version {versions[1]}, and the database {versions[0]}: the server must know it")
    return found


def reopening(reconcile: Mapping[str, Any], plan_hash: str, confirm: str = "", loss_problem: str = "") -> dict[str, Any]:
    """loss_problem: why nobody knows what the restore has lost, which is a mismatch like others.

    With no mismatch nobody is asked; else the word stands for this restore and these mismatches, and for no others."""
    count, found, kinds_of = int(reconcile["count"]), [*reconcile["mismatches"]], {**(reconcile.get("kinds") or {})}
    if loss_problem:
        # Without its reason: that may tell how much is free, and the word has to hold until the next run.
        found.append({"kind": "loss_unknown", "sentence": "what the restore has lost could not be listed"})
        count, kinds_of["loss_unknown"] = count + 1, 1
    if count == 0:
        said = f"{reconcile['rows']} escrows agree with wallets and chain"
        return {"count": 0, "compared": True, "confirm": "", "given": True, "why": said}
    compared = bool(reconcile.get("compared", True))
    digest = _digest(plan_hash, found, compared)
    word = f"reopen:{count}-mismatches-{digest}" if compared else f"reopen:not-compared-{digest}"
    given = word in [one.strip() for one in confirm.split(",")]
    kinds = ", ".join(f"{number} {kind}" for kind, number in kinds_of.items()) if compared else ""
    first = "; ".join(one["sentence"] for one in found[:MOST])
    more = f"; and {count - MOST} more" if count > MOST else ""
    return {
        "count": count,
        "compared": compared,
        "confirm": word,
        "given": given,
        "why": f"{kinds}{': ' if kinds else ''}{first}{more}",
    }


def _digest(plan_hash: str, found: Sequence[Mapping[str, Any]], compared: bool) -> str:
    """Sentences tell of heights, which grow from run to run; where nothing was compared the sentence is all there is."""
    names = ("kind", "id", "wallet", "txid") if compared else ("kind", "sentence")
    told = sorted([str(one.get(name) or "") for name in names] for one in found)
    return hashlib.sha256(json.dumps([plan_hash, told]).encode()).hexdigest()[:SHORT]


def span(seconds: Any) -> str:
    """74 min"""
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        return "of unknown length"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.0f} days"
