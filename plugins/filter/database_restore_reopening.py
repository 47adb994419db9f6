# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: database_restore_reopening
short_description: Whether the shop may be opened after a restore, and the word that opens it all the same
version_added: 0.4.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - From what M(monero_marketplace.incident.escrow_reconcile_info) found.
options:
  _input:
    description: The C(reconcile) that was found.
    type: dict
    required: true
  plan_hash:
    description: The hash of the plan that was restored.
    type: str
    required: true
  confirm:
    description: The confirmations that were given, with commas.
    type: str
    default: ""
  loss_problem:
    description: Why nobody knows what the restore has lost. Then a word is needed too.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.set_fact:
    reopening: "{{ compared.reconcile | monero_marketplace.incident.database_restore_reopening(plan.hash, confirm | default('')) }}"
"""

RETURN = r"""
_value:
  description: >-
    C(given), whether it may be opened, with C(why); C(count) of the mismatches, C(compared), and C(confirm), the word that they need, empty
    where there is none.
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_restore_plan


class FilterModule:
    """Whether the shop may be opened."""

    def filters(self) -> dict[str, Any]:
        return {"database_restore_reopening": _database_restore_plan.reopening}
