# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ended, as a pure function of what it saw and did.

This module is private to the collection.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import thaw_words, words

ZERO = frozenset(["healthy", "restored", "done", "contained", "planned"])
_PLAYBOOK = re.compile(r"ansible-playbook playbooks/(\w+)\.yml(.*)", re.DOTALL)
NEEDS_A_PERSON = frozenset(["needs_confirmation", "escalated", "failed"])


def _missing_confirmations(findings: Mapping[str, Any]) -> list[str]:
    return [str(step["what"]) for step in findings.get("confirm") or [] if not step.get("given")]


def _unfinished_business(run: Mapping[str, Any]) -> bool:
    """The desk still shows this host as broken or a run without an outcome."""
    incident = (run.get("desk") or {}).get("open_incident") or {}
    return bool(_earlier(run)) or incident.get("last_outcome") in NEEDS_A_PERSON


def outcome(run: Mapping[str, Any]) -> str:
    findings = run.get("findings") or {}
    proof = run.get("proof") or {}
    refusal = run.get("refusal") or {}
    if refusal:
        return "escalated" if refusal.get("kind") == "attempts" else "held"
    if run.get("failure"):
        return "escalated" if run.get("acted") else "failed"
    if run.get("check") and findings and not findings.get("settled"):
        return "planned"
    if findings.get("verb"):
        return "done"
    if findings.get("escalate"):
        return "escalated"
    if _missing_confirmations(findings):
        return "needs_confirmation"
    if findings and not findings.get("settled"):
        return "escalated"
    if proof.get("verdict") == "failed" or not (findings or proof):
        return "escalated"
    if not findings:
        return "done"
    if run.get("acted") or _unfinished_business(run):
        return "restored"
    return "healthy"


def is_news(run: Mapping[str, Any], ended: str) -> bool:
    """Whether the record gains a line: it notes transitions, not runs."""
    if run.get("check") or not run.get("findings"):
        return bool(run.get("acted"))
    if run.get("acted"):
        return True
    # What a verb did stands in the record already, as a line of its own.
    return ended in ("escalated", "needs_confirmation", "restored")


def command(run: Mapping[str, Any], playbook: str, *extra: str) -> str:
    return " ".join(["ansible-playbook", f"playbooks/{playbook}.yml", "--limit", str(run["host"]), *extra])


def as_typed(run: Mapping[str, Any], following: str) -> str:
    """A command as it has to be typed here: with this run's inventory, and by FQCN where there is no clone."""
    found = _PLAYBOOK.match(following)
    if not found:
        return following
    playbook, rest = found.groups()
    name = f"playbooks/{playbook}.yml" if run.get("from_clone", True) else f"monero_marketplace.incident.{playbook}"
    sources = [word for source in run.get("inventory") or [] for word in ("-i", str(source))]
    # What one host's summary proposes is for that host.
    limit = [] if "--limit" in rest else ["--limit", str(run["host"])]
    return " ".join(["ansible-playbook", *sources, name, *limit]) + rest


def _confirm(run: Mapping[str, Any]) -> list[str]:
    missing = _missing_confirmations(run.get("findings") or {})
    return [command(run, run["playbook"], "-e", "confirm=" + ",".join(missing))] if missing else []


def _earlier(run: Mapping[str, Any]) -> Any:
    """The run before us that left an intent without outcome, unless it is still there."""
    interrupted = ((run.get("desk") or {}).get("open_incident") or {}).get("interrupted")
    return None if interrupted and interrupted.get("run_id") == run.get("acting_run") else interrupted


def _broken_records(run: Mapping[str, Any]) -> list[str]:
    """Timelines about this host that are not as they were written."""
    broken = [item for item in (run.get("desk") or {}).get("incidents") or [] if item.get("intact") is False]
    if not broken:
        return []
    first = broken[-1].get("broken_at") or {}
    more = f" ({len(broken) - 1} more)" if len(broken) > 1 else ""
    return [f"TIMELINE BROKEN of {broken[-1]['id']} at entry {first.get('entry')}: {first.get('why')}{more}"]


def _binding_holds(run: Mapping[str, Any]) -> list[str]:
    """What would refuse the step that this run only plans or asks for."""
    return [
        f"the hold '{hold['name']}' by {hold['by']} forbids it: {hold['reason']}"
        for hold in run.get("holds") or []
        if not hold["playbooks"] or run["playbook"] in hold["playbooks"]
    ]


def _freezes(run: Mapping[str, Any]) -> list[str]:
    """Payouts that do not go out, in every summary as long as that lasts."""
    return [f"{words(freeze)}; lifted by {thawing(run, freeze)}" for freeze in run.get("freezes") or []]


def _told_frozen(findings: Mapping[str, Any]) -> bool:
    return bool(findings.get("frozen") or findings.get("payouts_frozen"))


