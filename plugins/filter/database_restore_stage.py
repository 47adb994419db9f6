# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: database_restore_stage
short_description: Where a run begins that finds what an earlier restore has left
version_added: 0.4.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - From what M(monero_marketplace.incident.backup_restore) says in check mode with O(monero_marketplace.incident.backup_restore#module:state=resumed).
  - What was noted decides, not how the database looks now, so that nothing goes uncompared because a look met a lock.
options:
  _input:
    description: Its result, with C(resumed), C(unsettled) and C(restored).
    type: dict
    required: true
  freezes:
    description: The freezes of the host, from M(monero_marketplace.incident.incident_info).
    type: list
    elements: dict
    default: []
  suspected:
    description: Whether this run's look suspects damage.
    type: bool
    default: false
  state:
    description: The state in which it saw the database, of M(monero_marketplace.incident.sqlite_info).
    type: str
    default: ""
  examine:
    description: Whether to freeze and examine although nothing is suspected.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Where to begin
  ansible.builtin.set_fact:
    stage: "{{ earlier | monero_marketplace.incident.database_restore_stage(host.freezes, suspected=true, state='page_damage') }}"
"""

RETURN = r"""
_value:
  description:
    - V(begun), a restore was interrupted and is ended first; V(examine), frozen and looked at; V(restored), and to be compared with the chain;
      V(reopening), compared, and the opening was interrupted; V(nothing).
  type: str
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_stage


class FilterModule:
    """Where a run begins."""

    def filters(self) -> dict[str, Any]:
        return {"database_restore_stage": _database_stage.stage}
