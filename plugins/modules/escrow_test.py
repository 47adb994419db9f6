#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: escrow_test
short_description: Run the site's own escrow test
version_added: 0.3.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Runs a command of the site's that makes an escrow payment from beginning to end and exits with 0 when it was confirmed.
    This collection itself never signs and never sends funds.
  - The command gets no standard input, its time is bounded, and whatever it started ends with it. Of its output one line is kept.
  - It is not run in check mode, under a hold, while payouts are frozen, while another run has the lease of the host, or while another
    step is at work there. RV(state) is V(not_run) then, which is no failure.
extends_documentation_fragment:
  - monero_marketplace.incident.guarded
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
attributes:
  check_mode:
    support: full
    details:
      - The command is not run.
  diff_mode:
    support: none
    details:
      - A payment has no before and after that could be shown.
  idempotent:
    support: none
    details:
      - Each run is a payment of its own.
options:
  command:
    description:
      - Program and arguments, without a shell.
      - They show in the list of processes, so no secret may stand among them.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds after which the command is ended and counts as failed.
    type: float
    default: 120.0
  playbook:
    description: The playbook that runs, which a hold may name.
    type: str
    default: verify
  token:
    description: The fencing token of this run's lease. A run that has none needs none, as long as nobody else has the lease.
    type: str
    default: ""
  state_dir:
    description: Where holds and freezes lie.
    type: path
    default: /var/lib/marketplace_incident
seealso:
  - module: monero_marketplace.incident.monero_info
"""

EXAMPLES = r"""
- name: Prove that an escrow can be paid out
  monero_marketplace.incident.escrow_test:
    command: [/usr/local/bin/escrow-test, --amount, "0.001"]
    timeout: 180
  register: tested
"""

RETURN = r"""
state:
  description: V(proven) when the command exited with 0 in time, V(failed) when it did not, V(not_run) when it was not run.
  returned: success
  type: str
  sample: proven
exit_status:
  description: What it exited with. Null when it did not end in time or was not run.
  returned: success
  type: int
  sample: 0
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 11.4
line:
  description: The last line that it said, without control characters, cut at 200.
  returned: success
  type: str
  sample: paid in 11.2 s, 10 confirmations
why:
  description: Why it failed or was not run; empty when it is proven.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _escrow_test
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting


def tested(options: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    why = _escrow_test.refusal(options["state_dir"], options["playbook"])
    if why is not None:
        return {**_escrow_test.NOT_RUN, "why": why}
    if check_mode:
        return {**_escrow_test.NOT_RUN, "why": "check mode"}
    try:
        with acting(options["lease_dir"], options["token"] or None, "escrow_test"):
            return _escrow_test.escrow_test(options["command"], options["timeout"])
    except _escrow_test.Absent:
        raise
    # Another step, another lease, or a hold that was placed since.
    except IncidentError as somebody_else:
        return {**_escrow_test.NOT_RUN, "why": str(somebody_else)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "command": {"type": "list", "elements": "str", "required": True},
            "timeout": {"type": "float", "default": 120.0},
            "playbook": {"type": "str", "default": "verify"},
            "token": {"type": "str", "default": "", "no_log": False},
            "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    options = module.params
    if not options["command"] or not options["command"][0]:
        module.fail_json(msg="command is empty: name the site's escrow test, or do not call this module.")
    try:
        found = tested(options, module.check_mode)
    except IncidentError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    if found["state"] != "not_run":
        module.log(f"escrow test of the site: {found['state']} after {found['seconds']} s")
    # What it paid is on the chain, whether it was confirmed or not.
    module.exit_json(changed=found["state"] != "not_run", **found)


if __name__ == "__main__":
    main()
