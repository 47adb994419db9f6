# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: docker_health_changes
short_description: Tell what a repair really did from two looks
version_added: 0.1.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - Compares container ids, start times, states and free space of two looks, so that the summary tells what was measured and not what
    was meant.
positional: after
options:
  _input:
    description: The C(compose) that M(monero_marketplace.incident.compose_info) returned before the repair.
    type: dict
    required: true
  after:
    description: The same, taken after the repair.
    type: dict
    required: true
seealso:
  - module: monero_marketplace.incident.compose_info
  - plugin: monero_marketplace.incident.docker_health_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Say what was done
  ansible.builtin.debug:
    msg: "{{ (before.compose | monero_marketplace.incident.docker_health_changes(after.compose)).did }}"
"""

RETURN = r"""
_value:
  description:
    - C(did), sentences such as V(started server and nginx); C(changed), whether there is any.
    - C(docker_started) and C(freed_bytes).
    - C(created), C(recreated), C(started), C(restarted), C(unpaused), C(resumed) and C(lost) as lists of services.
    - C(untouched_services), which have the same container, start time and state as before, and C(untouched), their number.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_changes import changes


def docker_health_changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    for look in (before, after):
        if not isinstance(look, dict) or "services" not in look:
            raise AnsibleFilterError(
                "docker_health_changes needs two times the 'compose' that monero_marketplace.incident.compose_info returned."
            )
    return changes(before, after)


class FilterModule:
    """What a repair did."""

    def filters(self) -> dict[str, Any]:
        return {"docker_health_changes": docker_health_changes}
