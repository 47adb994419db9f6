#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_restore
short_description: Restore one Monero wallet, proven to be its signer's
version_added: 0.3.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Restores the one wallet that is named, and touches no other that lies in the same folder.
  - Whose keys an archive holds is proven before anything changes, by opening copies in a throw-away container without network. The wallets
    of one escrow have the same address, so an address proves nothing. Proof is the checksum that is pinned for the role, or that all other
    signers of the escrow are known and are others.
  - Keys that open are never overwritten, and a cache comes from a backup only with O(nothing_signed_since).
  - What is replaced is kept before, in C(.marketplace_kept) beside the wallet's folder, for root only, with its checksum. New files get
    owner, mode and SELinux context of those they replace, and each takes its place in one step.
  - Killed at any moment, it loses nothing, and the next call for the same wallet ends what was begun.
  - Refuses while any process has the wallet open.
  - Each file that is kept or put in place is a line in the host's own journal.
requirements:
  - Docker Engine 20.10 or newer with its command line, and the wallet's image on the host
  - gpg 2.2 or newer, for an archive
  - root
extends_documentation_fragment:
  - monero_marketplace.incident.guarded
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
attributes:
  check_mode:
    support: full
    details:
      - Reads the archive and proves whose keys it holds, as without.
  diff_mode:
    support: none
    details:
      - What is in a wallet is nobody's business here.
  idempotent:
    support: full
options:
  kind:
    description: What is restored.
    type: str
    choices: [wallet]
    default: wallet
  state:
    description:
      - V(cache_parked) moves a cache aside that does not load, so that the wallet reads the chain again with the same keys. A cache that
        loads stays.
      - V(keys_from_backup) puts the keys of O(archive) in place of keys that are gone or damaged. A cache beside them stays if it loads with
        them, else it is moved aside.
      - V(resumed) only ends what an earlier call had begun. The others do so too, and then what they are for.
    type: str
    choices: [cache_parked, keys_from_backup, resumed]
    required: true
  role:
    description: Whose wallet it is, such as V(buyer).
    type: str
    required: true
  directory:
    description: The folder on the host in which the wallet's files lie.
    type: path
    required: true
  wallet:
    description: The name of the wallet, which is the name of its file.
    type: str
    required: true
  archive:
    description: The archive, C(tar.gz.gpg). Required with O(state=keys_from_backup).
    type: path
    default: ""
  passphrase:
    description: The passphrase of the archive. Empty means that a key in root's keyring opens it.
    type: str
    default: ""
  site:
    description: The site that the archive's manifest has to name. Empty means any.
    type: str
    default: ""
  image:
    description: The image whose C(monero-wallet-rpc) opens the copies. It is never pulled.
    type: str
    required: true
  password:
    description: The password of the wallet's file.
    type: str
    default: ""
  pin:
    description: The checksum (SHA-256) that the C(.keys) file of this role's wallet is known to have. Empty means that none is known.
    type: str
    default: ""
  address:
    description: The primary address that it must have. Empty means any.
    type: str
    default: ""
  others:
    description: The wallets of the other signers of the same escrow.
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
  unknown_signer:
    description: Take keys of which it cannot be proven whose they are, because a person knows. Keys proven to be another's are refused in any case.
    type: bool
    default: false
  nothing_signed_since:
    description:
      - Take the cache of the archive too, where the wallet has none that loads. Only for a caller that has proven from the application's
        database that this wallet has signed nothing since the archive was made.
      - An older cache brings back nonces that may be used. Signing twice with the same nonce can give a key away.
    type: bool
    default: false
  network:
    description: The Monero network the wallet was made for.
    type: str
    choices: [mainnet, stagenet, testnet]
    default: mainnet
  scratch_dir:
    description: Where copies and the unpacked archive lie meanwhile. Best on a file system in memory.
    type: path
    default: /run/marketplace_incident/wallet_proof
  timeout:
    description: Seconds for the proof. Starting takes about 5 of them, and each file that is opened 2 to 6.
    type: float
    default: 120.0
  state_dir:
    description: Where the journal of a restore lies.
    type: path
    default: /var/lib/marketplace_incident
seealso:
  - module: monero_marketplace.incident.backup_info
  - module: monero_marketplace.incident.wallet_files_info
"""

EXAMPLES = r"""
- name: Have the buyer's wallet read the chain again
  monero_marketplace.incident.backup_restore:
    state: cache_parked
    role: buyer
    directory: /data/wallets/buyer
    wallet: escrow_1
    image: marketplace/stack:lab
    token: "{{ guard.token }}"

