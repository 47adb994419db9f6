# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: database_restore_plan
short_description: What a restore of the database would do and cost, and the word that allows it
version_added: 0.4.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - From what M(monero_marketplace.incident.backup_restore) returned with O(monero_marketplace.incident.backup_restore#module:state=planned),
    or failed with.
options:
  _input:
    description: Its result.
    type: dict
    required: true
  sqlite:
    description: What M(monero_marketplace.incident.sqlite_info) found of the database as it is.
    type: dict
    default: {}
  rpo_seconds:
    description: How old a backup may be.
    type: int
    default: 3600
  confirm:
    description: The confirmations that were given, with commas.
    type: str
    default: ""
  priority_tables:
    description: Tables that are told first.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.set_fact:
    plan: "{{ planned | monero_marketplace.incident.database_restore_plan(sqlite=seen.sqlite, confirm=confirm | default('')) }}"
"""

RETURN = r"""
_value:
  description:
    - C(ready), whether a backup can be restored, and C(why), or why not; C(confirm), the word for it, and whether it is C(given);
      C(rpo_breached); C(expected), by how much tables differ in rows; C(risks); and the keys of the plan, C(hash) and C(name) among them.
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_restore_plan


class FilterModule:
    """The plan of a restore."""

    def filters(self) -> dict[str, Any]:
        return {"database_restore_plan": _database_restore_plan.plan}
