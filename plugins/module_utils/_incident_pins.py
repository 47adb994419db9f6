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


def read_pins(places: Places) -> dict[str, dict[str, Any]]:
    """{incident: {entries, head, at}}; empty when there are none, or when the file cannot be understood."""
    try:
        found = (read_json(places.pins) or {}).get("incidents")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: pin
        for name, pin in found.items()
        if isinstance(pin, dict) and isinstance(pin.get("entries"), int) and isinstance(pin.get("head"), str)
    }


def remember(places: Places, incident: str, entries: int, head: str) -> bool:
    """Keep the length and the head; False when they are known. A timeline only grows, so the longer one stays."""
    pins = read_pins(places)
    known = pins.get(incident)
    if known is not None and known["entries"] >= entries:
        return False
    pins[incident] = {"entries": entries, "head": head, "at": time.time()}
    newest = sorted(pins, key=lambda name: pins[name].get("at") or 0.0)[-MOST:]
    write_json(places.pins, {"incidents": {name: pins[name] for name in newest}})
    return True
