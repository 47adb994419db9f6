#!/usr/bin/python
# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_record
short_description: Add an entry to the record of an incident
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Adds one entry to the timeline of the host's open incident on the incident desk, and opens an incident where that is asked for.
  - Without an open incident, and without O(open), the entry goes to the day's log of operations, C(OPS-YYYYMMDD).
  - Each entry carries the hash of the one before. Length and head of the timeline are pinned in C(incident.json), so that
    an edited, removed or reordered entry shows.
  - Run it on the desk, with C(delegate_to).
options:
  desk_dir:
    description: The folder of the incident desk. Made with mode 0700 when missing.
    type: path
    required: true
  host:
    description: The marketplace host that the entry is about, as the inventory names it.
    type: str
    required: true
  playbook:
    description: The playbook that runs. Becomes the title of an incident that is opened.
    type: str
    default: ""
  responder:
    description: Who acts.
    type: str
    required: true
  run_id:
    description: Which run this belongs to, as the filter P(monero_marketplace.incident.incident_controller#filter) names it.
    type: str
    required: true
  event:
    description:
      - What happened. V(intent) stands before the first change and V(outcome) after the last one. An intent without an
        outcome is how an interrupted run shows.
    type: str
    choices: [intent, outcome, escalation, confirmation_needed, interrupted, note, hold, release, status]
    default: note
  text:
    description: One sentence. Control characters are replaced and it is cut at 4000 characters.
    type: str
    required: true
  data:
    description: Further facts. Strings in it are bounded and freed of control characters.
    type: dict
    default: {}
  severity:
    description: The incident's severity, for example V(P1).
    type: str
  status:
    description: The incident's new status. Without it the status stays.
    type: str
    choices: [open, monitoring, resolved]
  open:
    description: Opens an incident when the host has none.
    type: bool
    default: false
  monitoring_seconds:
    description: How long a mended incident (V(monitoring)) can still be joined, in seconds.
    type: int
    default: 3600
  unless_repeated:
    description: Adds nothing when the host's last entry of this event says the same and no intent came since.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - The entry itself is returned.
  idempotent:
    support: partial
    details:
      - Each run adds an entry unless O(unless_repeated) finds that it was said already.
seealso:
  - module: monero_marketplace.incident.incident_info
  - module: monero_marketplace.incident.incident_guard
extends_documentation_fragment:
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
"""

EXAMPLES = r"""
- name: Write down what is about to be done
  monero_marketplace.incident.incident_record:
    desk_dir: /srv/incident_desk
    host: "{{ inventory_hostname }}"
    playbook: outage
    responder: alice
    run_id: "{{ me.run_id }}"
    event: intent
    text: start server, nginx
    severity: P1
    status: open
    open: true
  vars:
    me: "{{ '' | monero_marketplace.incident.incident_controller }}"
  delegate_to: desk-1

- name: Add what a person saw
  monero_marketplace.incident.incident_record:
    desk_dir: /srv/incident_desk
    host: market-1
    responder: alice
    run_id: by-hand
    text: Disk of market-1 was replaced by the hoster.
  delegate_to: desk-1
"""

RETURN = r"""
incident:
  description: The id of the incident, or of the day's log of operations. In check mode the one that would be used.
  returned: success
  type: str
  sample: INC-20261123-0213
opened:
  description: When it was opened, in UTC.
  returned: success
  type: str
  sample: "2026-11-23T02:13:44Z"
status:
  description: Its status after this entry. V(log) for the log of operations.
  returned: success
  type: str
  sample: open
severity:
  description: Its severity.
  returned: success
  type: str
  sample: P1
entry:
  description: The entry as written, V(null) when nothing was written.
  returned: success
  type: dict
  contains:
    seq:
      description: Its number, from 1.
      type: int
    time:
      description: When it was written, in UTC.
      type: str
    previous:
      description: The hash of the entry before.
      type: str
    hash:
      description: SHA-256 over the entry without this key, as canonical JSON.
      type: str
head:
  description: The hash of the timeline's last entry.
  returned: success
  type: str
intact:
  description: Whether the timeline was as it had been written.
  returned: success
  type: bool
broken_at:
  description: The first entry that is not as written, and why.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_record as recorder
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for

EVENTS = ["intent", "outcome", "escalation", "confirmation_needed", "interrupted", "note", "hold", "release", "status"]
ARGUMENTS = {
    "desk_dir": {"type": "path", "required": True},
    "host": {"type": "str", "required": True},
    "playbook": {"type": "str", "default": ""},
    "responder": {"type": "str", "required": True},
    "run_id": {"type": "str", "required": True},
    "event": {"type": "str", "choices": EVENTS, "default": "note"},
    "text": {"type": "str", "required": True},
    "data": {"type": "dict", "default": {}},
    "severity": {"type": "str"},
    "status": {"type": "str", "choices": ["open", "monitoring", "resolved"]},
    "open": {"type": "bool", "default": False},
    "monitoring_seconds": {"type": "int", "default": 3600},
    "unless_repeated": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wanted = dict(module.params)
    desk_dir = wanted.pop("desk_dir")
    try:
        found = recorder.record(desk_dir, recorder.Said(**wanted), write=not module.check_mode)
    except IncidentError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    module.exit_json(**found)


if __name__ == "__main__":
    main()
