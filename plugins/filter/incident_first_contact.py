# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: incident_first_contact
short_description: Say in one sentence why a host cannot be read
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Turns what ssh, sudo or Python said into one sentence and the next command.
positional: address, host
options:
  _input:
    description: The result of the first task on the host.
    type: dict
    required: true
  address:
    description: The address the host was tried at.
    type: str
    required: true
  host:
    description: The host's name in the inventory.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Say why
  ansible.builtin.debug:
    msg: "{{ result | monero_marketplace.incident.incident_first_contact(ansible_host, inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: What was found as C(sentence), what to do as C(next).
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._first_contact import first_contact


def incident_first_contact(result: Any, address: Any, host: Any = "") -> dict[str, str]:
    return first_contact(result, str(address), str(host))


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"incident_first_contact": incident_first_contact}
