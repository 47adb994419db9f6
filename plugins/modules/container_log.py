#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: container_log
short_description: Keep the logs of containers, or move oversized ones away
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - With O(state=kept), writes the log of each service's containers with the time of each line, and their settings without secrets, to
    O(keep_dir), before anything happens to them. A log of more than 64 MiB is kept since the container's last start.
  - With O(state=archived), copies each log of at least O(minimum_bytes) to O(keep_dir), proves the copy byte by byte, and empties the log.
    A running container is paused for the last part only. A pause that a killed run left behind is undone by the next call.
  - Bytes go through C(gzip), so the memory needed does not depend on the log. A copy for which there is no room is refused before it begins.
  - Never use O(state=archived) under a hold; the caller's guard sees to that.
requirements:
  - Docker Engine 20.10 or newer with its command line
  - Docker Compose 2.18 or newer
  - gzip, coreutils and diffutils
extends_documentation_fragment:
  - monero_marketplace.incident.guarded
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the size of each log before and after.
  idempotent:
    support: full
    details:
      - What was kept of the same container up to the same last line is not kept again.
options:
  state:
    description: What to do.
    type: str
    choices: [kept, archived]
    required: true
  project_dir:
    description: The folder of the Compose file.
    type: path
    required: true
  services:
    description: Whose logs. Empty means all services of the project.
    type: list
    elements: str
    default: []
  keep_dir:
    description: Where to. The folder is made with mode 0700, the files have mode 0600 and a file C(.sha256) beside them.
    type: path
    required: true
  minimum_bytes:
    description: The size from which on a log counts as oversized.
    type: int
    default: 52428800
  docker_timeout:
    description: Seconds for a short answer of the daemon. Copying may take much longer.
    type: float
    default: 3.0
  state_dir:
    description: Where the journal of a pause lies.
    type: path
    default: /var/lib/marketplace_incident
seealso:
  - module: monero_marketplace.incident.compose_info
  - module: monero_marketplace.incident.incident_guard
"""

EXAMPLES = r"""
- name: Keep the server's log before it is restarted
  monero_marketplace.incident.container_log:
    state: kept
    project_dir: /opt/marketplace/4.5/docker
    services: [server]
    keep_dir: /var/lib/marketplace_incident/kept
    token: "{{ guard.token }}"

- name: Move oversized logs to another disk
  monero_marketplace.incident.container_log:
    state: archived
    project_dir: /opt/marketplace/4.5/docker
    keep_dir: /backups/logs
    minimum_bytes: 104857600
    token: "{{ guard.token }}"
"""

RETURN = r"""
kept:
  description: The copies, also those that an earlier call has made.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: Whose log.
      type: str
    path:
      description: Where it is.
      type: str
    sha256:
      description: The checksum of the file. Null in check mode.
      type: str
    bytes:
      description: The size of the file. Null in check mode.
      type: int
    new:
      description: Whether this call made it.
      type: bool
    note:
      description: What the copy does not hold, if anything.
      type: str
freed_bytes:
  description: How many bytes of logs were cut.
  returned: success
  type: int
paused:
  description:
    - Which containers were paused, and for how many C(seconds).
    - C(leftover) is true for a pause of an earlier, interrupted call that was undone.
  returned: success
  type: list
  elements: dict
problems:
  description: Logs that could not be kept, one sentence each. With O(state=archived) such a log fails the module instead.
  returned: success
  type: list
  elements: str
"""

import signal
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _compose_engine,
    _compose_host,
    _container_log,
    _container_log_archive,
    _look_project,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting, renew

Containers = list[tuple[str, dict[str, Any]]]


def find(options: dict[str, Any]) -> Containers:
    """The containers in question; from the engine's own files where no daemon answers."""
    _compose_engine.check_project_dir(options["project_dir"])
    daemon = _compose_engine.read_daemon(options["docker_timeout"])
    if daemon.running:
        found = _compose_engine.read_containers(options["docker_timeout"])
    elif daemon.state == "stopped" and options["state"] == "archived":
        found = _container_log_archive.containers_on_disk(_compose_host.engine_root())
    else:
        found = None
    if found is None:
        raise _compose_engine.CannotLook(
            f"Docker does not answer ({daemon.detail}), so no log can be read: start it (`systemctl start docker`), then run again."
        )
    project, _problem = _look_project.read(
        lambda: _compose_engine.read_project(options["project_dir"]), found, options["project_dir"], _compose_host.engine_root()
    )
    for name in options["services"]:
        if name not in project.services:
            raise _compose_engine.CannotLook(
                f"The Compose project in {options['project_dir']} has no service '{name}'; it has {', '.join(sorted(project.services))}."
            )
    return _container_log.containers_of(project.name, options["services"], found)


