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
  - On a full disk an entry is written whole or not at all, and what was there stays as it was.
  - Run it on the desk, with C(delegate_to). What the desk does not take can be written to a spool on the host, a folder of the same
    form, and delivered later with O(state=delivered) and O(state=cleared).
options:
  state:
    description:
      - V(written) adds one entry.
      - V(delivered) writes spooled O(entries) to the desk, in their order and each exactly once, however often it is tried. They keep
        their time and say when they were delivered. They go where the host's open incident is, else to one of the spooled name.
      - V(cleared) removes from the spool O(desk_dir) the records that are O(delivered) to their last entry. Others stay.
    type: str
    choices: [written, delivered, cleared]
    default: written
  desk_dir:
    description: The folder of the incident desk, or of the spool. Made with mode 0700 when missing.
    type: path
    required: true
  entries:
    description: With O(state=delivered) what waits on the host, as RV(monero_marketplace.incident.incident_info#module:spool) gives it.
    type: list
    elements: dict
    default: []
  delivered:
    description: With O(state=cleared) the hashes of what the desk has.
    type: list
    elements: str
    default: []
  host:
    description: The marketplace host that the entry is about, as the inventory names it. Required with O(state=written).
    type: str
  playbook:
    description: The playbook that runs. Becomes the title of an incident that is opened.
    type: str
    default: ""
  responder:
    description: Who acts. Required with O(state=written).
    type: str
  run_id:
    description:
      - Which run this belongs to, as the filter P(monero_marketplace.incident.incident_controller#filter) names it.
      - Required with O(state=written).
    type: str
  event:
    description:
      - What happened. V(intent) stands before the first change and V(outcome) after the last one. An intent without an
        outcome is how an interrupted run shows.
    type: str
    choices: [intent, outcome, escalation, confirmation_needed, interrupted, note, hold, release, status]
    default: note
  text:
    description:
      - One sentence. Control characters are replaced and it is cut at 4000 characters.
      - Required with O(state=written).
    type: str
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
  once:
    description: A name for what is said. Adds nothing when any record on the desk has an entry of that name.
    type: str
    default: ""
  pins:
    description:
      - What the host remembers of the incidents on this desk, one of those in RV(monero_marketplace.incident.incident_info#module:pins).
      - A timeline that does not fit is noted as tampering before the entry is added.
    type: dict
    default: {}
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
      - Each run adds an entry unless O(unless_repeated) or O(once) finds that it was said already.
      - Delivering and clearing are idempotent.
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
delivered:
  description: The hashes of the spooled entries that the desk has, now or since an earlier delivery.
  returned: O(state=delivered)
  type: list
  elements: str
added:
  description: How many of them were added now.
  returned: O(state=delivered)
  type: int
problems:
  description: What could not be delivered, one sentence each.
  returned: O(state=delivered)
  type: list
  elements: str
cleared:
  description: The spooled records that were removed.
  returned: O(state=cleared)
  type: list
  elements: str
incident:
  description: The id of the incident, or of the day's log of operations. In check mode the one that would be used.
  returned: O(state=written)
  type: str
  sample: INC-20261123-0213
opened:
  description: When it was opened, in UTC.
  returned: O(state=written)
  type: str
  sample: "2026-11-23T02:13:44Z"
status:
  description: Its status after this entry. V(log) for the log of operations.
  returned: O(state=written)
  type: str
  sample: open
severity:
  description: Its severity.
  returned: O(state=written)
  type: str
  sample: P1
entry:
  description: The entry as written, V(null) when nothing was written.
  returned: O(state=written)
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
    delivered:
      description: When the desk got it, where that was later than RV(entry.time).
      type: str
    origin:
      description: For a delivered entry its C(record), C(seq) and C(hash) in the spool.
      type: dict
head:
  description: The hash of the timeline's last entry.
  returned: O(state=written)
  type: str
entries:
  description: How many entries the timeline has.
  returned: O(state=written)
  type: int
intact:
  description: Whether the timeline was as it had been written.
  returned: O(state=written)
  type: bool
broken_at:
  description: The first entry that is not as written, and why.
  returned: O(state=written)
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_record as recorder
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_spool as spool
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for

EVENTS = ["intent", "outcome", "escalation", "confirmation_needed", "interrupted", "note", "hold", "release", "status"]
SAID = {
    "host": {"type": "str"},
    "playbook": {"type": "str", "default": ""},
    "responder": {"type": "str"},
    "run_id": {"type": "str"},
    "event": {"type": "str", "choices": EVENTS, "default": "note"},
    "text": {"type": "str"},
    "data": {"type": "dict", "default": {}},
    "severity": {"type": "str"},
    "status": {"type": "str", "choices": ["open", "monitoring", "resolved"]},
    "open": {"type": "bool", "default": False},
    "monitoring_seconds": {"type": "int", "default": 3600},
    "unless_repeated": {"type": "bool", "default": False},
    "once": {"type": "str", "default": ""},
    "pins": {"type": "dict", "default": {}},
}
ARGUMENTS = {
    "state": {"type": "str", "choices": ["written", "delivered", "cleared"], "default": "written"},
    "desk_dir": {"type": "path", "required": True},
    "entries": {"type": "list", "elements": "dict", "default": []},
    "delivered": {"type": "list", "elements": "str", "default": []},
    **SAID,
}
REQUIRED = [("state", "written", ["host", "responder", "run_id", "text"])]


def done(wanted: dict[str, Any], write: bool) -> dict[str, Any]:
    if wanted["state"] == "delivered":
        # Where each entry would go depends on those before it, so there is nothing honest to predict but that it changes.
        predicted = {"delivered": [], "added": 0, "problems": [], "changed": bool(wanted["entries"])}
        return spool.deliver(wanted["desk_dir"], wanted["entries"], wanted["monitoring_seconds"]) if write else predicted
    if wanted["state"] == "cleared":
        return spool.clear(wanted["desk_dir"], wanted["delivered"], write)
    said = recorder.Said(**{name: wanted[name] for name in SAID})
    return recorder.record(wanted["desk_dir"], said, write)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=REQUIRED, supports_check_mode=True)
    try:
        found = done(module.params, write=not module.check_mode)
    except IncidentError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    module.exit_json(**found)


if __name__ == "__main__":
    main()
