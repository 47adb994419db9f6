# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_proof
short_description: Say whether backups can be restored, how fast, and how old what comes back is
version_added: 0.4.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - Turns what M(monero_marketplace.incident.backup_info) returned with C(verify=full) into findings for the role C(incident).
positional: wallets
options:
  _input:
    description: What it returned of the database. Empty where it was not asked.
    type: dict
    required: true
  wallets:
    description: What it returned of the wallets. Empty where it was not asked.
    type: dict
    required: true
  roles:
    description: The roles whose archives must be restorable.
    type: list
    elements: str
    default: []
  rpo_seconds:
    description: How old the newest good archive of the database may be.
    type: int
    default: 3600
  rto_seconds:
    description: How long a restore of the database may take.
    type: int
    default: 1800
"""

EXAMPLES = r"""
- name: Say whether the database could be restored
  ansible.builtin.debug:
    msg: "{{ (found | monero_marketplace.incident.backup_proof({})).proof }}"
"""

RETURN = r"""
_value:
  description:
    - The findings, with C(escalate), one sentence for each of them of which nothing can be restored; C(risk); C(proof), how fast each
      is and how old; C(settled) and C(verb).
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_database_words import proven


def backup_proof(
    found: dict[str, Any],
    wallets: dict[str, Any],
    roles: list[str] | None = None,
    rpo_seconds: int = 3600,
    rto_seconds: int = 1800,
) -> dict[str, Any]:
    return proven(found, wallets, roles or [], rpo_seconds, rto_seconds)


class FilterModule:
    """What backups are worth."""

    def filters(self) -> dict[str, Any]:
        return {"backup_proof": backup_proof}
