#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: payout_freeze
short_description: Keep payouts from leaving, also after a reboot
version_added: 0.3.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Freezes payouts of a marketplace host in three ways, of which each holds alone.
  - A file that every playbook of this collection reads in the call that acts. None starts a frozen service.
  - The restart policy V(no) for the containers of frozen services, so that neither Docker nor a reboot starts them.
  - Two nftables tables, C(bridge) and C(inet), both named C(marketplace_freeze), by which no container reaches a wallet, neither on
    their common network nor through a port published on the host. The host itself still does. A systemd unit,
    C(marketplace-payout-freeze.service), puts them in force before Docker starts, and a drop-in of C(nftables.service) again whenever
    that one has emptied the rule set.
  - Whether the server is cut off is tried from inside its own network namespace, and comes back as RV(proof).
  - A server that runs is not stopped. It goes on without wallets.
  - Several freezes may stand at once, each with its name. What one of them wants stays until it is lifted.
  - What is frozen or thawed is a line in the host's own journal.
requirements:
  - Docker Engine 20.10 or newer with its command line
  - Docker Compose 2.18 or newer
  - nftables and a kernel that has it for bridges
  - systemd
extends_documentation_fragment:
  - monero_marketplace.incident.guarded
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
attributes:
  check_mode:
    support: full
    details:
      - Nothing is tried from inside the server either.
  diff_mode:
    support: none
    details:
      - What stands is in RV(freeze).
  idempotent:
    support: full
    details:
      - Said again, only what is missing of it is put right. The first author, time and reason stay.
options:
  state:
    description:
      - V(frozen) freezes payouts.
      - V(thawed) lifts the freeze O(name), whoever placed it, and puts the restart policies back as they were. What it said is kept in
        C(freezes/released). Without such a freeze there is nothing to do.
    type: str
    choices: [frozen, thawed]
    default: frozen
  name:
    description: The name of the freeze. Up to 64 letters, digits, dots, hyphens and underscores.
    type: str
    default: payouts
  reason:
    description: Why payouts are frozen, or may go on, in one sentence.
    type: str
    required: true
  responder:
    description: Who freezes or thaws. Empty means the owner of the lease in force, else V(root).
    type: str
    default: ""
  services:
    description: The services that nobody may start while the freeze stands. Required with O(state=frozen).
    type: list
    elements: str
    default: []
  server_service:
    description: The service that pays out, from inside which the cut is tried. Empty means the first of O(services).
    type: str
    default: ""
  wallet_services:
    description: The services of the wallet RPCs. Ports that they publish on the host are cut too.
    type: list
    elements: str
    default: []
  wallet_ports:
    description: The ports on which the wallet RPCs listen in their containers.
    type: list
    elements: int
    default: [18082]
    aliases: [wallet_port]
  wallets:
    description:
      - The wallets that were touched, each by its role and its file name. Who lifts the freeze looks whether these, and not others, are
        open and exchanged.
      - A freeze that stands keeps those it has and gains these. An entry whose role or wallet is empty is left out.
    type: list
    elements: dict
    default: []
    suboptions:
      role:
        description: The role of its wallet RPC.
        type: str
        required: true
      wallet:
        description: The name of the wallet file.
        type: str
        required: true
  project_dir:
    description: The folder of the Compose file.
    type: path
    required: true
  docker_timeout:
    description: Seconds for an answer of the Docker daemon. One that gives none keeps nobody from freezing.
    type: float
    default: 3.0
  state_dir:
    description: Where freezes lie, as files C(freezes/NAME.json).
    type: path
    default: /var/lib/marketplace_incident
seealso:
  - module: monero_marketplace.incident.incident_guard
  - module: monero_marketplace.incident.incident_info
"""

EXAMPLES = r"""
- name: Freeze payouts
  monero_marketplace.incident.payout_freeze:
    reason: the buyer's wallet was rebuilt and needs an exchange of multisig info
    services: [server]
    wallet_services: [monero-wallet-rpc-buyer, monero-wallet-rpc-vendor, monero-wallet-rpc-arbiter]
    wallets:
      - role: buyer
        wallet: escrow_1
    project_dir: /opt/marketplace/4.5/docker
    token: "{{ guard.token }}"
  register: frozen

- name: Let payouts go on
  monero_marketplace.incident.payout_freeze:
    state: thawed
    reason: all three wallets have exchanged their multisig info
    project_dir: /opt/marketplace/4.5/docker
    token: "{{ guard.token }}"
"""

RETURN = r"""
freeze:
  description: The freeze that stands, or that was lifted. V(null) where there was none to lift.
  returned: always
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    reason:
      description: Why, in one sentence.
      type: str
    by:
      description: Who placed it.
      type: str
    since:
      description: When, in UTC.
      type: str
      sample: "2026-11-24T02:14:09Z"
    services:
      description: The services that nobody may start. Empty where the file cannot be read, which means all.
      type: list
      elements: str
    wallet_ports:
      description: The ports that are cut.
      type: list
      elements: int
    published_ports:
      description: The ports of the host that lead to wallets, cut too.
      type: list
      elements: int
    wallets:
      description: The wallets that were touched, each with C(role) and C(wallet).
      type: list
      elements: dict
    policies:
      description: The restart policies before, by container, each with C(service), C(name) and C(maximum).
      type: dict
    whole:
      description:
        - Whether cut and restart policies are in force too. V(false) while it is being placed or lifted, and where that was broken off.
        - V(null) where nobody noted it, as in a file that was written by hand.
      type: bool
    readable:
      description: Whether its file can be read.
      type: bool
