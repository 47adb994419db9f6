# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on many hosts in a few lines: how many ended how, and who needs a person first.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.monero_marketplace.incident.plugins.module_utils._outcome import ZERO
from ansible_collections.monero_marketplace.incident.plugins.module_utils._plain_text import LABEL, cut
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import DOT, _mapping, _text

LOST = "without a result"
UNREACHABLE = "unreachable"
PERSON = "needs a person"
GOOD = ("healthy", "restored", "done", "contained", "planned")
# Known to be down first, then what may be half repaired, then what nobody knows anything about; a hold is somebody's will.
# A host that serves can wait for those that do not.
SERVING = "serving"
URGENCY = ("escalated", "needs_confirmation", LOST, UNREACHABLE, "failed", "held", SERVING)
STATES = {
    "escalated": "NOT RESTORED",
    "needs_confirmation": "NEEDS CONFIRMATION",
    LOST: "NO RESULT",
    UNREACHABLE: "UNREACHABLE",
    "failed": "FAILED",
    "held": "HELD",
    SERVING: "SERVING, needs a person",
}
SHOWN = 12
LONGEST = 200


def ended(result: Mapping[str, Any]) -> str:
    """How a host ended, with those apart that gave no answer or left no result."""
    if not result.get("outcome"):
        return LOST
    if result["outcome"] == "escalated" and result.get("serving"):
        return SERVING
    return UNREACHABLE if result.get("unreachable") else str(result["outcome"])


def _counted(endings: Sequence[str]) -> list[str]:
    parts = [f"{endings.count(word)} {word}" for word in GOOD if word in endings]
    persons = sum(1 for word in endings if word not in GOOD and word not in (LOST, UNREACHABLE))
    if persons:
        parts.append(f"{persons} {PERSON if persons == 1 else 'need a person'}")
    return parts + [f"{endings.count(word)} {word}" for word in (UNREACHABLE, LOST) if word in endings]


def _why(result: Mapping[str, Any], how: str) -> str:
    if how == LOST:
        return "lost during the run; playbooks/status.yml shows what is recorded"
    told = list(result.get("why") or []) if how in (UNREACHABLE, "failed", "held") else []
    told += [one for key in ("causes", "why", "proof") for one in result.get(key) or []]
    return _text(told[0]) if told else "see its summary"


def _line(host: str, result: Mapping[str, Any], how: str) -> str:
    page = f", page {_text(result['page'])}" if result.get("page") else ""
    return cut(f"{_text(host)}{DOT}{STATES.get(how, how.upper())}{page}{DOT}{_why(result, how)}", LONGEST)


def total(hosts: Sequence[str], results: Sequence[Any]) -> list[str]:
    """The total, then a line for each host that needs a person, the most urgent first."""
    ends = [(str(host), _mapping(result), ended(_mapping(result))) for host, result in zip(hosts, results)]
    endings = [how for _host, _result, how in ends]
    urgent = [one for one in ends if one[2] not in ZERO]
    # A stable order: hosts of one urgency stay as the inventory has them.
    urgent.sort(key=lambda one: URGENCY.index(one[2]) if one[2] in URGENCY else 0)
    lines = [DOT.join([f"TOTAL {len(ends)} hosts", *_counted(endings)])]
    for number, (host, result, how) in enumerate(urgent[:SHOWN]):
        lines.append(("then" if number else "first").ljust(LABEL) + _line(host, result, how))
    if len(urgent) > SHOWN:
        lines.append(" " * LABEL + f"and {len(urgent) - SHOWN} more")
    return lines


SEVERITIES = ("P1", "P2", "P3", "P4")
SILENT = "without an answer"
CALM = "no incident"


def _rank(result: Mapping[str, Any]) -> str:
    return str(result.get("severity") or CALM) if result else SILENT


def triage_total(hosts: Sequence[str], results: Sequence[Any]) -> list[str]:
    """The same of a triage: how many of which severity, then a line for each host that is not well, the most severe first."""
    found = [(str(host), _mapping(result), _rank(_mapping(result))) for host, result in zip(hosts, results)]
    ranks = [rank for _host, _result, rank in found]
    # A host that says nothing may be as badly off as the worst.
    order = ("P1", SILENT, *SEVERITIES[1:])
    urgent = [one for rank in order for one in found if one[2] == rank]
    counted = [f"{ranks.count(rank)} {rank}" for rank in (*SEVERITIES, SILENT, CALM) if rank in ranks]
    lines = [DOT.join([f"TOTAL {len(found)} hosts", *counted])]
    for number, (host, result, rank) in enumerate(urgent[:SHOWN]):
        words = [_text(host), rank, *([_text(result["reason"])] if result.get("reason") else [])]
        words += [f"playbook {_text(result['playbook'])}"] if result.get("playbook") else []
        lines.append(("then" if number else "first").ljust(LABEL) + cut(DOT.join(words), LONGEST))
    if len(urgent) > SHOWN:
        lines.append(" " * LABEL + f"and {len(urgent) - SHOWN} more")
    return lines
