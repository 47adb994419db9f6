# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: incident_controller
short_description: Name the running ansible-playbook
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Names the process that runs the playbook, on the machine it runs on, so that a host knows whose lease it holds.
  - The answer is the same in every task and fork of one run, except the clock, and differs between runs.
options:
  _input:
    description: The responder. Empty means the user who started the run.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Begin the run
  ansible.builtin.set_fact:
    me: "{{ '' | monero_marketplace.incident.incident_controller }}"
"""

RETURN = r"""
_value:
  description:
    - The responder as C(responder), the machine as C(host), the account as C(user), the process as C(pid) and C(started), the run as
      C(run_id) and the controller's clock as C(clock), in seconds since 1970.
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_controller import controller


def incident_controller(responder: Any = "") -> dict[str, Any]:
    found = controller()
    return {**found, "responder": str(responder or found["user"])}


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"incident_controller": incident_controller}
