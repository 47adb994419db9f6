#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: container_pause
short_description: Hold still whoever has a database open
version_added: 0.4.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Pauses the containers of named services, and every other container in which a process has the database or one of its sidecars open, so
    that nothing writes to it while it is copied. A clean stop would write to it.
  - Who has it open is read from C(/proc), by the file itself and not by its name, so that a removed one is found too.
  - A process that has it open and is in no container is named, and left alone.
requirements:
  - Docker Engine 20.10 or newer with its command line
extends_documentation_fragment:
  - monero_marketplace.incident.guarded
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - Who would be paused is in RV(containers).
  idempotent:
    support: full
options:
  state:
    description:
      - V(paused) holds them still, V(running) lets them go on.
      - V(killed) ends them by SIGKILL, also while they are paused, so that they have no moment to write anything. Meant for a database that is
        damaged and has been kept.
    type: str
    choices: [paused, running, killed]
    required: true
  path:
    description: The database on the host.
    type: path
    required: true
  services:
    description: The services that work with the database, whether or not they have it open in this moment.
    type: list
    elements: str
    default: []
  project_dir:
    description: The folder of the Compose file.
    type: path
    required: true
  docker_timeout:
    description: Seconds for an answer of the daemon.
    type: float
    default: 3.0
seealso:
  - module: monero_marketplace.incident.container_stop
  - module: monero_marketplace.incident.payout_freeze
"""

EXAMPLES = r"""
- name: Hold the writers still
  monero_marketplace.incident.container_pause:
    state: paused
    path: /data/marketplace.db
    services: [server, database]
    project_dir: /opt/marketplace/4.5/docker
    token: "{{ guard.token }}"
  register: held
"""

RETURN = r"""
containers:
  description: The containers that were paused, let go on or killed by this call. In check mode those that would be.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: Its service.
      type: str
    container_id:
      description: Its id.
      type: str
    name:
      description: Its name.
      type: str
    pid:
      description: Its main process.
      type: int
beside:
  description: Services of the project that have the database open and are not in O(services), whether or not this call did anything to them.
  returned: success
  type: list
  elements: str
elsewhere:
  description: Containers of no service of the project that have the database open, by their names.
  returned: success
  type: list
  elements: str
strangers:
  description: Processes in no container that have the database open, each with C(pid), C(command), C(user) and C(files).
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _compose_engine,
    _compose_host,
    _container_pause,
    _look_project,
    _sqlite_holders,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting

ARGUMENTS = {
    "state": {"type": "str", "choices": ["paused", "running", "killed"], "required": True},
    "path": {"type": "path", "required": True},
    "services": {"type": "list", "elements": "str", "default": []},
    "project_dir": {"type": "path", "required": True},
    "docker_timeout": {"type": "float", "default": 3.0},
    "token": {"type": "str", "default": "", "no_log": False},
    "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
}


def wanted_of(options: dict[str, Any]) -> _container_pause.Wanted:
    daemon = _compose_engine.read_daemon(options["docker_timeout"])
    if not daemon.running:
        raise _compose_engine.CannotLook(
            f"Docker gives no answer ({daemon.detail}), so no container can be paused: start it (playbooks/outage.yml), then run the same "
            "command again."
        )
    root = daemon.root_dir or _compose_host.engine_root()
    project, _problem = _look_project.read(
        lambda: _compose_engine.read_project(options["project_dir"]), None, options["project_dir"], root
    )
    return _container_pause.Wanted(options["state"], project.name, tuple(options["services"]), root)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params

    def holders() -> list[dict[str, Any]]:
        return _sqlite_holders.holders(options["path"])

    try:
        wanted = wanted_of(options)
        if module.check_mode:
            found = _container_pause.look(wanted, holders)
            done = _container_pause.due(wanted, found.containers)
        else:
            with acting(options["lease_dir"], options["token"] or None, "container_pause"):
                done, found = _container_pause.carry_out(wanted, holders, module.log)
    except (_compose_engine.CannotLook, _container_pause.NotHeld, IncidentError) as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    services, names = _container_pause.beside(wanted, found)
    module.exit_json(
        changed=bool(done),
        containers=[
            {"service": one.service, "container_id": one.container_id, "name": one.name, "pid": one.pid} for one in done
        ],
        beside=services,
        elsewhere=names,
        strangers=[{key: one[key] for key in ("pid", "command", "user", "files")} for one in found.strangers],
    )


if __name__ == "__main__":
    main()
