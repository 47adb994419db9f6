# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: incident_status
short_description: Write what binds a host and what lies on the desk
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Writes the open incident, the lease, the holds and the latest incidents of one host as plain text.
positional: host, name
options:
  _input:
    description: What M(monero_marketplace.incident.incident_info) returned from the desk.
    type: dict
    required: true
  host:
    description: What M(monero_marketplace.incident.incident_info) returned from the host.
    type: dict
    required: true
  name:
    description: The host's name in the inventory.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show the host at a glance
  ansible.builtin.debug:
    msg: "{{ desk | monero_marketplace.incident.incident_status(host, inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_status import status


def incident_status(desk: Any, host: Any, name: Any) -> str:
    return status(desk, host, str(name))


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"incident_status": incident_status}
