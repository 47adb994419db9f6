#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: process_end
short_description: Ask one process to end, by its pid and the time it was started
version_added: 0.4.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Sends SIGTERM, once, to the one process that O(pid) and O(start_ticks) name together, and waits until it is gone. Never SIGKILL.
  - A process that ended, or whose pid is another's by now, is left alone, and that is no failure.
  - Refused are this run itself, threads of the kernel, what a container lives by, and a process that does not have O(holding) open any more.
  - Whom an interrupted call has asked is not asked again, only waited for.
requirements:
  - Linux 5.3 or newer
extends_documentation_fragment:
  - monero_marketplace.incident.guarded
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  pid:
    description: Its number on the host.
    type: int
    required: true
  start_ticks:
    description: When it was started, in clock ticks since boot, as RV(monero_marketplace.incident.sqlite_info#module:sqlite.holders) tells it.
    type: int
    required: true
  holding:
    description: A file that it must have open, itself or as C(-wal), C(-shm) or C(-journal). Empty means that this does not matter.
    type: path
    default: ""
  timeout:
    description: Seconds it may take to end.
    type: float
    default: 30.0
  state_dir:
    description: Where it is noted whom an interrupted call has asked.
    type: path
    default: /var/lib/marketplace_incident
seealso:
  - module: monero_marketplace.incident.sqlite_info
  - module: monero_marketplace.incident.container_stop
"""

EXAMPLES = r"""
- name: End whoever keeps the database locked
  monero_marketplace.incident.process_end:
    pid: 4121
    start_ticks: 8812345
    holding: /data/marketplace.db
    token: "{{ guard.token }}"
"""

RETURN = r"""
process:
  description: What became of it.
  returned: success
  type: dict
  contains:
    pid:
      description: As given.
      type: int
    command:
      description: Its command line. Null where it was gone already.
      type: str
    ended:
      description: Whether it is gone. False in check mode where it is not.
      type: bool
    seconds:
      description: How long it took to end. Null where it was gone already, and in check mode.
      type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _process_end
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting, renew


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "pid": {"type": "int", "required": True},
            "start_ticks": {"type": "int", "required": True},
            "holding": {"type": "path", "default": ""},
            "timeout": {"type": "float", "default": 30.0},
            "token": {"type": "str", "default": "", "no_log": False},
            "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    options = module.params
    if options["pid"] < 2:
        module.fail_json(msg=f"'pid' is {options['pid']}: it needs the number of one process other than the first.")
    wanted = _process_end.Wanted(
        options["pid"], options["start_ticks"], options["holding"], options["timeout"], options["state_dir"]
    )

    def keep_lease() -> bool:
        return not options["token"] or renew(options["lease_dir"], options["token"])

    try:
        if module.check_mode:
            found = _process_end.end(wanted, module.log, keep_lease, dry=True)
        else:
            with acting(options["lease_dir"], options["token"] or None, "process_end"):
                found = _process_end.end(wanted, module.log, keep_lease)
    except (_process_end.NotEnded, IncidentError) as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    changed = found.pop("changed")
    module.exit_json(changed=changed, process=found)


if __name__ == "__main__":
    main()
