# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: incident_hold_report
short_description: Say what was done about a hold
version_added: 0.2.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Turns what M(monero_marketplace.incident.incident_guard) returned for a hold into the findings of the run.
positional: event, host, check
options:
  _input:
    description: What the module returned with O(monero_marketplace.incident.incident_guard#module:state=held) or V(unheld).
    type: dict
    required: true
  event:
    description: V(hold) or V(release).
    type: str
    required: true
  host:
    description: The host's name in the inventory.
    type: str
    required: true
  check:
    description: Whether it was only predicted.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Say what was done
  ansible.builtin.debug:
    msg: "{{ result | monero_marketplace.incident.incident_hold_report('hold', inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The findings, and the line for the record as C(text).
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_hold_words import hold_report


def incident_hold_report(found: Any, event: Any, host: Any, check: Any = False) -> dict[str, Any]:
    return hold_report(found, str(event), str(host), bool(check))


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"incident_hold_report": incident_hold_report}
