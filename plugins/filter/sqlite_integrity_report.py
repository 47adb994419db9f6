# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: sqlite_integrity_report
short_description: Say what was wrong with the database, what was done and what is left
version_added: 0.4.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - Turns two looks and the plans made of them into the findings that role C(incident) records and shows.
options:
  _input:
    description: The plan after the last look, from P(monero_marketplace.incident.sqlite_integrity_plan#filter).
    type: dict
    required: true
  first:
    description: The plan after the first look.
    type: dict
    required: true
  before:
    description: The facts of the first look, as the plan was made from them.
    type: dict
    required: true
  after:
    description: The facts of the last look.
    type: dict
    required: true
  kept:
    description: The logs that were kept, each with C(path) and C(sha256).
    type: list
    elements: dict
    default: []
  problems:
    description: One sentence for each step that failed.
    type: list
    elements: str
    default: []
  done:
    description: One sentence for each thing that was done and that no look can measure.
    type: list
    elements: str
    default: []
  given:
    description: The confirmations that were given, with commas.
    type: str
    default: ''
  backups:
    description: What M(monero_marketplace.incident.backup_info) returned of the database's backups. Empty where nobody looked.
    type: dict
    default: {}
  rpo_seconds:
    description: How old the newest good backup may be.
    type: float
    default: 3600
  health_url:
    description: The server's own health endpoint, whose body may tell how long a write took.
    type: str
    default: ''
  clock_ahead:
    description: By how many seconds the host's clock was ahead of the controller's.
    type: float
    default: 0
"""

EXAMPLES = r"""
- name: Report
  ansible.builtin.set_fact:
    findings: "{{ plan | monero_marketplace.incident.sqlite_integrity_report(first=plan, before=facts, after=facts) }}"
"""

RETURN = r"""
_value:
  description: >-
    C(settled), C(serving), C(causes), C(plan), C(confirm), C(escalate), C(did), C(untouched), C(kept), C(risk), C(proof), C(backup), C(next),
    C(log) and C(page), as entry point C(close) of role C(incident) takes them.
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_report


def sqlite_integrity_report(
    last: dict[str, Any],
    first: dict[str, Any],
    before: dict[str, Any],
    after: dict[str, Any],
    kept: list[dict[str, Any]] | None = None,
    problems: list[str] | None = None,
    done: list[str] | None = None,
    given: str = "",
    backups: dict[str, Any] | None = None,
    rpo_seconds: float = 3600,
    health_url: str = "",
    clock_ahead: float = 0,
) -> dict[str, Any]:
    return _database_report.report(
        first,
        last,
        before,
        after,
        kept or [],
        problems or [],
        done or [],
        [one.strip() for one in given.split(",")],
        backups,
        float(rpo_seconds),
        health_url,
        float(clock_ahead),
    )


class FilterModule:
    """What was wrong, what was done and what is left."""

    def filters(self) -> dict[str, Any]:
        return {"sqlite_integrity_report": sqlite_integrity_report}
