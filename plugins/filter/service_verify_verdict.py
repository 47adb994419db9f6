# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: service_verify_verdict
short_description: Judge whether a service is proven to be back
version_added: 0.1.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - Takes what M(monero_marketplace.incident.http_probe) and M(monero_marketplace.incident.prometheus_query) found after a repair.
  - What could not be measured is said to be unproven; it is neither good nor zero.
  - The queries named C(requests) and C(errors) must count only what came after the repair. A query named C(probe), such as
    V(probe_success[30m]), tells since when customers were hit.
  - The escrow flow is judged by the site's own test where that was run, else by its wallets. Each answers, those of one escrow have one
    address, and no two of them, nor any other than the pinned one, hold the keys.
positional: prometheus
options:
  _input:
    description: The result of M(monero_marketplace.incident.http_probe).
    type: dict
    required: true
  prometheus:
    description: The result of M(monero_marketplace.incident.prometheus_query), or nothing where the site has no Prometheus.
    type: dict
  error_ratio_limit:
    description: The share of errors above which the service counts as failed.
    type: float
    default: 0.05
  minimum_requests:
    description: With fewer requests than this the share of errors is not measurable yet.
    type: int
    default: 20
  require_error_ratio:
    description: Whether a share of errors that could not be measured counts as failed instead of unproven.
    type: bool
    default: false
  since:
    description: From when on the queries count, in seconds since 1970, for the sentence about them.
    type: float
  outage_since:
    description: A stretch of bad samples that was over before this time belongs to an earlier incident.
    type: float
  escrow_asked:
    description: Whether wallets were asked at all. Where they were not, they do not keep a verdict from being V(proven).
    type: bool
    default: false
    version_added: 0.3.0
  escrow_tested:
    description: The result of M(monero_marketplace.incident.escrow_test), or nothing where it was not called.
    type: dict
    version_added: 0.3.0
  monero:
    description: RV(monero_marketplace.incident.monero_info#module:monero), or nothing.
    type: dict
    version_added: 0.3.0
  wallets:
    description: C(marketplace_wallets), for the C(signer) that is pinned for each C(role).
    type: list
    elements: dict
    default: []
    version_added: 0.3.0
  escrow_decides:
    description: Whether an escrow flow that is seen to fail makes the verdict V(failed).
    type: bool
    default: true
    version_added: 0.3.0
  require_escrow:
    description: Whether an escrow flow that is not proven counts as failed too.
    type: bool
    default: false
    version_added: 0.3.0
seealso:
  - module: monero_marketplace.incident.http_probe
  - module: monero_marketplace.incident.prometheus_query
  - module: monero_marketplace.incident.escrow_test
  - module: monero_marketplace.incident.monero_info
"""

EXAMPLES = r"""
- name: Judge
  ansible.builtin.set_fact:
    verdict: "{{ shop | monero_marketplace.incident.service_verify_verdict(told, error_ratio_limit=0.01) }}"
"""

RETURN = r"""
_value:
  description:
    - C(verdict) is V(failed) (something is seen to be wrong), V(proven) (everything is seen to be right) or V(unproven).
    - C(sentences), what there is to say about the endpoint, the wallets and the share of errors.
    - C(endpoint) with C(good) and C(first_good).
    - C(error_ratio) with C(state) (V(ok), V(too_high), V(not_measurable) or V(unknown)), C(value), C(requests) and C(errors).
    - C(escrow) with C(state) (V(failed), V(proven) or V(unproven)), C(sentence), C(wallets) with how many of them are C(ready), and C(test).
    - C(next), the playbook that mends what failed; empty where it is the outage's.
    - C(down), as P(monero_marketplace.incident.service_verify_outage_window#filter) finds it from the query C(probe).
  type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _escrow_proof, _prometheus_proof


def service_verify_verdict(
    probe: dict[str, Any],
    prometheus: dict[str, Any] | None = None,
    error_ratio_limit: float = 0.05,
    minimum_requests: int = 20,
    require_error_ratio: bool = False,
    since: float | None = None,
    outage_since: float | None = None,
    escrow_asked: bool = False,
    escrow_tested: dict[str, Any] | None = None,
    monero: dict[str, Any] | None = None,
    wallets: list[dict[str, Any]] | None = None,
    escrow_decides: bool = True,
    require_escrow: bool = False,
) -> dict[str, Any]:
    if not isinstance(probe, dict) or not isinstance(probe.get("endpoints"), list):
        raise AnsibleFilterError("service_verify_verdict needs the result of monero_marketplace.incident.http_probe.")
    told = prometheus if prometheus and not prometheus.get("skipped") else None
    return _prometheus_proof.verdict(
        probe["endpoints"],
        told,
        error_ratio_limit=float(error_ratio_limit),
        minimum_requests=int(minimum_requests),
        require_error_ratio=require_error_ratio,
        since=float(since) if since else None,
        outage_since=float(outage_since) if outage_since else None,
        escrow=_escrow_proof.escrow(escrow_tested, monero, wallets or []) if escrow_asked else None,
        escrow_decides=escrow_decides,
        require_escrow=require_escrow,
    )


class FilterModule:
    """Whether a service is proven to be back."""

    def filters(self) -> dict[str, Any]:
        return {"service_verify_verdict": service_verify_verdict}