def keep(options: dict[str, Any], containers: Containers, dry: bool) -> dict[str, Any]:
    kept, problems = [], []
    for service, container in containers:
        size = _compose_host.log_bytes(container.get("LogPath"))
        try:
            kept.append(
                _container_log.keep(
                    service, container, options["keep_dir"], timeout=options["docker_timeout"], log_bytes=size, dry=dry
                )
            )
        except _container_log.NotKept as problem:
            problems.append(f"The log of {service} was not kept: {problem}")
    return {"changed": any(one["new"] for one in kept), "kept": kept, "problems": problems, "freed_bytes": 0}


def archive(options: dict[str, Any], containers: Containers, dry: bool) -> dict[str, Any]:
    oversized = []
    for service, container in containers:
        size = _compose_host.log_bytes(container.get("LogPath"))
        if size is not None and size >= options["minimum_bytes"]:
            oversized.append((service, container, size))
    before = {service: human_bytes(size) for service, _container, size in oversized}
    after = {service: human_bytes(0) for service in before}
    result: dict[str, Any] = {
        "changed": bool(oversized),
        "kept": [],
        "paused": [],
        "problems": [],
        "diff": {"before": before, "after": after},
    }
    if dry:
        result["freed_bytes"] = sum(size for _service, _container, size in oversized)
        return result
    result["freed_bytes"] = 0
    result["changed"] = False
    for service, container, _size in sorted(oversized, key=lambda one: one[2]):
        # A large log takes its time; a lease that somebody else has by now ends the work between two logs.
        if options["token"] and not renew(options["lease_dir"], options["token"]):
            result["problems"].append(f"The log of {service} was not archived: the lease of this run is over.")
            break
        try:
            done = _container_log_archive.archive(
                service, container, options["keep_dir"], options["state_dir"], timeout=options["docker_timeout"]
            )
        except _container_log.NotKept as problem:
            result["problems"].append(f"The log of {service} was not archived: {problem}")
            continue
        result["kept"].append({**{key: done[key] for key in ("service", "path", "sha256", "bytes")}, "new": True, "note": None})
        result["freed_bytes"] += done["freed_bytes"]
        result["changed"] = True
        if done["paused_seconds"] is not None:
            result["paused"].append({"service": service, "seconds": done["paused_seconds"], "leftover": False})
    return result


def act(options: dict[str, Any]) -> dict[str, Any]:
    with acting(options["lease_dir"], options["token"] or None, "container_log"):
        leftovers = _container_log_archive.undo_leftovers(options["state_dir"], options["docker_timeout"])
        work = keep if options["state"] == "kept" else archive
        result = work(options, find(options), False)
    result["paused"] = leftovers + result.get("paused", [])
    result["changed"] = result["changed"] or bool(leftovers)
    return result


def leave(_number: int, _frame: object) -> None:
    """Ended by a signal, a container must not stay paused: leave through every finally."""
    raise SystemExit(143)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["kept", "archived"], "required": True},
            "project_dir": {"type": "path", "required": True},
            "services": {"type": "list", "elements": "str", "default": []},
            "keep_dir": {"type": "path", "required": True},
            "minimum_bytes": {"type": "int", "default": 50 * 1024 * 1024},
            "docker_timeout": {"type": "float", "default": 3.0},
            "token": {"type": "str", "default": "", "no_log": False},
            "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    options = module.params
    signal.signal(signal.SIGTERM, leave)
    try:
        if module.check_mode:
            work = keep if options["state"] == "kept" else archive
            result = {"paused": [], **work(options, find(options), True)}
        else:
            result = act(options)
    except (_compose_engine.CannotLook, _container_log.NotKept, IncidentError) as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    if not module._diff:
        result.pop("diff", None)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
