# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: incident_result
short_description: Judge how a run ended on a host
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Decides the outcome of a run from what it found, did and proved. The exit status follows from it.
options:
  _input:
    description: The run, with C(host), C(playbook), C(check), C(acted), C(started), C(findings), C(proof), C(refusal), C(failure), C(desk),
      C(unreachable) (whether the host gave no answer at first contact), C(acting_run) (the run of a lease whose process is still
      there), C(holds) of the host, C(inventory) and C(playbook_dir).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Judge the run
  ansible.builtin.set_fact:
    result: "{{ facts | monero_marketplace.incident.incident_result }}"
"""

RETURN = r"""
_value:
  description:
    - The result, with C(outcome), C(zero) (whether the exit status is zero), C(news) (whether the record gains a line)
      and what the summary shows.
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_controller import as_called
from ansible_collections.monero_marketplace.incident.plugins.module_utils._outcome import judge


def incident_result(run: dict[str, Any]) -> dict[str, Any]:
    return judge({**run, **as_called(run.get("inventory"), run.get("playbook_dir"))})


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"incident_result": incident_result}
