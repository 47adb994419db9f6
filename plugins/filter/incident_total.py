# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: incident_total
short_description: Write the total of a run on many hosts
version_added: 0.2.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Counts how the hosts of a run ended, and names those that need a person, the most urgent first.
  - A host without a result, because it was lost during the run, is counted as such.
positional: results
options:
  _input:
    description: Names of all hosts of the run.
    type: list
    elements: str
    required: true
  results:
    description:
      - Of each of these hosts, in the same order, what P(monero_marketplace.incident.incident_result#filter) gave.
      - Empty for a host that has none.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the total
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | monero_marketplace.incident.incident_total(results) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._total import total


def incident_total(hosts: list[str], results: list[Any]) -> list[str]:
    return total(hosts, results)


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"incident_total": incident_total}
