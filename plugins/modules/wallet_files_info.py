#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wallet_files_info
short_description: Say what the files of a Monero wallet are worth, and whose they are
version_added: 0.3.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Opens copies of the files in a throw-away container of the wallet's own image, without any network, on a read-only root, and says
    whether the keys open, whether the cache loads, and which of the signers of an escrow they belong to.
  - The wallets of one escrow share one address, so that an address does not tell whose wallet it is. Told apart is by the secret that only
    a signer has. It stays in memory, is compared as a keyed hash, and is in no result.
  - Copies, container and what it has logged are wiped and removed at the end. What a killed call has left the next one removes.
  - The files themselves are only read.
requirements:
  - Docker Engine 20.10 or newer with its command line, and the wallet's image on the host
  - root, to reach a container without network
extends_documentation_fragment:
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.info_module
  - monero_marketplace.incident.attributes.actiongroup_incident
options:
  directory:
    description: The folder on the host in which the wallet's files lie.
    type: path
    required: true
  wallet:
    description: The name of the wallet, which is the name of its file.
    type: str
    required: true
  image:
    description:
      - The image whose C(monero-wallet-rpc) opens the copies, best that of the wallet's own container. It is never pulled.
      - Empty means that nothing is opened; what can be said without that is said.
    type: str
    default: ""
  password:
    description: The password of the wallet's file.
    type: str
    default: ""
  pin:
    description: The checksum (SHA-256) that its C(.keys) file is known to have. Empty means that none is known.
    type: str
    default: ""
  others:
    description: The wallets of the other signers, to tell them apart.
    type: list
    elements: dict
    default: []
    suboptions:
      role:
        description: Whose it is, such as V(arbiter).
        type: str
        required: true
      directory:
        description: Its folder on the host.
        type: path
        required: true
      wallet:
        description: Its name.
        type: str
        required: true
      password:
        description: The password of its file. Not given, it is that of the wallet itself.
        type: str
  network:
    description: The Monero network the wallet was made for.
    type: str
    choices: [mainnet, stagenet, testnet]
    default: mainnet
  scratch_dir:
    description: Where the copies lie meanwhile. Best on a file system in memory, so that no disk ever has them.
    type: path
    default: /run/marketplace_incident/wallet_proof
  timeout:
    description: Seconds for all of it. Starting takes about 5 of them, and each file that is opened 2 to 6.
    type: float
    default: 120.0
  state_dir:
    description: Where M(monero_marketplace.incident.backup_restore) keeps the journal of a restore.
    type: path
    default: /var/lib/marketplace_incident
seealso:
  - module: monero_marketplace.incident.monero_wallet
"""

EXAMPLES = r"""
- name: See what has become of the buyer's wallet
  monero_marketplace.incident.wallet_files_info:
    directory: /data/wallets/buyer
    wallet: escrow_1
    image: marketplace/stack:lab
    others:
      - role: vendor
        directory: /data/wallets/vendor
        wallet: escrow_1
      - role: arbiter
        directory: /data/wallets/arbiter
        wallet: escrow_1
  register: buyer

- name: Look at the files only, and open nothing
  monero_marketplace.incident.wallet_files_info:
    directory: /data/wallets/buyer
    wallet: escrow_1
    pin: 2f1a0c9f4f8e6f7d5b4c3a2918070605040302010f0e0d0c0b0a090807060504
"""

RETURN = r"""
wallet_files:
  description: What the wallet's files are.
  returned: success
  type: dict
  contains:
    state:
      description:
        - V(sound); V(cache_damaged), keys that open with a cache that does not load; V(cache_missing); V(keys_damaged); V(keys_missing), a
          cache without keys; V(missing), neither; V(wrong_password), keys that are as pinned and do not open; V(unknown), where it could
          not be told.
        - A cache has no checksum. One that loads may still have been altered within.
      type: str
    evidence:
      description: Sentences on why.
      type: list
      elements: str
    address:
      description: The primary address, null where the keys were not opened.
      type: str
    multisig:
      description: For a multisig wallet C(ready) (bool), C(threshold) and C(total) (int); null otherwise.
      type: dict
    keys_file:
      description: C(exists) (bool), C(sha256) (str) and C(pin), which is V(equal), V(differs) or V(none).
      type: dict
    cache_file:
      description: C(exists) (bool), C(sha256) (str) and C(loads) (bool), null where it was not tried.
      type: dict
    signer:
      description:
        - C(same_as) (str), the role of O(others) whose secret is the same, null where none is.
        - C(differs_from) (list), the roles whose secret is another. Who is in neither could not be compared.
      type: dict
    unfinished:
      description: Whether a restore of this wallet was begun and not ended.
      type: bool
    leftovers:
      description: What interrupted writes have left beside it.
      type: list
      elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_files, _wallet_proof, _wallet_swap
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for

OTHER = {
    "role": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "wallet": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True},
}


def look(options: dict[str, Any]) -> dict[str, Any]:
    files = _wallet_files.read(options["directory"], options["wallet"])
    own = files.copy
    if own is None or not options["image"]:
        return _wallet_files.judged(files, options["pin"], None, {})
    copies = {"": own}
    for other in options["others"]:
        theirs = _wallet_files.read(other["directory"], other["wallet"]).copy
        if theirs is not None:
            # Only whose they are is asked, for which their keys are enough.
            copies[other["role"]] = _wallet_proof.Copy(theirs.keys, password=other["password"])
    place = _wallet_proof.Place(options["image"], options["scratch_dir"], options["timeout"], options["network"])
    try:
        seen = _wallet_proof.look(copies, options["password"], place)
    except _wallet_proof.NoProof as problem:
        return _wallet_files.judged(files, options["pin"], None, {}, str(problem))
    own_password = {one["role"] for one in options["others"] if one["password"] not in (None, options["password"])}
    others = {role: one for role, one in seen.items() if role}
    return _wallet_files.judged(files, options["pin"], seen[""], others, own_password=own_password)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "wallet": {"type": "str", "required": True},
            "image": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "pin": {"type": "str", "default": "", "no_log": False},
            "others": {"type": "list", "elements": "dict", "default": [], "options": OTHER},
            "network": {"type": "str", "choices": sorted(_wallet_proof.NETWORKS), "default": "mainnet"},
            "scratch_dir": {"type": "path", "default": "/run/marketplace_incident/wallet_proof"},
            "timeout": {"type": "float", "default": 120.0},
            "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    try:
        found = look(module.params)
        begun = _wallet_swap.is_begun(module.params["state_dir"], module.params["directory"], module.params["wallet"])
    except (_wallet_files.NotAWallet, IncidentError) as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    module.exit_json(changed=False, wallet_files={**found, "unfinished": begun})


if __name__ == "__main__":
    main()
