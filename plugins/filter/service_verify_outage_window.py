# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: service_verify_outage_window
short_description: Find out since when customers were hit, and until when
version_added: 0.1.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - Finds the last stretch of bad samples in the series of a probe, such as C(probe_success) of the blackbox exporter.
  - Where samples are missing the window is not complete; where no bad sample was seen the beginning is unknown.
  - Feed it raw samples, as the instant query V(probe_success[30m]) gives them. A range query fills gaps with old samples.
positional: now
options:
  _input:
    description: The C(series) of a result of M(monero_marketplace.incident.prometheus_query), or a list of pairs of time and value.
    type: list
    required: true
  now:
    description: The host's time in seconds since 1970.
    type: float
    required: true
  since:
    description: A stretch that was over before this time belongs to an earlier incident and does not count.
    type: float
  step:
    description: Seconds between two samples. Found out from the samples where it is not given.
    type: float
seealso:
  - module: monero_marketplace.incident.prometheus_query
"""

EXAMPLES = r"""
- name: Since when were customers hit
  ansible.builtin.set_fact:
    window: "{{ told.results.probe.series | monero_marketplace.incident.service_verify_outage_window(told.clock) }}"
"""

RETURN = r"""
_value:
  description:
    - C(first_bad), the time of the first bad sample, or null where none was seen.
    - C(recovered), the time of the first good sample after it, or null where there is none yet.
    - C(down_seconds) between them, or up to now; null where unknown.
    - C(complete), whether samples lie without a gap around and within the stretch.
    - C(unseen), beginning and end of the longest gap in it, or in the whole time where no bad sample was seen; null without a gap.
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _prometheus_proof


def service_verify_outage_window(
    series: list[Any], now: float, since: float | None = None, step: float | None = None
) -> dict[str, Any]:
    if not isinstance(series, (list, tuple)):
        raise AnsibleFilterError(
            "service_verify_outage_window needs the series of a result of monero_marketplace.incident.prometheus_query."
        )
    several = list(series) if all(isinstance(one, dict) for one in series) else [series]
    try:
        return _prometheus_proof.outage_window(
            several, float(now), since=None if since is None else float(since), step=None if step is None else float(step)
        )
    except (KeyError, TypeError, ValueError) as wrong:
        raise AnsibleFilterError(f"service_verify_outage_window cannot read a point of the series: {wrong}") from wrong


class FilterModule:
    """When customers were hit."""

    def filters(self) -> dict[str, Any]:
        return {"service_verify_outage_window": service_verify_outage_window}
