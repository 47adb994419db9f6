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
URGENCY = ("escalated", "needs_confirmation", LOST, UNREACHABLE, "failed", "held")
STATES = {
    "escalated": "NOT RESTORED",
    "needs_confirmation": "NEEDS CONFIRMATION",
    LOST: "NO RESULT",
    UNREACHABLE: "UNREACHABLE",
    "failed": "FAILED",
    "held": "HELD",
}
SHOWN = 12
LONGEST = 200


def ended(result: Mapping[str, Any]) -> str:
    """How a host ended, with those apart that gave no answer or left no result."""
    if not result.get("outcome"):
        return LOST
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
