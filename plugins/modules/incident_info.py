#!/usr/bin/python
# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_info
short_description: Read what binds a marketplace host, or the incident desk
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - With O(source=host) the lease, the holds, the freezes and the attempts on a marketplace host.
  - With O(source=desk) the incidents on the desk, each with its last entry and whether its timeline is as it was written.
options:
  source:
    description: What to read.
    type: str
    choices: [host, desk]
    required: true
  desk_dir:
    description: The folder of the incident desk. Required with O(source=desk). A missing folder is an empty desk.
    type: path
  host:
    description:
      - With O(source=host) its name in the inventory, for the command that ends a freeze.
      - With O(source=desk) only the incidents of this host, and its open one.
    type: str
  pins:
    description:
      - With O(source=desk) what the host remembers of the incidents on this desk, one of those in RV(pins). A timeline that is shorter, or that was
        rewritten, is then named even where the desk's own files were made to fit.
    type: dict
    default: {}
  monitoring_seconds:
    description: How long a mended incident (V(monitoring)) still counts as open, in seconds.
    type: int
    default: 3600
  state_dir:
    description: With O(source=host) where holds, freezes, attempts and the fencing token lie.
    type: path
    default: /var/lib/marketplace_incident
  lease_dir:
    description: With O(source=host) where the lease lies.
    type: path
    default: /run/marketplace_incident
seealso:
  - module: monero_marketplace.incident.incident_guard
  - module: monero_marketplace.incident.incident_record
extends_documentation_fragment:
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.info_module
  - monero_marketplace.incident.attributes.actiongroup_incident
"""

EXAMPLES = r"""
- name: See who is acting on the host
  monero_marketplace.incident.incident_info:
    source: host
  register: host

- name: See the host's open incident
  monero_marketplace.incident.incident_info:
    source: desk
    desk_dir: /srv/incident_desk
    host: "{{ inventory_hostname }}"
  delegate_to: desk-1
  register: desk
"""

RETURN = r"""
lease:
  description: The lease as written, with C(in_force). V(null) without one.
  returned: O(source=host)
  type: dict
  contains:
    in_force:
      description: Whether it still binds.
      type: bool
    responder:
      description: Who acts.
      type: str
    controller:
      description: The machine their run was started on.
      type: str
    run_id:
      description: Their run.
      type: str
    pid:
      description: Its process id on the controller.
      type: int
    pid_started:
      description: What tells this process from a later one with the same id.
      type: str
    since:
      description: When they took it, in UTC.
      type: str
    until:
      description: When it ends unless extended, in UTC.
      type: str
holds:
  description: All holds, each with C(name), C(reason), C(by), C(since), C(playbooks) (empty means all) and C(readable).
  returned: O(source=host)
  type: list
  elements: dict
freezes:
  description: All payout freezes. One that cannot be read counts, and freezes every service.
  returned: O(source=host)
  type: list
  elements: dict
  version_added: 0.3.0
  contains:
    name:
      description: Its name.
      type: str
    reason:
      description: Why, in one sentence.
      type: str
    by:
      description: Who placed it.
      type: str
    run_id:
      description: Their run.
      type: str
    since:
      description: When, in UTC.
      type: str
    services:
      description: The services that nobody may start. Empty means all.
      type: list
      elements: str
    wallet_services:
      description: The services of the wallet RPCs that it cuts off.
      type: list
      elements: str
    wallet_ports:
      description: The ports of the wallet RPCs that it cuts off.
      type: list
      elements: int
    published_ports:
      description: The ports of the host that lead there, cut off too.
      type: list
      elements: int
    wallets:
      description: The wallets that were touched, each with C(role) and C(wallet), whose exchange it waits for.
      type: list
      elements: dict
    policies:
      description: The restart policies before, by container.
      type: dict
    whole:
      description:
        - Whether cut and restart policies are in force too. V(false) while it is being placed or lifted, and where that was broken off.
        - V(null) where nobody noted it, as in a file that was written by hand.
      type: bool
    readable:
      description: Whether its file can be read.
      type: bool
frozen:
  description: Each frozen service with the sentence that says by whom, since when, why, and what ends it. V(*) stands for every service.
  returned: O(source=host)
  type: dict
  version_added: 0.3.0
attempts:
  description:
    - The repairs tried within the last day, each with C(action), C(at) (seconds since 1970), C(run_id) and C(responder).
    - V(null) when their file cannot be understood.
  returned: O(source=host)
  type: list
  elements: dict
token:
  description: The last fencing token given out. V(null) when its file cannot be understood.
  returned: O(source=host)
  type: int
