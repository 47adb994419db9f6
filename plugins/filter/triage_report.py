# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: triage_report
short_description: Propose severity, playbook and whom to page from the facts of the first look
version_added: 0.2.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - A pure function of what role C(triage) could see. Facts that are missing are said as unknown.
options:
  _input:
    description:
      - The facts, C(host), C(site), C(binding), C(compose), C(problem), C(monero), C(signing), C(changes), C(prometheus), C(silences),
        C(desk), C(unreachable), C(severity), C(severity_reason), C(responder), C(inventory) and C(playbook_dir), as role C(triage) gathers them.
    type: dict
    required: true
seealso:
  - plugin: monero_marketplace.incident.docker_health_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Propose
  ansible.builtin.set_fact:
    triage_result: "{{ facts | monero_marketplace.incident.triage_report }}"
"""

RETURN = r"""
_value:
  description:
    - C(severity) (V(P1) to V(P4), or null where nothing is wrong) with the C(reason) of the C(proposed_severity), the C(playbook), whom to C(page) as a list.
    - C(customers_served), null where nobody could ask; C(seen), false where nothing could be seen; and the whole C(text).
  type: dict
"""

import os
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.monero_marketplace.incident.plugins.filter.docker_health_plan import docker_health_plan
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_controller import as_called
from ansible_collections.monero_marketplace.incident.plugins.module_utils._triage_words import triage

# Those that are there can be proposed.
PLAYBOOKS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "playbooks")


def triage_report(facts: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(facts, dict) or "host" not in facts or "site" not in facts:
        raise AnsibleFilterError("triage_report needs the facts that role triage gathers, with at least 'host' and 'site'.")
    compose = facts.get("compose") or {}
    asked = {
        **facts,
        "built": frozenset(os.path.splitext(name)[0] for name in os.listdir(PLAYBOOKS)) if os.path.isdir(PLAYBOOKS) else (),
        "plan": _plan(compose, facts) if "services" in compose else None,
        "clock": compose.get("clock") or (facts.get("binding") or {}).get("clock") or facts.get("clock"),
        **as_called(facts.get("inventory"), facts.get("playbook_dir")),
    }
    try:
        return triage(asked)
    except ValueError as wrong:
        raise AnsibleFilterError(str(wrong)) from wrong


def _plan(compose: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """What a repair would do, by the filter that a repair asks."""
    site = facts["site"]
    named = ("database_service", "proxy_service", "daemon_service", "health_url", "public_url", "release_dir")
    options: dict[str, Any] = {
        "disk_critical": site.get("disk_critical") or 90,
        "careful_services": [name for name in [*site.get("wallet_services", ()), site.get("daemon_service")] if name],
        "wallets": site.get("wallets"),
        "wallet_port": site.get("wallet_port") or 18082,
        "frozen": (facts.get("binding") or {}).get("frozen"),
        **{name: site.get(name) or "" for name in named},
    }
    return docker_health_plan(compose, site["server_service"], **options)


class FilterModule:
    """The proposal of a triage."""

    def filters(self) -> dict[str, Any]:
        return {"triage_report": triage_report}
