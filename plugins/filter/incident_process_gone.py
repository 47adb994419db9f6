# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: incident_process_gone
short_description: Tell whether the run that has a lease is surely over
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - True only when the lease was taken from this machine, and its process is not there any more.
  - In doubt, for example for a lease that was taken from another machine, it is false.
options:
  _input:
    description: The lease, as RV(monero_marketplace.incident.incident_info#module:lease) gives it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show whether an interrupted run can be resumed
  ansible.builtin.debug:
    msg: "{{ host.lease | monero_marketplace.incident.incident_process_gone }}"
"""

RETURN = r"""
_value:
  description: Whether the process is gone.
  type: bool
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_controller import process_gone


def incident_process_gone(lease: Any) -> bool:
    return process_gone(lease) if isinstance(lease, dict) else False


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"incident_process_gone": incident_process_gone}
