#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: container_stop
short_description: End containers cleanly, also while no Docker daemon answers
version_added: 0.2.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Ends the containers of a Compose project one group after the other. The next group is told only when all of the one before have ended.
  - Each main process gets the container's own stop signal and the time it needs. None is ever killed; one that does not end in its time
    ends the module, with the rest still at work.
  - Where no daemon answers (killed while containers live), the containers and their processes are read from the engine's own files, and
    the signal goes to the process itself, after its start time and its control group have shown that it still is the container's.
  - Where a daemon answers, the signal goes through it, so that it does not start again what has ended.
  - Each signal and each end is a line in the host's own journal.
requirements:
  - Docker Engine 20.10 or newer with its command line
  - Docker Compose 2.18 or newer
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
      - What lives and would end is in RV(stopped).
  idempotent:
    support: full
    details:
      - Killed in the middle, the next call waits for those that were told already, and goes on with the others.
options:
  project_dir:
    description: The folder of the Compose file.
    type: path
    required: true
  order:
    description: Groups of services, those that need others first. A service that does not run is passed over.
    type: list
    elements: list
    required: true
  timeouts:
    description:
      - The least number of seconds that a service gets to end, by its name. The container's own stop time-out counts where it is longer.
      - Wallets store themselves at the end and need 60 at least, a Monero daemon 300.
    type: dict
    default: {}
  docker_timeout:
    description: Seconds for an answer of the daemon.
    type: float
    default: 3.0
  state_dir:
    description: Where the journal of who was told lies.
    type: path
    default: /var/lib/marketplace_incident
seealso:
  - module: monero_marketplace.incident.monero_wallet
  - module: monero_marketplace.incident.compose_info
"""

EXAMPLES = r"""
- name: Stop what lives on, before a dead Docker is started
  monero_marketplace.incident.container_stop:
    project_dir: /opt/marketplace/4.5/docker
    order:
      - [nginx]
      - [server]
      - [database, monero-wallet-rpc-buyer]
      - [monerod]
    timeouts: {monero-wallet-rpc-buyer: 60, monerod: 300}
    token: "{{ guard.token }}"
"""

RETURN = r"""
stopped:
  description: Who ended, in this order. In check mode who would be told to.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: Its service.
      type: str
    container_id:
      description: Its container.
      type: str
    pid:
      description: Its main process.
      type: int
    seconds:
      description: How long it took to end. Null in check mode.
      type: float
through:
  description: Who passes the signal on, V(daemon) or V(pid).
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _compose_engine,
    _compose_host,
    _container_stop,
    _engine_files,
    _look_project,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting, renew


def planned(options: dict[str, Any]) -> tuple[_container_stop.Plan, list[_engine_files.Living]]:
    _compose_engine.check_project_dir(options["project_dir"])
    daemon = _compose_engine.read_daemon(options["docker_timeout"])
    if daemon.state == "not_responding":
        raise _compose_engine.CannotLook(
            f"Docker neither answers nor is it down ({daemon.detail}), so nothing is stopped behind its back: "
            "`systemctl status docker` and `journalctl -u docker -n 50` show what it does."
        )
    root = daemon.root_dir or _compose_host.engine_root()
    # By the engine's notes, which are true with and without a daemon, where Compose cannot read its files.
    project, _problem = _look_project.read(
        lambda: _compose_engine.read_project(options["project_dir"]), None, options["project_dir"], root
    )
    plan = _container_stop.Plan(
        project=project.name,
        groups=[[str(name) for name in group] for group in options["order"]],
        timeouts={str(name): float(seconds) for name, seconds in options["timeouts"].items()},
        state_dir=options["state_dir"],
        through_daemon=daemon.running,
    )
    return plan, _engine_files.living(root)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "project_dir": {"type": "path", "required": True},
            "order": {"type": "list", "elements": "list", "required": True},
            "timeouts": {"type": "dict", "default": {}},
            "docker_timeout": {"type": "float", "default": 3.0},
            "token": {"type": "str", "default": "", "no_log": False},
            "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    options = module.params

    def keep_lease() -> bool:
        return not options["token"] or renew(options["lease_dir"], options["token"])

    stopped: list[dict[str, Any]] = []
    try:
        if module.check_mode:
            plan, alive = planned(options)
            stopped = [
                {"service": one.service, "container_id": one.container_id, "pid": one.pid, "seconds": None}
                for group in _container_stop.chosen(plan, alive)
                for one in group
            ]
        else:
            with acting(options["lease_dir"], options["token"] or None, "container_stop"):
                plan, alive = planned(options)
                stopped = _container_stop.stop(plan, alive, module.log, keep_lease)
    except (_compose_engine.CannotLook, _container_stop.NotStopped, IncidentError) as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    except ValueError:
        module.fail_json(msg=f"timeouts must be seconds by service, not {options['timeouts']}.")
    module.exit_json(changed=bool(stopped), stopped=stopped, through="daemon" if plan.through_daemon else "pid")


if __name__ == "__main__":
    main()
