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
    description: What to ask. May be empty with O(alerts).
    type: list
    elements: dict
    default: []
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
  alerts:
    description: Whether to ask for the alerts that are pending or firing, too.
    type: bool
    default: false
    version_added: 0.3.0
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

- name: Ask which alerts fire, since when, and how the height of the chain went in the last hour
  monero_marketplace.incident.prometheus_query:
    url: http://127.0.0.1:9090
    alerts: true
    queries:
      - name: height
        query: max(monero_daemon_height)
        start: "{{ now().timestamp() - 3600 }}"
        step: 60
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
alerts:
  description:
    - The pending and firing alerts, the gravest first, each with C(name), C(state) (V(pending) or V(firing)), C(severity) as its label
      says, C(labels), and C(since).
    - C(since) is when what the alert is about began to hold, in seconds since 1970. It was pending from then on, and fires since its
      rule's C(for) after it. Null where Prometheus does not say.
    - Null where it was not asked for, or not told; none is an empty list.
  returned: success
  type: list
  elements: dict
  version_added: 0.3.0
results:
  description:
    - For each query C(samples) (each with C(labels), C(value) and C(time)), C(series) (each with C(labels) and C(points), pairs of time and
      value) and C(problem).
    - Values are numbers, or the texts V(NaN), V(+Inf) and V(-Inf).
  returned: success
  type: dict
"""

import time
from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _http_probe, _prometheus
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import ask_all

ALERTS = ("ALERTS", "ALERTS_FOR_STATE")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "queries": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "query": {"type": "str", "required": True},
                    "start": {"type": "float"},
                    "end": {"type": "float"},
                    "step": {"type": "float", "default": 15.0},
                },
            },
            "alerts": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 5.0},
            "validate_certs": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    if options["timeout"] <= 0:
        module.fail_json(msg=f"'timeout' is {options['timeout']}: it needs a number above 0.")
    if any(query["name"] != query["name"].strip() for query in options["queries"]):
        module.fail_json(msg="The 'name' of a query has blanks around it: leave them out.")
    try:
        _http_probe.check_url(options["url"])
    except _http_probe.BadUrl as problem:
        module.fail_json(msg=str(problem))
    now = time.time()
    context = _http_probe.tls_context(options["validate_certs"]) if options["url"].startswith("https:") else None
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
    if not questions and not options["alerts"]:
        module.fail_json(msg="Nothing is asked: name 'queries', or set 'alerts'.")
    # No name of a query begins with a blank, as these do.
    for name in ALERTS if options["alerts"] else ():
        questions[f" {name}"] = partial(_prometheus.ask, options["url"], {"query": name}, options["timeout"], context)
    # A resolver knows no time-out; whatever is under way then is left alone.
    answers = ask_all(questions, options["timeout"] + 1)
    silent = {"samples": [], "series": [], "answered": False, "problem": "no answer in time"}
    told = {name: answers.get(name, silent) for name in questions}
    first = next(
        (f"Prometheus at {options['url']}, {name.strip()}: {one['problem']}" for name, one in told.items() if one["problem"]),
        None,
    )
    alerts = [told.pop(f" {name}", silent) for name in ALERTS]
    answered = any(one["answered"] for one in [*told.values(), *alerts])
    module.exit_json(
        changed=False,
        answered=answered,
        problem=first,
        clock=now,
        alerts=None if alerts[0]["problem"] else _prometheus.alerts(alerts[0]["samples"], alerts[1]["samples"]),
        results={name: {key: one[key] for key in ("samples", "series", "problem")} for name, one in told.items()},
    )


if __name__ == "__main__":
    main()
