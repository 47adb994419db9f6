#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_info
short_description: See the whole state of a Compose project in one call
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Looks at the Docker daemon, disks and inodes, every service of a Compose project, its health endpoints, the kernel's word on
    memory and the last log lines of the services that are sick.
  - Every question is bounded in time and all are asked side by side, so a daemon that hangs is a finding and not a hanging task.
  - Reads only. A daemon that is down stays down, although the mere question to its socket would start it.
  - What could not be found out is null, never zero or V(ok). Secrets of the Compose file never leave the module.
requirements:
  - Docker Engine 20.10 or newer with its command line
  - Docker Compose 2.18 or newer
extends_documentation_fragment:
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.info_module
  - monero_marketplace.incident.attributes.actiongroup_incident
options:
  project_dir:
    description: The folder of the Compose file.
    type: path
    required: true
  services:
    description: Names of services that the caller relies on. A name the project does not have fails with the list of those it has.
    type: list
    elements: str
    default: []
  probe_urls:
    description: Health endpoints to ask once, as seen from the host.
    type: list
    elements: str
    default: []
  probe_timeout:
    description: Seconds for the answer of an endpoint as a whole.
    type: float
    default: 3.0
  validate_certs:
    description: Whether the endpoints' certificates must be valid.
    type: bool
    default: true
  disk_paths:
    description: Folders whose file systems are measured. That of the engine always is.
    type: list
    elements: path
    default: []
  log_lines:
    description: How many last log lines of each sick service to return.
    type: int
    default: 15
  docker_timeout:
    description: Seconds for an answer of the daemon before it counts as not responding.
    type: float
    default: 3.0
  state_dir:
    description: Where M(monero_marketplace.incident.container_log) notes a container it has paused itself.
    type: path
    default: /var/lib/marketplace_incident
  database_path:
    description: The site's SQLite database on the host, with its sidecars beside it. Its user must be able to write to it.
    type: path
    default: ""
  certificate_path:
    description: The PEM file of the certificate that the site serves. It is read only where an endpoint's certificate is refused.
    type: path
    default: ''
  log_services:
    description: Services whose last log lines are returned even where they are well.
    type: list
    elements: str
    default: []
    version_added: 0.4.0
  counted:
    description: Texts of which it is counted how many log lines of each of O(log_services) have them.
    type: list
    elements: str
    default: []
    version_added: 0.4.0
  counted_seconds:
    description: Of how many seconds the lines are counted. More than the last 20000 lines are never read.
    type: int
    default: 900
    version_added: 0.4.0
