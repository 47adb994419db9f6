# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What binds a host and what lies on the desk, at a glance.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._plain_text import LABEL
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import DOT, _items, _mapping, _text

NEWEST = 5


def incident_words(incident: Mapping[str, Any]) -> str:
    parts = [_text(incident.get(name) or "unknown") for name in ("id", "status")]
    if incident.get("severity"):
        parts.append(_text(incident["severity"]))
    last = _mapping(incident.get("last"))
    if last:
        late = f" (delivered {_text(last['delivered'])})" if last.get("delivered") else ""
        parts.append(f"{_text(last.get('event'))} {_text(last.get('time'))}{late}: {_text(last.get('text'))}")
    if incident.get("interrupted"):
        parts.append("INTERRUPTED, or still acting")
    if incident.get("intact") is False:
        broken = _mapping(incident.get("broken_at"))
        parts.append(f"TIMELINE BROKEN at entry {broken.get('entry')}: {_text(broken.get('why'))}")
    return DOT.join(parts)


def lease_words(host: Mapping[str, Any]) -> str:
    if "lease" not in host:
        return "unknown: the host gave no answer"
    lease = _mapping(host["lease"])
    if not lease:
        return "free"
    whose = f"{_text(lease.get('responder'))}@{_text(lease.get('controller'))} with playbook {_text(lease.get('playbook'))}"
    since = f"since {_text(lease.get('since'))}, until {_text(lease.get('until'))}"
    return f"{whose} {since}" if lease.get("in_force") else f"free (the last one, {whose}, was never given back)"


def hold_words(host: Mapping[str, Any]) -> list[str]:
    if "holds" not in host:
        return ["unknown: the host gave no answer"]
    found = [hold for hold in host["holds"] or [] if isinstance(hold, Mapping)]
    return [
        f"{_text(hold.get('name'))} by {_text(hold.get('by'))} since {_text(hold.get('since'))} "
        f"({', '.join(_items(hold.get('playbooks'))) or 'everything'}): {_text(hold.get('reason'))}"
        for hold in found
    ] or ["none"]


def payout_words(host: Mapping[str, Any]) -> list[str]:
    if "freezes" not in host:
        return ["unknown: the host gave no answer"]
    found = [freeze for freeze in host["freezes"] or [] if isinstance(freeze, Mapping)]
    return [
        f"FROZEN since {_text(freeze.get('since'))} by {_text(freeze.get('by'))}: {_text(freeze.get('reason'))} "
        f"({', '.join(_items(freeze.get('services'))) or 'no service'} may be started by no one)"
        for freeze in found
    ] or ["not frozen"]


def spool_words(host: Mapping[str, Any]) -> list[str]:
    spool = _mapping(host.get("spool"))
    waits = (
        [f"{spool['count']} entries wait on the host for the desk; the next run delivers them"] if spool.get("count") else []
    )
    return waits + _items(spool.get("problems"))


def status(desk: Any, host: Any, name: str) -> str:
    """The lines for one host."""
    found, there = _mapping(desk), _mapping(host)
    current = _mapping(found.get("open_incident"))
    if "incidents" not in found:
        lines = [("desk", "unknown: the desk gave no answer")]
    elif current:
        lines = [("open", incident_words(current))]
    else:
        lines = [("open", "no incident")]
    lines += [("lease", lease_words(there))]
    lines += [("holds", words) for words in hold_words(there)]
    lines += [("payout", words) for words in payout_words(there)]
    lines += [("spool", words) for words in spool_words(there)]
    earlier = [
        item for item in found.get("incidents") or [] if isinstance(item, Mapping) and item.get("id") != current.get("id")
    ]
    lines += [("before", incident_words(item)) for item in reversed(earlier[-NEWEST:])]
    title = f"STATUS {_text(name)}{DOT}{'INCIDENT OPEN' if current else 'no incident' if 'incidents' in found else 'unknown'}"
    return "\n".join([title] + [label.ljust(LABEL) + words for label, words in lines])
