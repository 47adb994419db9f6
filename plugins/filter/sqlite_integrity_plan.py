# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: sqlite_integrity_plan
short_description: Decide what to do about a database that does not work
version_added: 0.4.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - A pure function of what C(compose_info), C(sqlite_info) and C(prometheus_query) found, of the freezes on the host, and of what this run
    has done so far.
  - One cause for many symptoms. What is only sick because of a lock is left alone until the lock is gone; where the files are gone,
    damaged or closed nothing is restarted or ended at all.
  - A process is ended only with a confirmation. The server is restarted by itself only where no signing round is open.
  - Nothing is restored. Damage of a database that is in use is at most suspected.
options:
  _input:
    description:
      - The facts. C(compose) of M(monero_marketplace.incident.compose_info), C(sqlite) of M(monero_marketplace.incident.sqlite_info), the
        answer of M(monero_marketplace.incident.prometheus_query) as C(prometheus), with the queries C(pool_size), C(pool_in_use),
        C(pool_waiting), C(requests) and C(errors), and the C(freezes) of M(monero_marketplace.incident.incident_info).
      - C(at), when the last of them was seen. C(sqlite) has to have the answer to the query for open signing rounds as C(signing).
      - C(earlier), of the first look since the last step, with C(at), C(sqlite) and C(exhausted), by which what lasts is told from what passes.
    type: dict
    required: true
  path:
    description: The database.
    type: str
    default: /data/marketplace.db
  server_service:
    description: The service that works with it.
    type: str
    default: server
  database_service:
    description: The service of the database. Empty where there is none.
    type: str
    default: ''
  proxy_service:
    description: The service in front of the server. Empty where there is none.
    type: str
    default: ''
  health_url:
    description: The server's own health endpoint. Empty where there is none.
    type: str
    default: ''
  public_url:
    description: The endpoint by which customers come. Empty where there is none.
    type: str
    default: ''
  disk_critical:
    description: From this share (per cent) on a disk is full.
    type: float
    default: 90
  pool_error:
    description: What the server says when it gets no connection.
    type: str
    default: Failed to get DB connection
  saturation_limit:
    description: Above this share of connections that are taken the pool counts as saturated.
    type: float
    default: 0.8
  wal_limit:
    description: From this size on (bytes) a write-ahead log counts as grown.
    type: int
    default: 33554432
  error_ratio_limit:
    description: Above this share of failed requests they are named as a symptom.
    type: float
    default: 0.05
  counted_seconds:
    description: The seconds of the server's log in which lines were counted.
    type: int
    default: 900
  signing_query:
    description: The query for open signing rounds. Empty means that one may always be open.
    type: str
    default: ''
  confirm:
    description: Confirmations as a list or with commas, such as V(end_lock_holder:4121).
    type: raw
    default: []
  tried:
    description: The keys of the steps this run has already taken.
    type: list
    elements: str
    default: []
  patience_over:
    description: Whether what is still on its way counts as failed.
    type: bool
    default: false
  acted_at:
    description: When the last step was taken, by the host's clock.
    type: float
seealso:
  - module: monero_marketplace.incident.sqlite_info
  - plugin: monero_marketplace.incident.sqlite_integrity_report
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.set_fact:
    plan: "{{ {'compose': seen.compose, 'sqlite': looked.sqlite} | monero_marketplace.incident.sqlite_integrity_plan(database_service='database') }}"
"""

RETURN = r"""
_value:
  description:
    - C(causes), each with C(cause), C(service), C(sentence), C(evidence) and C(consequence_of).
    - C(steps) in their order, each with C(do), C(services), C(containers), C(key), C(sentence), C(reason) and C(details). C(do) is the name of a task
      file of role C(sqlite_integrity), such as V(end_lock_holder).
    - C(confirm), each with C(what), C(service), C(given) and C(why); C(escalate), each with C(cause), C(service), C(sentence) and C(log).
    - C(hand_over), the commands that go on where this plan ends; C(suspected), whether data may be lost or damaged.
    - C(waiting), each with C(service) and C(for); C(risks) and C(symptoms), sentences; C(exhausted), whether the pool is.
    - C(settled), whether nothing is wrong; C(serving), whether the server's health endpoint answers well.
    - C(decided), false while only waiting shows what is to be done; C(look_again), what is to be looked at meanwhile (V(holders), V(services));
      C(start_period), how many seconds beyond any deadline that may take.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_diagnosis
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_view import DatabaseSite, DatabaseView


def sqlite_integrity_plan(
    facts: dict[str, Any],
    path: str = "/data/marketplace.db",
    server_service: str = "server",
    database_service: str = "",
    proxy_service: str = "",
    health_url: str = "",
    public_url: str = "",
    disk_critical: float = 90,
    pool_error: str = "Failed to get DB connection",
    saturation_limit: float = 0.8,
    wal_limit: int = 32 * 1024 * 1024,
    error_ratio_limit: float = 0.05,
    counted_seconds: int = 900,
    signing_query: str = "",
    confirm: str | list[str] | None = None,
    tried: list[str] | None = None,
    patience_over: bool = False,
    acted_at: float | None = None,
) -> dict[str, Any]:
    if not isinstance(facts, dict) or "services" not in (facts.get("compose") or {}):
        raise AnsibleFilterError(
            "sqlite_integrity_plan needs facts with the 'compose' that monero_marketplace.incident.compose_info returned."
        )
    given = confirm.split(",") if isinstance(confirm, str) else list(confirm or [])
    site = DatabaseSite(
        path=path,
        server_service=server_service,
        database_service=database_service,
        proxy_service=proxy_service,
        health_url=health_url,
        public_url=public_url,
        disk_critical=float(disk_critical),
        pool_error=pool_error,
        saturation_limit=float(saturation_limit),
        wal_limit=int(wal_limit),
        error_ratio_limit=float(error_ratio_limit),
        counted_seconds=int(counted_seconds),
        no_signing_query=not signing_query,
        confirm=frozenset(one.strip() for one in given),
        tried=tuple(tried or []),
        patience_over=bool(patience_over),
        acted_at=None if acted_at is None else float(acted_at),
    )
    return _database_diagnosis.plan(DatabaseView(facts, site))


class FilterModule:
    """What to do about what was found."""

    def filters(self) -> dict[str, Any]:
        return {"sqlite_integrity_plan": sqlite_integrity_plan}
