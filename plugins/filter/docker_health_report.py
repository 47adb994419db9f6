# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: docker_health_report
short_description: Say what was wrong, what was done and what is left
version_added: 0.1.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - Turns plans and measured changes into the findings that role C(incident) records and shows.
options:
  _input:
    description: The plan after the last look, from P(monero_marketplace.incident.docker_health_plan#filter).
    type: dict
    required: true
  first:
    description: The plan after the first look.
    type: dict
    required: true
  changes:
    description: What changed between both looks, from P(monero_marketplace.incident.docker_health_changes#filter).
    type: dict
    required: true
  kept:
    description: The logs that were kept, each with C(service), C(path) and C(sha256).
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
  disk:
    description: The file systems of the last look.
    type: list
    elements: dict
    default: []
  disk_warning:
    description: Per cent in use from which a file system is named as a risk.
    type: float
    default: 80
  given:
    description: The confirmations that were given, with commas.
    type: str
    default: ''
  clock_ahead:
    description: By how many seconds the host's clock was ahead of the controller's, give or take the time that a look takes.
    type: float
    default: 0
"""

EXAMPLES = r"""
- name: Report
  ansible.builtin.set_fact:
    findings: "{{ plan | monero_marketplace.incident.docker_health_report(first=plan, changes=changes) }}"
"""

RETURN = r"""
_value:
  description: >-
    C(settled), C(serving), C(causes), C(plan), C(confirm), C(escalate), C(did), C(untouched), C(kept), C(risk), C(next), C(log) and C(page),
    as entry point C(close) of role C(incident) takes them.
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _health_report


def docker_health_report(
    last: dict[str, Any],
    first: dict[str, Any],
    changes: dict[str, Any],
    kept: list[dict[str, Any]] | None = None,
    problems: list[str] | None = None,
    done: list[str] | None = None,
    disk: list[dict[str, Any]] | None = None,
    disk_warning: float = 80,
    given: str = "",
    clock_ahead: float = 0,
) -> dict[str, Any]:
    return _health_report.report(
        first,
        last,
        changes,
        kept or [],
        problems or [],
        done or [],
        disk or [],
        float(disk_warning),
        [one.strip() for one in given.split(",")],
        float(clock_ahead),
    )


class FilterModule:
    """What was wrong, what was done and what is left."""

    def filters(self) -> dict[str, Any]:
        return {"docker_health_report": docker_health_report}