def thawing(run: Mapping[str, Any], freeze: Mapping[str, Any]) -> str:
    return as_typed(run, thaw_words(str(freeze["name"]), str(run["host"])))


def _after_a_failed_proof(run: Mapping[str, Any], proof: Mapping[str, Any]) -> list[str]:
    """What this playbook is for was mended, and customers are not served all the same."""
    if proof.get("next"):
        return [f"read docs/{run['playbook']}.md"]  # it is this playbook's own matter, and it has done what it can
    # As long as payouts are frozen no playbook starts what they keep down.
    return [thaw_words(str(one["name"]), str(run["host"])) for one in run.get("freezes") or []] or [command(run, "outage")]


def judge(run: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a run on one host: what the summary, the record and machines read."""
    findings = run.get("findings") or {}
    proof = run.get("proof") or {}
    refusal = run.get("refusal") or {}
    failure = run.get("failure") or {}
    ended = outcome(run)
    following = [item["next"] for item in (refusal, failure) if item.get("next")]
    if ended in ("needs_confirmation", "planned"):
        following += _confirm(run)
    following += list(findings.get("next") or [])
    if findings.get("frozen"):
        following += [thaw_words(str(freeze["name"]), str(run["host"])) for freeze in run.get("freezes") or []]
    if ended == "escalated" and not findings and proof:
        following.append(command(run, proof.get("next") or "outage"))
    elif proof.get("next") and proof["next"] != run["playbook"]:
        # What this playbook was for is well, and beside it something is not.
        following.append(command(run, proof["next"]))
    elif ended == "escalated" and proof.get("verdict") == "failed" and not following and run["playbook"] != "outage":
        following += _after_a_failed_proof(run, proof)
    why = [sentence for sentence in (refusal.get("sentence"), failure.get("sentence")) if sentence]
    why += [str(item["sentence"]) for item in findings.get("escalate") or []]
    why += [f"{step['what']}: {step['why']}" for step in findings.get("confirm") or [] if not step.get("given")]
    # Where a summary has no line for risks it says why instead.
    frozen = [] if any("payouts frozen" in sentence for sentence in why) and _told_frozen(findings) else _freezes(run)
    if ended in ("escalated", "needs_confirmation"):
        why += frozen
        frozen = []
    stray = [f"confirm={what} matches nothing in this plan" for what in findings.get("stray_confirmations") or []]
    if ended == "needs_confirmation":
        why += stray
        stray = []
    held = _binding_holds(run) if ended in ("planned", "needs_confirmation") else []
    did = list(findings.get("did") or [])
    earlier = _earlier(run)
    if ended == "restored" and not run.get("acted"):
        did.append("nothing now: an earlier step holds" if earlier else "nothing: mended since the last run")
    return {
        "host": run["host"],
        "playbook": run["playbook"],
        "title": str(run["playbook"]).replace("_", " ").upper(),
        "outcome": ended,
        # What is left to a person need not be what customers feel.
        "serving": bool(findings.get("serving")) and proof.get("verdict") in ("proven", "unproven"),
        # What mends nothing has restored nothing either.
        "verb": "verb" in findings,
        "zero": ended in ZERO,
        "unreachable": bool(run.get("unreachable")),
        "news": is_news(run, ended),
        "started_at": run.get("started"),
        "finished_at": (proof.get("endpoint") or {}).get("first_good") if ended == "restored" else None,
        "causes": list(findings.get("causes") or []),
        # Of wallets: the state of each, what became of their money, and whether payouts stand still.
        "state": list(findings.get("state") or []),
        "funds": findings.get("funds"),
        "frozen": _told_frozen(findings),
        "plan": list(findings.get("plan") or []) if ended == "planned" else [],
        "did": did,
        "untouched": findings.get("untouched"),
        "kept": list(findings.get("kept") or []),
        # Some of it a role measured itself.
        "proof": list(findings.get("proof") or []) + list(proof.get("sentences") or []),
        "backup": list(findings.get("backup") or []),
        "down": proof.get("down"),
        "risk": frozen + held + stray + list(findings.get("risk") or []),
        "record_notes": _broken_records(run),
        # A plan says all of it itself.
        "why": [] if ended == "planned" else why,
        "next": [as_typed(run, one) for one in following],
        "log": dict(findings.get("log") or {}) if ended in NEEDS_A_PERSON or ended == "planned" else {},
        "page": findings.get("page") if ended == "escalated" else None,
        # What a restore cost, the words that say more than the outcome, and what an incident of this kind must not end without.
        "lost": list(findings.get("lost") or []),
        "headline": str(findings.get("headline") or ""),
        "postmortem": str(findings.get("postmortem") or ""),
        "interrupted": earlier,
    }