problems:
  description: What could not be understood, one sentence each.
  returned: O(source=host)
  type: list
  elements: str
pins:
  description: What the host remembers of its incidents, by desk and then by id, each with C(entries), C(head) and C(at).
  returned: O(source=host)
  type: dict
spool:
  description: What the desk did not take, and so waits on the host.
  returned: O(source=host)
  type: dict
  contains:
    count:
      description: How many entries wait.
      type: int
    entries:
      description:
        - The entries in their order, each with C(record), C(severity) and C(entry), for
          O(monero_marketplace.incident.incident_record#module:entries). At most 200 at a time.
      type: list
      elements: dict
    leftover:
      description: Whether something lies there that was delivered already.
      type: bool
    problems:
      description: What in it is not as it was written, one sentence each.
      type: list
      elements: str
clock:
  description: The host's clock, in seconds since 1970.
  returned: O(source=host)
  type: float
boot_id:
  description: Which start of the host this is.
  returned: O(source=host)
  type: str
incidents:
  description: The incidents on the desk, oldest first.
  returned: O(source=desk)
  type: list
  elements: dict
  contains:
    id:
      description: The id.
      type: str
      sample: INC-20261123-0213
    hosts:
      description: The hosts it is about.
      type: list
      elements: str
    status:
      description: One of V(open), V(monitoring), V(resolved), V(log), V(unknown).
      type: str
    severity:
      description: The severity.
      type: str
    title:
      description: The playbook that opened it.
      type: str
    opened:
      description: When, in UTC.
      type: str
    entries:
      description: The number of entries.
      type: int
    head:
      description: The hash of the last entry.
      type: str
    last:
      description:
        - The last entry, with C(seq), C(time), C(host), C(event), C(text), C(responder), C(run_id) and C(delivered), the time at
          which the desk got it, where that was later.
      type: dict
    last_outcome:
      description: How the last run that recorded an outcome ended (of O(host), where that is given).
      type: str
    interrupted:
      description: An intent without outcome, with C(run_id), C(responder), C(since) and C(text). V(null) without one.
      type: dict
    intact:
      description: Whether every entry is as it was written, and none is missing.
      type: bool
    broken_at:
      description: The first entry that is not, as C(entry) and C(why).
      type: dict
    torn:
      description: Whether a crash left an unfinished line. The next entry keeps it aside.
      type: bool
open_incident:
  description: The open incident of O(host), in the same form. V(null) without one.
  returned: O(source=desk)
  type: dict
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_desk as desk
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_host as host
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import (
    frozen_services,
    read_freezes,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_pins import read_pins
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_processes import boot_id
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_spool import waiting

ARGUMENTS = {
    "source": {"type": "str", "choices": ["host", "desk"], "required": True},
    "desk_dir": {"type": "path"},
    "host": {"type": "str"},
    "pins": {"type": "dict", "default": {}},
    "monitoring_seconds": {"type": "int", "default": 3600},
    "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
    "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
}
DAY = 86400


def of_host(places: host.Places, name: str) -> dict[str, Any]:
    lease, attempts, token, problems = host.read_lease(places), None, None, []
    # Looking goes on where acting would stop.
    try:
        attempts = host.recent(host.read_attempts(places), DAY)
    except IncidentError as problem:
        problems.append(str(problem))
    try:
        token = host.read_token(places)
    except IncidentError as problem:
        problems.append(str(problem))
    try:
        spool = waiting(places.spool)
    except OSError as problem:
        spool = {"count": 0, "entries": [], "leftover": False, "problems": [sentence_for(problem)]}
    freezes = read_freezes(places)
    return {
        "lease": None if lease is None else {**lease, "in_force": host.in_force(lease)},
        "holds": host.read_holds(places),
        "freezes": freezes,
        "frozen": frozen_services(freezes, name),
        "attempts": attempts,
        "token": token,
        "problems": problems,
        "pins": read_pins(places),
        "spool": spool,
        "clock": time.time(),
        "boot_id": boot_id(),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, required_if=[("source", "desk", ["desk_dir"])], supports_check_mode=True)
    wanted = module.params
    try:
        if wanted["source"] == "host":
            found = of_host(host.Places(state_dir=wanted["state_dir"], lease_dir=wanted["lease_dir"]), wanted["host"] or "")
        else:
            found = desk.look(wanted["desk_dir"], wanted["host"] or None, wanted["monitoring_seconds"], wanted["pins"])
    except IncidentError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    module.exit_json(**found)


if __name__ == "__main__":
    main()