- name: Put the buyer's keys back
  monero_marketplace.incident.backup_restore:
    state: keys_from_backup
    role: buyer
    directory: /data/wallets/buyer
    wallet: escrow_1
    archive: /backups/wallets/marketplace-wallet-buyer-20261124T031500Z.tar.gz.gpg
    passphrase: "{{ marketplace_backup_passphrase }}"
    site: "{{ inventory_hostname }}"
    image: marketplace/stack:lab
    others:
      - role: vendor
        directory: /data/wallets/vendor
        wallet: escrow_1
      - role: arbiter
        directory: /data/wallets/arbiter
        wallet: escrow_1
    token: "{{ guard.token }}"
"""

RETURN = r"""
did:
  description: What was done, or in check mode would be, in sentences.
  returned: success
  type: list
  elements: str
kept:
  description: What was replaced or moved aside, as C(source), C(path) and C(sha256). In check mode C(path) is null.
  returned: success
  type: list
  elements: dict
cache:
  description:
    - What became of the cache. V(left), V(parked), V(absent), where there was none, or V(from_backup).
  returned: success
  type: str
signer:
  description: How the signer was proven (C(proven_by)), and from which roles it differs (C(differs_from)). Null with O(state=cache_parked).
  returned: success
  type: dict
archive:
  description: The archive, as C(path), C(created), C(age_seconds), C(manifest) (bool) and C(sha256) of its keys. Null with O(state=cache_parked).
  returned: success
  type: dict
lost:
  description: What is lost with the cache, in sentences.
  returned: success
  type: list
  elements: str
resumed:
  description: Whether this call ended what an earlier one had begun.
  returned: success
  type: bool
kind:
  description:
    - What stands in the way. V(other_signer), V(unknown_signer), V(other_site), V(other_role), V(newer), V(in_use), V(no_space), V(no_proof),
      V(keys), V(unknown), V(changed), V(journal), V(missing), V(not_in_archive), or what is wrong with the archive, such as
      V(wrong_passphrase), V(damaged), V(unsafe) and V(too_big).
  returned: failure
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_files, _wallet_proof, _wallet_restore
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored

OTHER = {
    "role": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "wallet": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True},
}


def wanted_of(options: dict[str, Any]) -> _wallet_restore.Wanted:
    return _wallet_restore.Wanted(
        state=options["state"],
        role=options["role"],
        directory=options["directory"],
        wallet=options["wallet"],
        place=_wallet_proof.Place(options["image"], options["scratch_dir"], options["timeout"], options["network"]),
        password=options["password"],
        archive=options["archive"],
        key=Key(options["passphrase"]),
        site=options["site"],
        pin=options["pin"],
        address=options["address"],
        others=tuple(_wallet_restore.Other(**other) for other in options["others"]),
        unknown_signer=options["unknown_signer"],
        nothing_signed_since=options["nothing_signed_since"],
        state_dir=options["state_dir"],
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kind": {"type": "str", "choices": ["wallet"], "default": "wallet"},
            "state": {"type": "str", "choices": ["cache_parked", "keys_from_backup", "resumed"], "required": True},
            "role": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "wallet": {"type": "str", "required": True},
            "archive": {"type": "path", "default": ""},
            "passphrase": {"type": "str", "default": "", "no_log": True},
            "site": {"type": "str", "default": ""},
            "image": {"type": "str", "required": True},
            "password": {"type": "str", "default": "", "no_log": True},
            "pin": {"type": "str", "default": "", "no_log": False},
            "address": {"type": "str", "default": ""},
            "others": {"type": "list", "elements": "dict", "default": [], "options": OTHER},
            "unknown_signer": {"type": "bool", "default": False},
            "nothing_signed_since": {"type": "bool", "default": False},
            "network": {"type": "str", "choices": sorted(_wallet_proof.NETWORKS), "default": "mainnet"},
            "scratch_dir": {"type": "path", "default": "/run/marketplace_incident/wallet_proof"},
            "timeout": {"type": "float", "default": 120.0},
            "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
            "token": {"type": "str", "default": "", "no_log": False},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    options = module.params
    if options["state"] == "keys_from_backup" and not options["archive"]:
        module.fail_json(msg="Keys come from an archive: name it (archive).", kind="missing")
    try:
        wanted = wanted_of(options)
        if module.check_mode:
            result = _wallet_restore.restore(wanted, True, module.log)
        else:
            with acting(options["lease_dir"], options["token"] or None, "backup_restore"):
                result = _wallet_restore.restore(wanted, False, module.log)
    except NotRestored as refused:
        module.fail_json(msg=str(refused), kind=refused.kind)
    except (_wallet_files.NotAWallet, IncidentError) as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
