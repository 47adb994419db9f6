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
      - The facts, C(host), C(site), C(binding), C(compose), C(problem), C(changes), C(prometheus), C(silences), C(desk), C(unreachable),
        C(severity), C(severity_reason), C(responder), C(inventory) and C(playbook_dir), as role C(triage) gathers them.
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

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _diagnosis
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import Site
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
        "plan": _diagnosis.plan(compose, _site(facts["site"])) if "services" in compose else None,
        "clock": compose.get("clock") or (facts.get("binding") or {}).get("clock") or facts.get("clock"),
        **as_called(facts.get("inventory"), facts.get("playbook_dir")),
    }
    try:
        return triage(asked)
    except ValueError as wrong:
        raise AnsibleFilterError(str(wrong)) from wrong


def _site(site: dict[str, Any]) -> Site:
    return Site(
        server_service=site["server_service"],
        database_service=site.get("database_service") or "",
        proxy_service=site.get("proxy_service") or "",
        health_url=site.get("health_url") or "",
        public_url=site.get("public_url") or "",
        disk_critical=float(site.get("disk_critical") or 90),
        release_dir=site.get("release_dir") or "",
        careful=frozenset([*site.get("wallet_services", ()), site.get("daemon_service") or ""]),
    )


class FilterModule:
    """The proposal of a triage."""

    def filters(self) -> dict[str, Any]:
        return {"triage_report": triage_report}
