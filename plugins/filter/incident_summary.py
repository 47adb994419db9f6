# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: incident_summary
short_description: Write the last lines of a run
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Writes the summary of one host as plain text, a header and at most six labelled lines, then the last log lines of what fails.
  - Whatever is missing is left out or said to be unknown.
positional: record, width, brief
options:
  _input:
    description: The result, as P(monero_marketplace.incident.incident_result#filter) gives it.
    type: dict
    required: true
  record:
    description: What M(monero_marketplace.incident.incident_record) returned. Empty when nothing was recorded.
    type: dict
    default: {}
  width:
    description: Where to break lines, in columns. V(0) leaves them whole.
    type: int
    default: 0
  brief:
    description: One line for a host that is well and where nothing was done, as in a run on many hosts.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the summary
  ansible.builtin.debug:
    msg: "{{ result | monero_marketplace.incident.incident_summary(record) }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import summary


def incident_summary(result: Any, record: Any = None, width: Any = 0, brief: bool = False) -> str:
    return summary(result, record, int(width), brief)


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"incident_summary": incident_summary}
