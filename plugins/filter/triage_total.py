# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: triage_total
short_description: Write the total of a triage of many hosts
version_added: 0.2.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Counts the hosts by proposed severity, and names those that are not well, the most severe first.
positional: results
options:
  _input:
    description: Names of all hosts of the run.
    type: list
    elements: str
    required: true
  results:
    description:
      - Of each of these hosts, in the same order, what P(monero_marketplace.incident.triage_report#filter) gave.
      - Empty for a host that gave no answer.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the total
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | monero_marketplace.incident.triage_total(results) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._total import triage_total


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"triage_total": triage_total}
