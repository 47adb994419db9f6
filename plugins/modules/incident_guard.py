#!/usr/bin/python
# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_guard
short_description: Let one responder act on a marketplace host
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Takes, checks or gives back the lease that lets one run act on a marketplace host.
  - Refuses when a hold forbids it, when somebody else is acting, when the same action was tried too often,
    when the clocks of host and controller differ by more than 30 seconds, and when a step of an earlier run, killed since,
    is still at work on the host.
  - A refusal is a finding, not a failure. It comes back as RV(refusal), and the caller decides what it means.
  - The lease lies in memory and is gone after a reboot. Holds, attempts and the fencing token stay.
options:
  state:
    description:
      - V(acquired) takes the lease, or extends it when this run has it already.
      - V(checked) tells whether the lease is still this run's and no hold came since, and extends it.
      - V(released) gives the lease back if it is this run's. Somebody else's stays.
    type: str
    choices: [acquired, checked, released]
    default: acquired
  responder:
    description: Who acts. Together with O(controller) the owner of the lease.
    type: str
    required: true
  run_id:
    description: Which run acts, as the filter P(monero_marketplace.incident.incident_controller#filter) names it.
    type: str
    required: true
  controller:
    description: The machine the run was started on.
    type: str
    default: unknown
  pid:
    description: The process id of C(ansible-playbook) on the controller.
    type: int
    default: 0
  pid_started:
    description: What tells this process from a later one with the same id, as the filter gives it.
    type: str
    default: ""
  host:
    description: The host's name in the inventory, for the command that a refusal names.
    type: str
    default: ""
  playbook:
    description: The playbook that acts. Holds can forbid single playbooks.
    type: str
    default: ""
  action:
    description: What is about to be done. Attempts are counted for each action.
    type: str
    default: ""
  lease_seconds:
    description: How long the lease lasts without being extended, in seconds.
    type: int
    default: 900
  attempts:
    description: How often the same action may be tried within O(attempts_window).
    type: int
    default: 3
  attempts_window:
    description: The time in which attempts are counted, in seconds.
    type: int
    default: 3600
  take_over:
    description: Takes the lease even when another responder has it. Their run stops at its next check.
    type: bool
    default: false
  resume:
    description:
      - The run of the same owner whose process the controller knows to be gone. Its lease may be taken, and no other.
    type: str
    default: ""
  controller_clock:
    description: The controller's time now, in seconds since 1970. Without it the clocks are not compared.
    type: float
  token:
    description: The fencing token that this run was given. Needed for V(checked) and V(released).
    type: str
    default: ""
  project_dir:
    description: The Compose project whose changing commands count as left at work. Without it only this collection's own modules do.
    type: path
  wait_for_orphan_seconds:
    description: How long to wait for what an earlier run left at work, in seconds.
    type: int
    default: 60
  incident:
    description: The incident that is written to the host's journal together with O(head).
    type: str
    default: ""
  head:
    description: The hash of the record's last entry. With V(released) it is written to the host's journal.
    type: str
    default: ""
  state_dir:
    description: Where holds, attempts and the fencing token lie.
    type: path
    default: /var/lib/marketplace_incident
  lease_dir:
    description: Where the lease lies. A folder that a reboot empties.
    type: path
    default: /run/marketplace_incident
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - There is nothing a person would compare.
  idempotent:
    support: full
    details:
      - Extending a lease that the run already has is not reported as a change.
seealso:
  - module: monero_marketplace.incident.incident_info
  - module: monero_marketplace.incident.incident_record
extends_documentation_fragment:
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
"""

EXAMPLES = r"""
- name: Take the lease before anything is changed
  monero_marketplace.incident.incident_guard:
    state: acquired
    responder: alice
    controller: "{{ me.host }}"
    run_id: "{{ me.run_id }}"
    playbook: outage
    action: start:server
  vars:
    me: "{{ '' | monero_marketplace.incident.incident_controller }}"
  register: guard

- name: Check before the next step
  monero_marketplace.incident.incident_guard:
    state: checked
    responder: alice
    controller: "{{ me.host }}"
    run_id: "{{ me.run_id }}"
    playbook: outage
    token: "{{ guard.token }}"
  vars:
    me: "{{ '' | monero_marketplace.incident.incident_controller }}"
"""

RETURN = r"""
granted:
  description: Whether this run may act. With O(state=released) whether the lease was this run's.
  returned: success
  type: bool
  sample: true
token:
  description: The fencing token. It rises with each lease and survives a reboot. V(null) when refused, and in check mode for a new lease.
  returned: success
  type: str
  sample: "12"
refusal:
  description: Why this run may not act. V(null) when it may.
  returned: success
  type: dict
  contains:
    kind:
      description: One of V(hold), V(lease), V(attempts), V(clock), V(token), V(orphan).
      type: str
    sentence:
      description: One sentence with what was found.
      type: str
    next:
      description: What to do next, as a command where there is one.
      type: str
lease:
  description: The lease in force, or the one that was found when refused. V(null) without one.
  returned: success
  type: dict
  contains:
    responder:
      description: Who acts.
      type: str
    controller:
      description: The machine their run was started on.
      type: str
    run_id:
      description: Their run.
      type: str
    since:
      description: When they took the lease, in UTC.
      type: str
    until:
      description: When it ends unless extended, in UTC.
      type: str
    resumed:
      description: The run of the same owner that this one goes on for, with C(run_id), C(since) and C(owner).
      type: dict
    taken_over:
      description: The run whose lease was taken over.
      type: dict
    expired:
      description: The run whose lease had ended without being given back.
      type: dict
holds:
  description: All holds of the host, each with C(name), C(reason), C(by), C(since), C(playbooks) (empty means all) and C(readable).
  returned: success
  type: list
  elements: dict
attempts:
  description: How often this action was tried, with C(count), C(limit), C(window) in seconds and C(next_free) in UTC.
  returned: success
  type: dict
"""

import syslog
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_guard as guard
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    IncidentError,
    clean,
    sentence_for,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_refusals import Request

REQUEST = {
    "responder": {"type": "str", "required": True},
    "run_id": {"type": "str", "required": True},
    "controller": {"type": "str", "default": "unknown"},
    "pid": {"type": "int", "default": 0},
    "pid_started": {"type": "str", "default": ""},
    "host": {"type": "str", "default": ""},
    "playbook": {"type": "str", "default": ""},
    "action": {"type": "str", "default": ""},
    "lease_seconds": {"type": "int", "default": 900},
    "attempts": {"type": "int", "default": 3},
    "attempts_window": {"type": "int", "default": 3600},
    "take_over": {"type": "bool", "default": False},
    "resume": {"type": "str", "default": ""},
    "controller_clock": {"type": "float"},
    "token": {"type": "str", "default": "", "no_log": False},
    "project_dir": {"type": "path"},
    "wait_for_orphan_seconds": {"type": "int", "default": 60},
}
ARGUMENTS = {
    "state": {"type": "str", "choices": ["acquired", "checked", "released"], "default": "acquired"},
    "incident": {"type": "str", "default": ""},
    "head": {"type": "str", "default": ""},
    "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
    "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
    **REQUEST,
}
STEPS = {"acquired": guard.acquire, "checked": guard.check, "released": guard.release}


def pin_in_journal(wanted: dict[str, Any]) -> None:
    """The record lies elsewhere; its head here makes a later rewrite of the record show."""
    syslog.openlog("marketplace_incident", syslog.LOG_PID, syslog.LOG_AUTH)
    syslog.syslog(
        syslog.LOG_NOTICE,
        clean(
            f"record head={wanted['head']} incident={wanted['incident']} run={wanted['run_id']} responder={wanted['responder']}",
            500,
        ),
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wanted = module.params
    places = Places(state_dir=wanted["state_dir"], lease_dir=wanted["lease_dir"])
    request = Request(**{**{name: wanted[name] for name in REQUEST}, "project_dir": wanted["project_dir"] or ""})
    try:
        found = STEPS[wanted["state"]](places, request, write=not module.check_mode)
    except IncidentError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    if wanted["state"] == "released" and wanted["head"] and not module.check_mode:
        pin_in_journal(wanted)
    module.exit_json(**found)


if __name__ == "__main__":
    main()
