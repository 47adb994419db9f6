# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_report
short_description: Say what was backed up, and what there is
version_added: 0.3.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - Turns what the modules returned into findings for the role C(incident).
positional: made
options:
  _input:
    description: What M(monero_marketplace.incident.backup_info) returned before. Empty where it was not asked.
    type: dict
    required: true
  made:
    description: What M(monero_marketplace.incident.backup_create) returned. Empty where nothing was made yet.
    type: dict
    required: true
  roles:
    description: The roles that are to be backed up.
    type: list
    elements: str
    required: true
  host:
    description: The host, for the command that comes next.
    type: str
    required: true
  overdue_hours:
    description: Hours after which a role's newest archive is overdue.
    type: int
    default: 24
  pins:
    description: What P(monero_marketplace.incident.backup_pins#filter) returned.
    type: dict
    default: {}
  database:
    description:
      - The same of the database, with C(found) and C(made), and C(rpo_seconds), how old its newest archive may be. Empty where that is not
        backed up.
    type: dict
    default: {}
    version_added: 0.4.0
"""

EXAMPLES = r"""
- name: Say which backups there are
  ansible.builtin.debug:
    msg: "{{ (found | monero_marketplace.incident.backup_report({}, roles=['buyer'], host=inventory_hostname)).plan }}"
"""

RETURN = r"""
_value:
  description:
    - The findings, with C(did), C(plan), C(risk), C(escalate), C(next), C(proof), C(settled) and C(verb).
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_database_words
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_words import report


def backup_report(
    found: dict[str, Any],
    made: dict[str, Any],
    roles: list[str],
    host: str,
    overdue_hours: int = 24,
    pins: dict[str, Any] | None = None,
    database: dict[str, Any] | None = None,
) -> dict[str, Any]:
    wallets = report(found, made, roles, host, overdue_hours, pins or {})
    if not database:
        return wallets
    first = _backup_database_words.report(database["found"], database["made"], host, int(database["rpo_seconds"]))
    return _backup_database_words.both(first, wallets)


class FilterModule:
    """What a run says of its backups."""

    def filters(self) -> dict[str, Any]:
        return {"backup_report": backup_report}
