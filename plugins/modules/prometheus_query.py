#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: prometheus_query
short_description: Ask Prometheus several things at once and believe only what it says
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Sends queries side by side and returns samples and series whose shape was checked.
  - A Prometheus that is silent does not fail the module; RV(answered) and RV(problem) say so. An empty result stays empty and is not zero.
  - Unlike M(ansible.builtin.uri) it also works in check mode.
  - An instant query over a range, such as V(probe_success[30m]), gives the raw samples with their own times. A range query repeats the
    last sample for up to five minutes, and so hides that Prometheus itself was down.
extends_documentation_fragment:
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.info_module
  - monero_marketplace.incident.attributes.actiongroup_incident
options:
  url:
    description: The address of Prometheus as seen from the host.
    type: str
    required: true
  queries:
    description: What to ask.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The key in RV(results).
        type: str
        required: true
      query:
        description: An expression in PromQL.
        type: str
        required: true
      start:
        description: Beginning of a range query, in seconds since 1970. Without it the query is instant.
        type: float
      end:
        description: End of a range query. The default is now.
        type: float
      step:
        description: Seconds between two points of a range query.
        type: float
        default: 15.0
  timeout:
    description: Seconds for the answer to a query.
    type: float
    default: 5.0
  validate_certs:
    description: Whether the certificate must be valid.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Ask for requests, errors and the probe of the site
  monero_marketplace.incident.prometheus_query:
    url: http://127.0.0.1:9090
    queries:
      - name: requests
        query: sum(increase(http_requests_total[60s]))
      - name: errors
        query: sum(increase(http_requests_total{status=~"5.."}[60s]))
      - name: probe
        query: probe_success{job="site"}[30m]
  register: told
"""

RETURN = r"""
answered:
  description: Whether Prometheus answered at all.
  returned: success
  type: bool
problem:
  description: Why the first of the queries that went wrong did, as a sentence. Null where all went well.
  returned: success
  type: str
clock:
  description: When it was asked by the host's clock, in seconds since 1970.
  returned: success
  type: float
results:
  description:
    - For each query C(samples) (each with C(labels), C(value) and C(time)), C(series) (each with C(labels) and C(points), pairs of time and
      value) and C(problem).
    - Values are numbers, or the texts V(NaN), V(+Inf) and V(-Inf).
  returned: success
  type: dict
"""

import ssl
import time
from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _http_probe, _prometheus
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import ask_all


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "queries": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "query": {"type": "str", "required": True},
                    "start": {"type": "float"},
                    "end": {"type": "float"},
                    "step": {"type": "float", "default": 15.0},
                },
            },
            "timeout": {"type": "float", "default": 5.0},
            "validate_certs": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        _http_probe.check_url(options["url"])
    except _http_probe.BadUrl as problem:
        module.fail_json(msg=str(problem))
    now = time.time()
    context = ssl.create_default_context()
    if not options["validate_certs"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    questions = {
        query["name"]: partial(
            _prometheus.ask,
            options["url"],
            {**query, "end": now if query["end"] is None else query["end"]},
            options["timeout"],
            context,
        )
        for query in options["queries"]
    }
    if len(questions) != len(options["queries"]):
        module.fail_json(msg="Two queries have the same name, so one answer would replace the other: give each its own 'name'.")
    answers = ask_all(questions, 2 * options["timeout"] + 1)
    silent = {"samples": [], "series": [], "answered": False, "problem": "no answer in time"}
    results = {name: answers.get(name, silent) for name in questions}
    first = next(
        (f"Prometheus at {options['url']}, {name}: {one['problem']}" for name, one in results.items() if one["problem"]), None
    )
    module.exit_json(
        changed=False,
        answered=any(one["answered"] for one in results.values()),
        problem=first,
        clock=now,
        results={name: {key: one[key] for key in ("samples", "series", "problem")} for name, one in results.items()},
    )


if __name__ == "__main__":
    main()
