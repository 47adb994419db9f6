#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: monero_wallet
short_description: Have open Monero wallets written to disk
version_added: 0.2.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Asks each wallet RPC to store the wallet it has open, all of them at once, and says of each what became of it.
  - Logs in by digest over one connection, as the wallet RPC wants it.
  - Never opens a wallet, which would throw another one out, and never calls a multisig method, which would spoil an open signing round.
  - Each wallet that was stored is a line in the host's own journal.
extends_documentation_fragment:
  - monero_marketplace.incident.guarded
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
attributes:
  check_mode:
    support: full
    details:
      - Asks each wallet for its height only.
  diff_mode:
    support: none
    details:
      - What is in a wallet is nobody's business here.
  idempotent:
    support: none
    details:
      - Each call writes each open wallet again; how much of it is new only the wallet knows.
options:
  state:
    description: V(stored) has what is in memory written to the wallet's files.
    type: str
    choices: [stored]
    required: true
  wallets:
    description: The wallet RPCs.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What to call it, such as its service.
        type: str
        required: true
      url:
        description: Its address, such as V(http://172.18.0.6:18082). Without a login.
        type: str
        required: true
      user:
        description: The user of its login. Empty means O(wallets[].login_file), else no login.
        type: str
        default: ""
      password:
        description: The password of its login.
        type: str
        default: ""
      login_file:
        description: A file on the host with a line C(rpc-login=user:password), or with C(user:password) alone.
        type: path
  timeout:
    description: Seconds for a short answer of a wallet.
    type: float
    default: 10.0
  store_timeout:
    description: Seconds for storing. A wallet that is refreshing stores when it has done with its chunk of blocks.
    type: float
    default: 60.0
  validate_certs:
    description: Whether the certificate of an https address must be valid.
    type: bool
    default: true
seealso:
  - module: monero_marketplace.incident.container_stop
"""

EXAMPLES = r"""
- name: Store the three wallets before anything is stopped
  monero_marketplace.incident.monero_wallet:
    state: stored
    wallets:
      - name: buyer
        url: http://172.18.0.6:18082
        login_file: /opt/marketplace/4.5/docker/secrets/wallet_rpc_login
      - name: vendor
        url: http://172.18.0.7:18082
        login_file: /opt/marketplace/4.5/docker/secrets/wallet_rpc_login
    token: "{{ guard.token }}"
"""

RETURN = r"""
wallets:
  description:
    - One entry for each of O(wallets), in the same order. Also returned when the module fails.
    - The module fails unless each is V(stored) or V(no_wallet_open).
  returned: success or failure
  type: list
  elements: dict
  contains:
    name:
      description: As given.
      type: str
    url:
      description: As given.
      type: str
    state:
      description:
        - V(stored); V(no_wallet_open), where there is nothing to store; V(auth_required), where the login is missing or refused;
          V(not_responding), V(port_closed), or V(failed) with the wallet's own words in C(detail).
        - V(ready) in check mode, for a wallet that would be stored.
      type: str
    height_before:
      description: The block height the wallet has seen, before.
      type: int
    height_after:
      description: The same after it was stored. Null where that was not answered.
      type: int
    detail:
      description: Why it is in this state.
      type: str
    seconds:
      description: How long it took.
      type: float
"""

import ssl
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _monero_wallet
from ansible_collections.monero_marketplace.incident.plugins.module_utils._http_probe import BadUrl, check_url
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_rpc import Login

WALLET = {
    "name": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "login_file": {"type": "path"},
}


def wallets_of(options: dict[str, Any]) -> list[_monero_wallet.Wallet]:
    context = ssl.create_default_context()
    if not options["validate_certs"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    found = []
    for one in options["wallets"]:
        check_url(one["url"])
        login = None
        if one["user"]:
            login = Login(one["user"], one["password"])
        elif one["login_file"]:
            login = _monero_wallet.read_login(one["login_file"])
        found.append(_monero_wallet.Wallet(one["name"], one["url"], login, context))
    return found


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["stored"], "required": True},
            "wallets": {"type": "list", "elements": "dict", "required": True, "options": WALLET},
            "timeout": {"type": "float", "default": 10.0},
            "store_timeout": {"type": "float", "default": 60.0},
            "validate_certs": {"type": "bool", "default": True},
            "token": {"type": "str", "default": "", "no_log": False},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    options = module.params

    def tell(one: dict[str, Any]) -> None:
        module.log(
            f"wallet of {one['name']}: {one['state']}, height {one['height_after'] or one['height_before'] or 'unknown'}"
        )

    def stored(dry: bool) -> list[dict[str, Any]]:
        return _monero_wallet.store_all(wallets, options["timeout"], options["store_timeout"], dry, tell)

    try:
        wallets = wallets_of(options)
        if module.check_mode:
            found = stored(True)
        else:
            with acting(options["lease_dir"], options["token"] or None, "monero_wallet"):
                found = stored(False)
    except (_monero_wallet.NoLogin, BadUrl, IncidentError) as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    changed = any(one["state"] in ("stored", "ready") for one in found)
    missed = _monero_wallet.words(found)
    if missed:
        module.fail_json(
            msg=f"Not every wallet is on disk: {missed}. Nothing may be stopped before they are.",
            wallets=found,
            changed=changed,
        )
    module.exit_json(wallets=found, changed=changed)


if __name__ == "__main__":
    main()
