#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: http_probe
short_description: Ask URLs until each has answered well several times in a row
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Sends C(GET) from the host until O(count) consecutive answers of each URL are good or O(deadline) seconds are over. Several URLs are
    asked side by side.
  - Unlike M(ansible.builtin.uri) it also works in check mode, asks for a row of good answers instead of a single one, is bounded
    in time even by a server that drips bytes, and does not fail on a bad answer. The caller decides by RV(good).
  - Redirects are not followed, proxies are not used.
extends_documentation_fragment:
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.info_module
  - monero_marketplace.incident.attributes.actiongroup_incident
options:
  urls:
    description: What to ask, without a login in it. With an empty list nothing is proven.
    type: list
    elements: str
    required: true
    aliases: [url]
  count:
    description: How many good answers in a row prove the service.
    type: int
    default: 5
  interval:
    description: Seconds between the beginnings of two questions.
    type: float
    default: 2.0
  deadline:
    description: Seconds after which the module gives its verdict in any case.
    type: float
    default: 60.0
  timeout:
    description: Seconds for one answer as a whole.
    type: float
    default: 3.0
  status:
    description: The status of a good answer.
    type: int
    default: 200
  body_contains:
    description: Text that the body of a good answer contains.
    type: str
  body_json:
    description: Keys and values that the JSON body of a good answer has. It may have more.
    type: dict
  validate_certs:
    description: Whether the certificate must be valid.
    type: bool
    default: true
  host_header:
    description: The name to ask for where it differs from the one in the URL, for a proxy that serves several sites.
    type: str
"""

EXAMPLES = r"""
- name: Wait until the shop has answered five times in a row
  monero_marketplace.incident.http_probe:
    url: http://127.0.0.1:8080/api/health
    body_json:
      status: ok
  register: shop
  failed_when: not shop.good
"""

RETURN = r"""
good:
  description: Whether O(count) consecutive answers of every URL were good.
  returned: success
  type: bool
first_good:
  description: Since when all URLs have answered well, in seconds since 1970. Null where one does not.
  returned: success
  type: float
sentences:
  description: The verdict on each URL as a person says it.
  returned: success
  type: list
  elements: str
  sample: ["GET http://127.0.0.1:8080/api/health 200 ×5 over 8 s"]
endpoints:
  description: What was found for each URL.
  returned: success
  type: list
  elements: dict
  contains:
    url:
      description: What was asked.
      type: str
    good:
      description: Whether O(count) consecutive answers were good.
      type: bool
    streak:
      description: How many good answers came in a row at the end.
      type: int
    asked:
      description: How many times the URL was asked.
      type: int
    answers:
      description: The last fifty answers. Each has C(time) (seconds since 1970), C(status), C(seconds), C(error), C(good) and C(why).
      type: list
      elements: dict
    first_good:
      description: When the row of good answers at the end began. Null where the last answer was bad.
      type: float
    last_good:
      description: When the row of good answers at the end ended.
      type: float
    status:
      description: The status of the last answer. Null where none came.
      type: int
    error:
      description:
        - Why the last answer did not come.
        - One of V(refused), V(timeout), V(tls), V(reset), V(closed), V(unresolved), V(unreachable) and V(malformed), or null.
      type: str
    body:
      description: The beginning of the last body, as plain text.
      type: str
    why:
      description: Why the row was not completed. Null where it was.
      type: str
    sentence:
      description: The verdict as a person says it.
      type: str
"""

import time
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _http_probe
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import ask_all


def bad_option(options: dict[str, Any]) -> str | None:
    """One sentence on the first option that makes no sense."""
    for name in ("count", "interval", "deadline", "timeout"):
        if options[name] <= 0:
            return f"'{name}' is {options[name]}: it needs a number above 0."
    shortest = (options["count"] - 1) * options["interval"]
    if shortest >= options["deadline"]:
        return (
            f"{options['count']} answers every {options['interval']:g} s take {shortest:g} s, "
            f"but the deadline is {options['deadline']:g} s: raise 'deadline' or lower 'count' or 'interval'."
        )
    try:
        for url in options["urls"]:
            _http_probe.check_url(url)
    except _http_probe.BadUrl as problem:
        return str(problem)
    return None


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "urls": {"type": "list", "elements": "str", "required": True, "aliases": ["url"]},
            "count": {"type": "int", "default": 5},
            "interval": {"type": "float", "default": 2.0},
            "deadline": {"type": "float", "default": 60.0},
            "timeout": {"type": "float", "default": 3.0},
            "status": {"type": "int", "default": 200},
            "body_contains": {"type": "str"},
            "body_json": {"type": "dict"},
            "validate_certs": {"type": "bool", "default": True},
            "host_header": {"type": "str"},
        },
        supports_check_mode=True,
    )
    options = module.params
    problem = bad_option(options)
    if problem is not None:
        module.fail_json(msg=problem)

    wanted = _http_probe.Wanted(options["status"], options["body_contains"], options["body_json"])

    def prove(url: str) -> dict[str, Any]:
        return _http_probe.probe(
            partial(_http_probe.get, url, validate_certs=options["validate_certs"], host_header=options["host_header"]),
            url,
            wanted,
            count=options["count"],
            interval=options["interval"],
            deadline=options["deadline"],
            timeout=options["timeout"],
            wait=time.sleep,
        )

    # The resolver knows no timeout, so the wait for the threads has its own.
    verdicts = ask_all({url: partial(prove, url) for url in options["urls"]}, options["deadline"] + options["timeout"] + 2)
    endpoints = [verdicts.get(url) or _http_probe.silent(url, options["deadline"]) for url in options["urls"]]
    good = bool(endpoints) and all(one["good"] for one in endpoints)
    module.exit_json(
        changed=False,
        good=good,
        first_good=max(one["first_good"] for one in endpoints) if good else None,
        sentences=[one["sentence"] for one in endpoints],
        endpoints=endpoints,
    )


if __name__ == "__main__":
    main()
