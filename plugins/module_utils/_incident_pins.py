# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a marketplace host remembers of its incidents' timelines: their length and head, out of the desk's reach.

Whoever shortens a timeline on the desk can rewrite incident.json beside it; this file lies on another machine.

This module is private to the collection.
"""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import read_json, write_json
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places

# The oldest are forgotten: the host's journal still has them.
MOST = 50


Pins = dict[str, dict[str, dict[str, Any]]]


def _sound(pin: Any) -> bool:
    return isinstance(pin, dict) and isinstance(pin.get("entries"), int) and isinstance(pin.get("head"), str)


def read_pins(places: Places) -> Pins:
    """{desk: {incident: {entries, head, at}}}; empty when there are none, or when the file cannot be understood."""
    try:
        found = (read_json(places.pins) or {}).get("desks")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        desk: {name: pin for name, pin in incidents.items() if _sound(pin)}
        for desk, incidents in found.items()
        if isinstance(incidents, dict)
    }


def remember(places: Places, desk: str, incident: str, entries: int, head: str) -> bool:
    """Keep the length and the head; False when they are known. A timeline only grows, so the longer one stays.

    Of each desk by itself: a colleague's desk has other incidents, and may have another one of the same name.
    """
    pins = read_pins(places)
    known = pins.get(desk, {}).get(incident)
    if known is not None and known["entries"] >= entries:
        return False
    pins.setdefault(desk, {})[incident] = {"entries": entries, "head": head, "at": time.time()}
    by_age = sorted(((pin.get("at") or 0.0, place, name) for place in pins for name, pin in pins[place].items()), reverse=True)
    for _at, place, name in by_age[MOST:]:
        del pins[place][name]
    write_json(places.pins, {"desks": {place: incidents for place, incidents in pins.items() if incidents}})
    return True
