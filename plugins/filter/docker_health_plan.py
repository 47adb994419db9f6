# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: docker_health_plan
short_description: Decide what to do about what compose_info found
version_added: 0.1.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - A pure function of RV(monero_marketplace.incident.compose_info#module:compose), the site's names, and what this run has done so far.
  - Causes come root first. A service whose failure is only the consequence of another is left alone until that one is mended.
  - Only services that are not healthy appear in steps.
  - What a restart cannot mend (a crash loop, a missing image, a daemon that hangs, a second failure after a fresh start) is escalated.
options:
  _input:
    description: The C(compose) that M(monero_marketplace.incident.compose_info) returned.
    type: dict
    required: true
  server_service:
    description: The service of the application.
    type: str
    required: true
  database_service:
    description: The service of the database. Empty where there is none.
    type: str
    default: ''
  proxy_service:
    description: The service in front of the application. Empty where there is none.
    type: str
    default: ''
  health_url:
    description: The endpoint of O(server_service).
    type: str
    default: ''
  public_url:
    description: The endpoint of O(proxy_service).
    type: str
    default: ''
  disk_critical:
    description: Per cent of blocks or inodes from which on a disk counts as full.
    type: float
    default: 90
  log_minimum_bytes:
    description: Size from which on a container's log counts as oversized.
    type: int
    default: 52428800
  release_dir:
    description: Where archived images may be, for the sentence about a missing one.
    type: str
    default: ''
  careful_services:
    description: Services that are not restarted without a confirmation, such as wallets.
    type: list
    elements: str
    default: []
  wallets:
    description: The wallet RPCs, each with its C(service) and, where it is not the container's address, its C(url).
    type: list
    elements: dict
    default: []
  wallet_port:
    description: Port of the wallet RPCs on the Compose network.
    type: int
    default: 18082
  daemon_service:
    description: The service of the Monero daemon. Empty where there is none.
    type: str
    default: ''
  confirm:
    description: Confirmations as a list or with commas, such as V(unpause:server).
    type: raw
    default: []
  frozen:
    description:
      - Services that are left as they are, each with the sentence that says why, as C(frozen) of
        M(monero_marketplace.incident.incident_info) has them. V(*) stands for every service.
    type: dict
    default: {}
    version_added: 0.3.0
  tried:
    description: The keys of the steps this run has already taken. A service is not started or restarted twice.
    type: list
    elements: str
    default: []
  acted_at:
    description: When the last step of this run was taken, by the host's clock in seconds since 1970. Earlier health verdicts do not count.
    type: float
  patience_over:
    description: Whether what is still on its way counts as failed.
    type: bool
    default: false
seealso:
  - module: monero_marketplace.incident.compose_info
  - plugin: monero_marketplace.incident.docker_health_changes
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.set_fact:
    plan: "{{ seen.compose | monero_marketplace.incident.docker_health_plan(server_service='server', proxy_service='nginx') }}"
"""

RETURN = r"""
_value:
  description:
    - C(causes), each with C(cause), C(service), C(sentence), C(evidence) and C(consequence_of).
    - C(steps) in their order, each with C(do), C(services), C(containers), C(key), C(sentence), C(reason) and C(details) (what
      the step has to know of each finding). C(do) is the name of a task file of role C(docker_health), such as V(start).
    - C(start_docker) and C(free_disk) as booleans; C(unpause), C(resume), C(start), C(create) and C(restart) as lists of services.
    - C(confirm), each with C(what), C(service), C(given) and C(why).
    - C(escalate), each with C(cause), C(service), C(sentence), the last lines of its C(log) and whether it is C(frozen).
    - C(waiting), each with C(service) and C(for); C(hopeless), the services that waiting does not bring back; C(healthy) services.
    - C(settled), whether all expected services are up, all endpoints answer well and nothing is left to a person.
    - C(serving), whether all endpoints answer well, whatever else is wrong.
    - C(decided), false while only waiting shows what is to be done; C(start_period), how many seconds beyond any deadline are planned for
      that.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _diagnosis
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import Site


def docker_health_plan(
    compose: dict[str, Any],
    server_service: str,
    database_service: str = "",
    proxy_service: str = "",
    health_url: str = "",
    public_url: str = "",
    disk_critical: float = 90,
    log_minimum_bytes: int = 50 * 1024 * 1024,
    release_dir: str = "",
    careful_services: list[str] | None = None,
    wallets: list[dict[str, Any]] | None = None,
    wallet_port: int = 18082,
    daemon_service: str = "",
    confirm: str | list[str] | None = None,
    frozen: dict[str, str] | None = None,
    tried: list[str] | None = None,
    acted_at: float | None = None,
    patience_over: bool = False,
) -> dict[str, Any]:
    if not isinstance(compose, dict) or "services" not in compose:
        raise AnsibleFilterError(
            "docker_health_plan needs the 'compose' that monero_marketplace.incident.compose_info returned."
        )
    given = confirm.split(",") if isinstance(confirm, str) else list(confirm or [])
    site = Site(
        server_service=server_service,
        database_service=database_service,
        proxy_service=proxy_service,
        health_url=health_url,
        public_url=public_url,
        disk_critical=float(disk_critical),
        log_minimum_bytes=int(log_minimum_bytes),
        release_dir=release_dir,
        careful=frozenset(careful_services or []),
        wallets=tuple(dict(one) for one in wallets or []),
        wallet_port=int(wallet_port),
        daemon_service=daemon_service,
        confirm=frozenset(one.strip() for one in given),
        frozen={str(name): str(why) for name, why in (frozen or {}).items()},
        tried=_diagnosis.tried_from(list(tried or [])),
        patience_over=patience_over,
        acted_at=None if acted_at is None else float(acted_at),
    )
    return _diagnosis.plan(compose, site)


class FilterModule:
    """What to do about what was found."""

    def filters(self) -> dict[str, Any]:
        return {"docker_health_plan": docker_health_plan}
