# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: database_restore_report
short_description: Say what was wrong with the database, what was done, lost and is left
version_added: 0.4.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - Turns what role C(database_restore) gathered into the findings that role C(incident) records and shows.
options:
  _input:
    description: The facts of the run, by the names that the role gives them.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Report
  ansible.builtin.set_fact:
    findings: "{{ facts | monero_marketplace.incident.database_restore_report }}"
"""

RETURN = r"""
_value:
  description: >-
    C(settled), C(serving), C(causes), C(plan), C(confirm), C(stray_confirmations), C(escalate), C(did), C(kept), C(risk), C(next), C(lost),
    C(headline), C(page), C(payouts_frozen) and C(postmortem), as entry point C(close) of role C(incident) takes them.
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_restore_report


class FilterModule:
    """What was wrong, done and lost."""

    def filters(self) -> dict[str, Any]:
        return {"database_restore_report": _database_restore_report.report}
