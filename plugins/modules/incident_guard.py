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
  - Places and lifts holds too. A hold is a person's word that binds every run on the host until it is lifted, also after a
    reboot; it is the file C(holds/NAME.json) in O(state_dir), and one that cannot be read binds everything. What is lifted is
    kept in C(holds/released), and nothing needs a lease for it. A run that is at work stops at its next check.
  - Refuses when one of the O(services) that are about to be started is frozen. M(monero_marketplace.incident.payout_freeze) places freezes.
  - The lease lies in memory and is gone after a reboot. Holds, freezes, attempts and the fencing token stay.
options:
  state:
    description:
      - V(acquired) takes the lease, or extends it when this run has it already.
      - V(checked) tells whether the lease is still this run's and no hold came since, and extends it.
      - V(released) gives the lease back if it is this run's. Somebody else's stays.
      - V(held) places the hold O(hold_name). One that says the same is left as it is, one that says something else is an error.
      - V(unheld) lifts the hold O(hold_name), whoever placed it and whether or not its file can be read. Without such a hold
        there is nothing to do.
    type: str
    choices: [acquired, checked, released, held, unheld]
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
    description: The incident that O(head) and O(entries) are about.
    type: str
    default: ""
  desk:
    description: Which desk the incident lies on. What the host remembers of it is compared with that desk only.
    type: str
    default: ""
  head:
    description:
      - The hash of the record's last entry. With O(state=checked) and O(state=released) it is kept on the host together with
        O(entries), so that a record whose end was removed shows even when the desk's own files were made to fit.
      - With O(state=released) it is written to the host's journal too.
    type: str
    default: ""
  entries:
    description: How many entries the record has. Without it nothing is kept beside the journal.
    type: int
    default: 0
  hold_name:
    description:
      - The hold to place or to lift. Up to 64 letters, digits, dots, hyphens and underscores.
      - Required with O(state=held) and O(state=unheld).
    type: str
    default: ""
  reason:
    description: Why the hold is placed or lifted, in one sentence. Required with O(state=held) and O(state=unheld).
    type: str
    default: ""
  hold_playbooks:
    description: The playbooks that the hold forbids, by their names without C(.yml). Empty means all.
    type: list
    elements: str
    default: []
  services:
    description: The services that are about to be started. None of them may be frozen.
    type: list
    elements: str
    default: []
    version_added: 0.3.0
  state_dir:
    description: Where holds, freezes, attempts and the fencing token lie.
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

- name: Let nobody act before the evidence is copied
  monero_marketplace.incident.incident_guard:
    state: held
    hold_name: evidence-0213
    reason: evidence is being taken
    responder: alice
    run_id: by-hand

- name: Lift the hold
  monero_marketplace.incident.incident_guard:
    state: unheld
    hold_name: evidence-0213
    reason: the copy is sealed
    responder: alice
    run_id: by-hand
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
      description: One of V(hold), V(freeze), V(lease), V(attempts), V(clock), V(token), V(orphan).
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
freezes:
  description: All freezes of the host, as M(monero_marketplace.incident.incident_info) returns them.
  returned: success
  type: list
  elements: dict
  version_added: 0.3.0
attempts:
  description: How often this action was tried, with C(count), C(limit), C(window) in seconds and C(next_free) in UTC.
  returned: success
  type: dict
superseded:
  description: Whether another run was given a lease since this one's.
  returned: O(state=checked)
  type: bool
hold:
  description:
    - The hold that was placed, found in place, or lifted (then with C(released_by), C(released_at) and C(released_reason)).
    - When there was nothing to lift, the one of that name that was lifted last. V(null) when there never was one.
  returned: O(state=held) or O(state=unheld)
  type: dict
once:
  description:
    - A name for the record's entry about it, for O(monero_marketplace.incident.incident_record#module:once). Empty when there is
      nothing to record.
  returned: O(state=held) or O(state=unheld)
  type: str
"""

import syslog
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_guard as guard
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_holds as holds
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
    "desk": {"type": "str", "default": ""},
    "incident": {"type": "str", "default": ""},
    "head": {"type": "str", "default": ""},
    "entries": {"type": "int", "default": 0},
    "hold_name": {"type": "str", "default": ""},
    "reason": {"type": "str", "default": ""},
    "hold_playbooks": {"type": "list", "elements": "str", "default": []},
    "services": {"type": "list", "elements": "str", "default": []},
}
ARGUMENTS = {
    "state": {"type": "str", "choices": ["acquired", "checked", "released", "held", "unheld"], "default": "acquired"},
    "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
    "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
    **REQUEST,
}
STEPS = {
    "acquired": guard.acquire,
    "checked": guard.check,
    "released": guard.release,
    "held": holds.place,
    "unheld": holds.lift,
}


def tell_journal(text: str) -> None:
    syslog.openlog("marketplace_incident", syslog.LOG_PID, syslog.LOG_AUTH)
    syslog.syslog(syslog.LOG_NOTICE, clean(text, 500))


def note_in_journal(wanted: dict[str, Any]) -> None:
    """Who bound or freed the host stands on the host too, whatever becomes of the desk."""
    tell_journal(f"hold {wanted['hold_name']} {wanted['state']} by {wanted['responder']}: {wanted['reason']}")


def pin_in_journal(wanted: dict[str, Any]) -> None:
    """The record lies elsewhere; its head here makes a later rewrite of the record show."""
    tell_journal(
        f"record head={wanted['head']} entries={wanted['entries']} incident={wanted['incident']} "
        f"run={wanted['run_id']} responder={wanted['responder']}"
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wanted = module.params
    places = Places(state_dir=wanted["state_dir"], lease_dir=wanted["lease_dir"])
    given = {name: wanted[name] for name in REQUEST}
    request = Request(
        **{
            **given,
            "project_dir": wanted["project_dir"] or "",
            **{name: tuple(wanted[name]) for name in ("hold_playbooks", "services")},
        }
    )
    try:
        found = STEPS[wanted["state"]](places, request, write=not module.check_mode)
    except IncidentError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    if wanted["state"] == "released" and wanted["head"] and not module.check_mode:
        pin_in_journal(wanted)
    if found["changed"] and wanted["state"] in ("held", "unheld") and not module.check_mode:
        note_in_journal(wanted)
    module.exit_json(**found)


if __name__ == "__main__":
    main()