proof:
  description: One entry for each way from the server to a wallet.
  returned: O(state=frozen)
  type: list
  elements: dict
  contains:
    wallet:
      description: The wallet's service.
      type: str
    address:
      description: The address that was tried. V(null) where there is none.
      type: str
    port:
      description: The port that was tried.
      type: int
    state:
      description: V(cut), V(reached), or V(unproven) where one of the two does not run.
      type: str
    sentence:
      description: The same in words.
      type: str
cut:
  description:
    - V(cut) when every way was tried in vain, V(unproven) when one could not be tried, V(reached) when one is open, which fails the
      module although all else of the freeze stands.
  returned: O(state=frozen)
  type: str
not_done:
  description: What could not be done now, one sentence each, such as the restart policies while Docker gives no answer.
  returned: success
  type: list
  elements: str
freezes:
  description: All freezes that stand afterwards, as M(monero_marketplace.incident.incident_info) returns them.
  returned: success
  type: list
  elements: dict
"""

from contextlib import nullcontext
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _payout_freeze, _payout_freeze_proof
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_engine import CannotLook
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    IncidentError,
    clean,
    sentence_for,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_freezes import read_freezes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places, in_force, read_lease
from ansible_collections.monero_marketplace.incident.plugins.module_utils._payout_freeze_machine import Machine

ARGUMENTS = {
    "state": {"type": "str", "choices": ["frozen", "thawed"], "default": "frozen"},
    "name": {"type": "str", "default": "payouts"},
    "reason": {"type": "str", "required": True},
    "responder": {"type": "str", "default": ""},
    "services": {"type": "list", "elements": "str", "default": []},
    "server_service": {"type": "str", "default": ""},
    "wallet_services": {"type": "list", "elements": "str", "default": []},
    "wallet_ports": {"type": "list", "elements": "int", "default": [18082], "aliases": ["wallet_port"]},
    "wallets": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"role": {"type": "str", "required": True}, "wallet": {"type": "str", "required": True}},
    },
    "project_dir": {"type": "path", "required": True},
    "docker_timeout": {"type": "float", "default": 3.0},
    "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
    "token": {"type": "str", "default": "", "no_log": False},
    "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
}


def wish_of(options: dict[str, Any]) -> _payout_freeze.Wish:
    lease = read_lease(Places(state_dir=options["state_dir"], lease_dir=options["lease_dir"]))
    ours = lease if lease is not None and in_force(lease) else {}
    return _payout_freeze.Wish(
        name=options["name"],
        reason=options["reason"],
        by=options["responder"] or str(ours.get("responder") or "root"),
        run_id=str(ours.get("run_id") or "by hand"),
        services=tuple(options["services"]),
        wallet_services=tuple(options["wallet_services"]),
        wallet_ports=tuple(options["wallet_ports"]),
        state_dir=options["state_dir"],
        wallets=tuple((one["role"], one["wallet"]) for one in options["wallets"]),
    )


def prove(options: dict[str, Any], freeze: dict[str, Any], machine: Machine) -> list[dict[str, Any]]:
    # Looked at again: who is there is a matter of this moment.
    seen = machine.look(freeze["wallet_services"])
    server = options["server_service"] or options["services"][0]
    return _payout_freeze_proof.prove(seen.project, server, freeze["wallet_services"], freeze["wallet_ports"], seen.living)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    options = module.params
    machine = Machine(options["project_dir"], options["docker_timeout"])
    frozen, write = options["state"] == "frozen", not module.check_mode
    result: dict[str, Any] = {}
    try:
        wish = wish_of(options)
        with acting(options["lease_dir"], options["token"] or None, "payout_freeze") if write else nullcontext():
            done = (_payout_freeze.freeze if frozen else _payout_freeze.thaw)(wish, machine, write)
            result = {"changed": done.changed, "freeze": done.freeze, "not_done": done.not_done}
            if frozen and write and done.freeze is not None:
                result["proof"] = prove(options, done.freeze, machine)
                result["cut"] = _payout_freeze_proof.verdict(result["proof"])
            elif frozen:
                result.update(proof=[], cut="unproven")
        result["freezes"] = read_freezes(Places(state_dir=options["state_dir"], lease_dir=options["lease_dir"]))
    except (CannotLook, IncidentError) as problem:
        module.fail_json(msg=str(problem), **result)
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem), **result)
    if done.changed and write:
        module.log(f"payouts {options['state']} ({wish.name}) by {clean(wish.by)}: {clean(wish.reason, 300)}")
    if result.get("cut") == "reached":
        open_way = next(one["sentence"] for one in result["proof"] if one["state"] == "reached")
        module.fail_json(
            msg=f"{open_way} although payouts are frozen: all else of the freeze stands; stop the server by hand "
            "(`docker compose stop`) and look at `nft list ruleset` on the host.",
            **result,
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
