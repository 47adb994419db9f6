# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What placing or lifting a hold has to say, to the record and to the summary.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_refusals import lift_words
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import _items, _mapping, _text


def scope(hold: Mapping[str, Any]) -> str:
    return ", ".join(_items(hold.get("playbooks"))) or "everything"


def _words(event: str, hold: Mapping[str, Any]) -> str:
    """The record's line about it, the same whenever it is written."""
    name = _text(hold.get("name"))
    if event == "hold":
        return f"hold '{name}' by {_text(hold.get('by'))} forbids {scope(hold)}: {_text(hold.get('reason'))}"
    was = f"it forbade {scope(hold)} since {_text(hold.get('since'))}: {_text(hold.get('reason'))}"
    return f"hold '{name}' lifted by {_text(hold.get('released_by'))}: {_text(hold.get('released_reason'))} ({was})"


def hold_report(found: Any, event: str, host: str, check: bool) -> dict[str, Any]:
    """The findings of a run that placed or lifted a hold, from what incident_guard returned."""
    answer = _mapping(found)
    hold = _mapping(answer.get("hold"))
    text = _words(event, hold) if hold else ""
    others = [one for one in answer.get("holds") or [] if isinstance(one, Mapping) and one.get("name") != hold.get("name")]
    if answer.get("changed"):
        did = [text]
    elif event == "hold":
        did = [f"nothing: {text} since {_text(hold.get('since'))}"]
    elif hold:
        did = [f"nothing, there is no such hold any more: {text}"]
    else:
        did = ["nothing: there is no hold of this name"]
    planned = bool(check and answer.get("changed"))
    return {
        "verb": True,
        "settled": not planned,
        "text": text,
        "did": [] if planned else did,
        "plan": did if planned else [],
        "risk": [f"still held by '{_text(one.get('name'))}': {_text(one.get('reason'))}" for one in others],
        "next": [f"ansible-playbook playbooks/release_hold.yml --limit {host} {lift_words(_text(hold.get('name')))}"]
        if event == "hold"
        else [],
    }
