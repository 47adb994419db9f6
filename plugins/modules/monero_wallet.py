#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: monero_wallet
short_description: Have Monero wallets stored, opened, closed or refreshed by their own RPC
version_added: 0.2.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Asks each wallet RPC to store, open or close a wallet, all of them at once, and says of each what became of it.
  - Logs in by digest over one connection, as the wallet RPC wants it.
  - Never calls a multisig method, which would spoil an open signing round, and never breaks the lock of another process.
  - Opening throws out whichever wallet is open; the RPC stores that one first. Where the application opens wallets on demand, leave it to it.
  - Each wallet that was stored, opened or closed is a line in the host's own journal.
extends_documentation_fragment:
  - monero_marketplace.incident.guarded
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
attributes:
  check_mode:
    support: full
    details:
      - Asks each wallet for its height only, and looks at its files.
  diff_mode:
    support: none
    details:
      - What is in a wallet is nobody's business here.
  idempotent:
    support: partial
    details:
      - With V(stored) each call writes each open wallet again; how much of it is new only the wallet knows.
      - With V(open) only where O(wallets[].directory) is named, as no RPC tells which wallet it has open.
options:
  state:
    description:
      - V(stored) has what is in memory written to the wallet's files.
      - V(open) has O(wallets[].wallet) open, and V(closed) has it closed, else, where none is named, whichever is open.
      - V(refreshed) has O(wallets[].names) opened one after the other, has each read the chain and store it, and then opens again what was open
        before, or O(wallets[].wallet) where it is named. A wallet for which there is no time is no failure. Nothing else may work with the
        wallet RPC meanwhile.
      - V(open) and V(closed) were added in version 0.3.0, V(refreshed) in 0.4.0.
    type: str
    choices: [stored, open, closed, refreshed]
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
        description: Its address, such as V(http://172.18.0.6:18082). Without a login. Empty means that of O(wallets[].service).
        type: str
        default: ""
      service:
        description:
          - Its Compose service in O(project_dir), for its address, its log and to tell its own lock from another's.
        type: str
        default: ""
        version_added: 0.3.0
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
      directory:
        description: Its C(--wallet-dir) as the host sees it, to know what is open and whether the wallet's files are there.
        type: path
        version_added: 0.3.0
      wallet:
        description: Name of the wallet file to open or to close. Needed for V(open).
        type: str
        default: ""
        version_added: 0.3.0
      wallet_password:
        description: Password of that wallet file.
        type: str
        default: ""
        version_added: 0.3.0
      names:
        description: Names of the wallet files that are to read the chain, for V(refreshed). O(wallets[].wallet_password) is for them too.
        type: list
        elements: str
        default: []
        version_added: 0.4.0
  refresh_seconds:
    description: Seconds for reading the chain, all of O(wallets[].names) together. Opening again what was open comes on top.
    type: float
    default: 200.0
    version_added: 0.4.0
  chain_height:
    description: How far the chain goes, for V(refreshed).
    type: int
    version_added: 0.4.0
  most_blocks:
    description: A wallet that is further than that behind O(chain_height) is not asked to read it, as the wallet RPC would be busy for long.
    type: int
    default: 20000
    version_added: 0.4.0
  project_dir:
    description: The folder of the Compose file to which O(wallets[].service) belongs.
    type: path
    default: /opt/marketplace/4.5/docker
    version_added: 0.3.0
  wallet_port:
    description: Port of the wallet RPCs on the Compose network.
    type: int
    default: 18082
    version_added: 0.3.0
  timeout:
    description: Seconds for a short answer of a wallet.
    type: float
    default: 10.0
  store_timeout:
    description: Seconds for storing, which closing does too. One that is refreshing stores when it has done with its chunk of blocks.
    type: float
    default: 60.0
  open_timeout:
    description: Seconds for opening. It takes some seconds, and minutes with a cache that is missing or far behind.
    type: float
    default: 60.0
    version_added: 0.3.0
  validate_certs:
    description: Whether the certificate of an https address must be valid.
    type: bool
    default: true
seealso:
  - module: monero_marketplace.incident.container_stop
  - module: monero_marketplace.incident.monero_info
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

- name: Have the buyer's wallet open
  monero_marketplace.incident.monero_wallet:
    state: open
    wallets:
      - name: buyer
        service: monero-wallet-rpc-buyer
        login_file: /opt/marketplace/4.5/docker/secrets/wallet_rpc_login
        directory: /data/wallets/buyer
        wallet: escrow_1
        wallet_password: "{{ vault_buyer_wallet | default('') }}"
    token: "{{ guard.token }}"

- name: Close whatever the vendor's wallet RPC has open
  monero_marketplace.incident.monero_wallet:
    state: closed
    wallets:
      - name: vendor
        service: monero-wallet-rpc-vendor
        login_file: /opt/marketplace/4.5/docker/secrets/wallet_rpc_login
    token: "{{ guard.token }}"
"""

RETURN = r"""
wallets:
  description:
    - One entry for each of O(wallets), in the same order. Also returned when the module fails.
    - The module fails unless each is V(stored) or V(no_wallet_open), V(opened) or V(open_already), V(closed) or V(closed_already).
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
        - For V(open) V(opened) or V(open_already), else V(wrong_password), V(keys_locked) by another process, V(missing), V(keys_damaged),
          V(cache_damaged), or V(opening) when it holds the keys and has not answered within O(open_timeout).
        - For V(closed) V(closed) or V(closed_already).
        - For V(refreshed) V(refreshed), V(partly), V(not_put_back) when what was open is not again, or V(failed) when that cannot be seen.
        - V(ready) in check mode, for a wallet that would be stored, opened or closed.
      type: str
    height_before:
      description: The block height the wallet has seen, before it was stored.
      type: int
    height_after:
      description: The same after it was stored. Null where that was not answered.
      type: int
    wallet:
      description: As given, for V(open) and V(closed).
      type: str
    height:
      description: The block height of the wallet, for V(open) after it was opened, for V(closed) before it was closed.
      type: int
    names:
      description: For V(refreshed), C(state), C(height) and C(detail) of each wallet by its name.
      type: dict
    code:
      description: The RPC's own number for its refusal, for V(open) and V(closed).
      type: int
    log:
      description: What the RPC wrote to its container's log since it was asked, for V(open) and V(closed) of a O(wallets[].service).
      type: list
      elements: str
    detail:
      description: Why it is in this state.
      type: str
    seconds:
      description: How long it took.
      type: float
"""

import ssl
import time
from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _monero_containers,
    _monero_open,
    _monero_wallet,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._http_probe import BadUrl, check_url
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting
from ansible_collections.monero_marketplace.incident.plugins.module_utils._monero_rpc import Login

WALLET = {
    "name": {"type": "str", "required": True},
    "url": {"type": "str", "default": ""},
    "service": {"type": "str", "default": ""},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "login_file": {"type": "path"},
    "directory": {"type": "path"},
    "wallet": {"type": "str", "default": ""},
    "wallet_password": {"type": "str", "default": "", "no_log": True},
    "names": {"type": "list", "elements": "str", "default": []},
}
DOCKER_SECONDS = 3.0
CHANGED = ("stored", "opened", "closed", "ready", "refreshed", "partly", "not_put_back")
WANTED = {
    "stored": (_monero_wallet.SAFE, "Not every wallet is on disk: {missed}. Nothing may be stopped before they are."),
    "open": (_monero_wallet.OPEN, "Not every wallet is open: {missed}."),
    "closed": (_monero_wallet.CLOSED, "Not every wallet is closed: {missed}."),
}


def wallets_of(options: dict[str, Any]) -> list[_monero_wallet.Wallet]:
    context = ssl.create_default_context()
    if not options["validate_certs"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    services = [one["service"] for one in options["wallets"] if one["service"]]
    containers = _monero_containers.find(options["project_dir"], services, DOCKER_SECONDS).by_service
    return [wallet_of(one, containers.get(one["service"]), options["wallet_port"], context) for one in options["wallets"]]


def wallet_of(
    one: dict[str, Any], container: _monero_containers.Container | None, port: int, context: ssl.SSLContext
) -> _monero_wallet.Wallet:
    url = one["url"]
    if not url:
        if container is None or not container.address:
            raise BadUrl(
                f"{one['name']} has no 'url', and its service '{one['service']}' no container with an address: start it, or name its url."
            )
        url = f"http://{container.address}:{port}"
    check_url(url)
    login = None
    if one["user"]:
        login = Login(one["user"], one["password"])
    elif one["login_file"]:
        login = _monero_wallet.read_login(one["login_file"])
    return _monero_wallet.Wallet(
        one["name"],
        url,
        login,
        context,
        file=one["wallet"],
        file_password=one["wallet_password"],
        directory=one["directory"] or "",
        container_id=container.id if container else None,
        log_path=container.log_path if container else "",
    )


def refreshed(
    options: dict[str, Any], wallets: list[_monero_wallet.Wallet], dry: bool, tell: Callable[[dict[str, Any]], None]
) -> list[dict[str, Any]]:
    deadline = time.monotonic() + options["refresh_seconds"]
    names = {id(wallet): tuple(one["names"]) for wallet, one in zip(wallets, options["wallets"])}

    def one(wallet: _monero_wallet.Wallet, timeout: float, _patience: float, dry: bool) -> dict[str, Any]:
        seconds = (options["open_timeout"], options["store_timeout"])
        wish = _monero_open.Refresh(names[id(wallet)], deadline, *seconds, options["chain_height"], options["most_blocks"])
        return _monero_open.refresh_some(wallet, timeout, wish, dry)

    # The last one that is begun may still be opened, stored, and changed for what was open before.
    patience = options["refresh_seconds"] + 2 * (options["open_timeout"] + options["store_timeout"]) + 6 * options["timeout"]
    return _monero_open.each(one, wallets, options["timeout"], patience, dry, tell)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["stored", "open", "closed", "refreshed"], "required": True},
            "wallets": {"type": "list", "elements": "dict", "required": True, "options": WALLET},
            "timeout": {"type": "float", "default": 10.0},
            "store_timeout": {"type": "float", "default": 60.0},
            "open_timeout": {"type": "float", "default": 60.0},
            "refresh_seconds": {"type": "float", "default": 200.0},
            "chain_height": {"type": "int"},
            "most_blocks": {"type": "int", "default": 20000},
            "project_dir": {"type": "path", "default": "/opt/marketplace/4.5/docker"},
            "wallet_port": {"type": "int", "default": 18082},
            "validate_certs": {"type": "bool", "default": True},
            "token": {"type": "str", "default": "", "no_log": False},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    options = module.params

    for one in options["wallets"]:
        if any(not name or "/" in name for name in one["names"]):
            module.fail_json(
                msg=f"{one['name']} has a name with a slash in it, or an empty one: 'names' are files in its directory."
            )
    if options["state"] == "open":
        for one in options["wallets"]:
            if not one["wallet"] or "/" in one["wallet"]:
                module.fail_json(msg=f"{one['name']} names no wallet to open: 'wallet' is the name of a file in its directory.")

    def tell(one: dict[str, Any]) -> None:
        height = one.get("height") or one.get("height_after") or one.get("height_before") or "unknown"
        module.log(f"wallet of {one['name']}: {one['state']}, height {height}")

    def act(dry: bool) -> list[dict[str, Any]]:
        short, store = options["timeout"], options["store_timeout"]
        if options["state"] == "open":
            return _monero_open.each(_monero_open.open_one, wallets, short, options["open_timeout"], dry, tell)
        if options["state"] == "closed":
            return _monero_open.each(_monero_open.close_one, wallets, short, store, dry, tell)
        if options["state"] == "refreshed":
            return refreshed(options, wallets, dry, tell)
        return _monero_wallet.store_all(wallets, short, store, dry, tell)

    try:
        wallets = wallets_of(options)
        if module.check_mode:
            found = act(True)
        else:
            with acting(options["lease_dir"], options["token"] or None, "monero_wallet"):
                found = act(False)
    except (_monero_wallet.NoLogin, BadUrl, IncidentError) as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    changed = any(one["state"] in CHANGED for one in found)
    if options["state"] == "refreshed":
        module.exit_json(wallets=found, changed=changed)
    good, sentence = WANTED[options["state"]]
    missed = _monero_wallet.words(found, good)
    if missed:
        module.fail_json(msg=sentence.format(missed=missed), wallets=found, changed=changed)
    module.exit_json(wallets=found, changed=changed)


if __name__ == "__main__":
    main()