"""

EXAMPLES = r"""
- name: Look at the marketplace
  monero_marketplace.incident.compose_info:
    project_dir: /opt/marketplace/4.5/docker
    services: [server, nginx]
    probe_urls: [http://127.0.0.1:8080/api/health]
    disk_paths: [/data, /backups]
  register: seen

- name: Show what would be done about it
  ansible.builtin.debug:
    msg: "{{ (seen.compose | monero_marketplace.incident.docker_health_plan(server_service='server')).steps }}"
"""

RETURN = r"""
waiting:
  description: The services that are not up, in one line, for whoever watches them come up. Empty when all are.
  returned: success
  type: str
  sample: "server: starting; nginx: exited"
compose:
  description: What was found.
  returned: success
  type: dict
  contains:
    taken_at:
      description: When, in UTC.
      type: str
      sample: "2026-11-24T11:00:00Z"
    clock:
      description: The same by the host's clock, in seconds since 1970.
      type: float
    boot_id:
      description: Changes with each boot of the host.
      type: str
    daemon:
      description:
        - C(state) is V(running), V(stopped) or V(not_responding); C(detail) says how that is known.
        - Also C(version), C(compose_version), C(root_dir), C(live_restore), C(live_containers) (how many live on while the
          daemon is stopped), and C(unit) with the states of systemd's C(docker) and C(socket).
      type: dict
    engine:
      description:
        - What carries the containers; C(booted_at), when the host came up. Empty where the host did not say in time.
        - C(process) of a daemon that does not answer, with its C(pid), its C(state) in /proc (V(T) is halted by a signal), C(started) and
          the C(result) that systemd knows of it.
        - C(living), the containers whose main process is alive by the engine's own files, while the daemon does not answer, its firewall
          rules are gone, or it keeps ports for no container; each with C(service), C(project), C(container_id), C(name), C(pid),
          C(address), C(user), C(stop_timeout) and C(paused).
        - C(interrupted_stop) with the number C(of) containers that an interrupted M(monero_marketplace.incident.container_stop) was to end.
        - C(settings_problem), why the daemon could not start with the settings in its file; looked at together with C(living).
        - C(firewall) with what is C(missing) of the rules that Docker makes; null where it makes none, or they cannot be read.
      type: dict
    disk:
      description:
        - One entry for the engine's folder (C(purpose=engine), always the first) and for each of O(disk_paths) (C(purpose=site)).
        - Each with C(path), C(mount), C(size_bytes), C(available_bytes), C(used_percent) and C(inodes_used_percent).
      type: list
      elements: dict
    reclaimable:
      description: C(build_cache_bytes) and C(dangling_images_bytes); null unless the engine's disk is over 80 per cent full.
      type: dict
    project:
      description:
        - C(name) as Compose resolves it, and C(directory).
        - C(problem) is null, or what is wrong with the project's files, with C(kind) (V(syntax), V(missing_variable), V(missing_file) or
          V(invalid)), C(sentence), C(file), C(line), C(column), C(variable) and C(services) that need it, each null or empty where it is
          not known. Where C(readable) is false Compose cannot read the project, and C(services) holds what its containers remember.
      type: dict
    services:
      description:
        - Every service of the Compose file, by name. Where a service has several containers the worst one speaks and C(containers) lists all.
        - C(state) is V(running), V(exited), V(restarting), V(paused), V(created), V(dead), V(missing), or null where the daemon did not say.
        - C(health) is V(healthy), V(unhealthy), V(starting), V(none) (no health check) or V(unknown).
        - C(out_of_memory) has C(claimed), true only with the kernel's line in C(evidence), and Docker's own C(flag), which proves nothing.
        - C(stopped_processes) lists C(pid) and C(command) of processes halted by a signal; C(paused_by_us) is true for a container that an
          interrupted log archive of this collection left paused; C(job) for a service that is meant to end.
        - Also C(container_id), C(container_name), C(image), C(image_id), C(image_present), C(pid), C(exit_code), C(error), C(started_at),
          C(finished_at), C(restart_count), C(restart_policy), C(memory_limit), C(depends_on), C(waits_for) (those of them that
          must be healthy or done first), C(wanted_containers), C(health_interval) and C(start_period) in seconds, C(probe_output),
          C(probe_ended), C(log), C(log_path) and C(log_bytes).
        - C(said) has how many lines of its log have each of O(counted); null where nobody asked, or the engine did not say.
      type: list
      elements: dict
    endpoints:
      description:
        - One entry for each of O(probe_urls), with C(url), C(status), C(seconds), C(error), C(detail), C(body) and C(time).
        - C(error) is null, V(refused), V(timeout), V(tls), V(reset), V(closed), V(unresolved), V(unreachable) or V(malformed).
      type: list
      elements: dict
    network:
      description:
        - What lies between the containers; null where the daemon did not say.
        - C(attachments) has each running container at each network its service wants, with C(attached), the C(names) by which others
          find it there, C(wanted_names), its C(address), the C(wanted_address) if one is set, and C(left_by_us), true for a container
          off its network where an earlier run was about to put it back.
        - C(nginx) has each nginx in a running container, with C(service), C(container_id), C(pid), C(options) and the C(workers).
        - C(holders) has who listens on a host port of a service that does not run, with C(service), C(port), C(protocol), C(address),
          C(pid), C(command), C(user), C(since), C(unit), C(container_id), the pid of its C(parent), C(proxy) for a proxy of the engine,
          its C(publisher), and C(kept_by_engine), true for a proxy that the running daemon has and no container of it.
        - C(names) has all networks of the engine and C(missing) those of the project that do not exist; null where that is not known.
        - C(subnets) is null unless networks and containers are missing, else C(needed), C(free) (counted up to that), C(networks),
          C(unused) networks of no Compose project, the oldest first, and C(unused_of_projects).
      type: dict
    storage:
      description:
        - What services store and may not.
        - C(crowded) has, for each disk with more than 80 per cent of its inodes in use, the folder in which most of them are, with C(mount),
          C(path), C(entries), C(complete) (false where there was no time to count all), and C(service) and C(inside) where it lies in a
          container.
        - C(deleted) has the large deleted files that are held open on disks over 80 per cent full, with C(mount), C(path), C(bytes),
          C(pid), C(fd), C(command), C(container_id), C(service), and C(appends), true where it is only written at its end, as a log.
        - C(read_only) has each disk that services should write to and cannot, with C(mount), C(source), C(kind), the C(services), the
          files of the C(database) on it, and C(why) as the kernel says it.
        - C(closed) has the files that the user of a sick site's service may not use, by service, each with C(path), C(found), C(wanted),
          C(owner), C(group), C(mode), C(needed), false where it is not known that the service needs it, and C(others), services of
          another user that write there too.
        - C(stale) has, by service, the folders that its container may not write to only because they were read-only when it was started.
        - C(users) has the services that write to each disk over 80 per cent full.
        - C(mended) has when earlier runs of the last hour began to mend disks (C(service) is null) or files of a service, in C(at).
      type: dict
    certificates:
      description:
        - Null unless the certificate of an endpoint is refused. C(served) has what each of those addresses serves, and C(file) what
          O(certificate_path) holds, both with C(not_before) and C(not_after) in seconds since 1970 and C(sha256), or null.
      type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_engine, _http_probe
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_collect import Look, look, not_up


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "project_dir": {"type": "path", "required": True},
            "services": {"type": "list", "elements": "str", "default": []},
            "probe_urls": {"type": "list", "elements": "str", "default": []},
            "probe_timeout": {"type": "float", "default": 3.0},
            "validate_certs": {"type": "bool", "default": True},
            "disk_paths": {"type": "list", "elements": "path", "default": []},
            "log_lines": {"type": "int", "default": 15},
            "docker_timeout": {"type": "float", "default": 3.0},
            "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
            "database_path": {"type": "path", "default": ""},
            "certificate_path": {"type": "path", "default": ""},
            "log_services": {"type": "list", "elements": "str", "default": []},
            "counted": {"type": "list", "elements": "str", "default": []},
            "counted_seconds": {"type": "int", "default": 900},
        },
        supports_check_mode=True,
    )
    options = dict(module.params)
    for name in ("probe_timeout", "log_lines", "docker_timeout", "counted_seconds"):
        if options[name] <= 0:
            module.fail_json(msg=f"'{name}' is {options[name]}: it needs a number above 0.")
    try:
        for url in options["probe_urls"]:
            _http_probe.check_url(url)
        compose = look(Look(**options))
    except (_compose_engine.CannotLook, _http_probe.BadUrl) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=False, compose=compose, waiting=not_up(compose))


if __name__ == "__main__":
    main()
