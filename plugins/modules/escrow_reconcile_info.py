#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: escrow_reconcile_info
short_description: Say whether the escrows of a database are those that wallets and chain know
version_added: 0.4.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - For a database that was restored, before the shop is opened again. It is older than the chain, so that an escrow that was paid since looks
    as if it were still to be paid, and would be paid twice.
  - Reads the rows from a copy of the database, and what each wallet knows from copies of its files, opened in a throw-away container of the
    wallet's own image without any network. One container is for all wallets of a folder. Neither the database nor a wallet is touched.
  - A copy of a wallet knows what the wallet had stored. Have open wallets stored first, with M(monero_marketplace.incident.monero_wallet).
  - Copies, container and what it has logged are wiped and removed at the end. What a killed call has left the next one removes.
requirements:
  - Docker Engine 20.10 or newer with its command line, and the wallets' image on the host
  - root, to reach a container without network
extends_documentation_fragment:
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.info_module
  - monero_marketplace.incident.attributes.actiongroup_incident
options:
  path:
    description: The database.
    type: path
    required: true
  key:
    description: The passphrase of a database encrypted by SQLCipher.
    type: str
    default: ""
  query:
    description:
      - A C(SELECT) with a row for each escrow and the columns C(id), C(state), C(wallet), C(amount), C(funding_txid) and C(payout_txid).
      - C(state) is V(not_set_up), V(unfunded), V(funded), V(signing) or V(paid). A row with V(not_escrow) names a wallet that is no escrow's.
      - Empty means that nothing can be compared, which counts as one mismatch.
    type: str
    default: ""
  wallets:
    description: The folders of the signers' wallets.
    type: list
    elements: dict
    required: true
    suboptions:
      role:
        description: Whose they are, such as V(arbiter).
        type: str
        required: true
      directory:
        description: The folder on the host.
        type: path
        required: true
      password:
        description: The password of the wallets' files.
        type: str
        default: ""
  image:
    description: The image whose C(monero-wallet-rpc) opens the copies, best that of the wallets' own containers. It is never pulled.
    type: str
    required: true
  network:
    description: The Monero network the wallets were made for.
    type: str
    choices: [mainnet, stagenet, testnet]
    default: mainnet
  chain_height:
    description: How far the chain goes, as a daemon says that is synchronized. Without it no wallet proves that nothing was paid since.
    type: int
  most_behind:
    description:
      - By how many blocks a wallet may be behind and still count as one that knows. None where another signer's copy cannot be read or is of
        O(unstored), as that one may have paid in the last blocks.
    type: int
    default: 10
  unstored:
    description:
      - The roles whose wallet RPC runs and could not be asked to store what it has in memory. What their copies tell of payments counts; that
        they tell of none does not.
    type: list
    elements: str
    default: []
  heights:
    description: The heights of the wallets when the backup was taken, by role and name, as in its manifest.
    type: dict
    default: {}
  created:
    description:
      - When the backup was begun, such as V(2026-11-24T11:00:00Z), for wallets whose height then is not known; empty when unknown.
      - By the time of its block a payment counts as older than the backup where that is more than two hours before it.
    type: str
    default: ""
  scratch_dir:
    description: Where the copies of wallets lie meanwhile. Best on a file system in memory, so that no disk ever has them.
    type: path
    default: /run/marketplace_incident/wallet_proof
  database_scratch_dir:
    description: Where the copy of the database lies meanwhile.
    type: path
    default: /var/tmp
  timeout:
    description: Seconds for all of it. Each wallet that is opened takes 2 to 6 of them. What was not reached in time is unknown, and said to be.
    type: float
    default: 900.0
seealso:
  - module: monero_marketplace.incident.wallet_files_info
  - module: monero_marketplace.incident.sqlite_info
"""

EXAMPLES = r"""
- name: Compare the restored database with the wallets
  monero_marketplace.incident.escrow_reconcile_info:
    path: /data/marketplace.db
    query: >-
      SELECT id, CASE state WHEN 'created' THEN 'not_set_up' WHEN 'released' THEN 'paid' ELSE state END AS state,
      wallet_name AS wallet, amount, funding_txid, payout_txid FROM escrows
    wallets:
      - role: buyer
        directory: /data/wallets/buyer
      - role: vendor
        directory: /data/wallets/vendor
    image: marketplace/stack:lab
    chain_height: 3210442
  register: compared
"""

RETURN = r"""
reconcile:
  description: What differs.
  returned: success
  type: dict
  contains:
    count:
      description: How many mismatches there are. With none the shop may be opened.
      type: int
    mismatches:
      description:
        - The most dangerous first, each with C(kind), C(id) of the escrow, C(wallet), C(txid) of the payment and C(sentence).
        - V(paid_but_open), an escrow that the chain has paid; V(not_set_up_with_wallet), whose existing keys an application may throw away;
          V(outgoing_without_row), money that left since the backup; V(wallet_without_row); V(row_without_wallet); V(state_unknown), where
          nobody can tell.
      type: list
      elements: dict
    compared:
      description: Whether rows were compared at all. Where not, the only mismatch says why.
      type: bool
    behind:
      description:
        - Wallets of open escrows of which no signer's copy knows whether they paid, those of funded ones first. Refreshed by
          M(monero_marketplace.incident.monero_wallet) they may.
      type: list
      elements: str
    kinds:
      description: How many there are of each kind that there is.
      type: dict
    rows:
      description: How many rows were compared.
      type: int
    wallets:
      description: How many wallets there are, by role.
      type: dict
    notes:
      description: What is no mismatch, and worth a look.
      type: list
      elements: str
    seconds:
      description: How long it took.
      type: float
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _escrow_reconcile,
    _sqlite_ask,
    _wallet_ledger,
    _wallet_proof,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for

MOST_ROWS = 500000
ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "key": {"type": "str", "default": "", "no_log": True},
    "query": {"type": "str", "default": ""},
    "wallets": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "role": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "password": {"type": "str", "default": "", "no_log": True},
        },
    },
    "image": {"type": "str", "required": True},
    "network": {"type": "str", "choices": sorted(_wallet_proof.NETWORKS), "default": "mainnet"},
    "chain_height": {"type": "int"},
    "most_behind": {"type": "int", "default": 10},
    "unstored": {"type": "list", "elements": "str", "default": []},
    "heights": {"type": "dict", "default": {}},
    "created": {"type": "str", "default": ""},
    "scratch_dir": {"type": "path", "default": "/run/marketplace_incident/wallet_proof"},
    "database_scratch_dir": {"type": "path", "default": "/var/tmp"},  # noqa: S108
    "timeout": {"type": "float", "default": 900.0},
}


def rows_of(options: dict[str, Any]) -> tuple[list[_escrow_reconcile.Row], str]:
    if not options["query"].strip():
        return [], "marketplace_reconcile_queries names no query for the escrows, so that nothing can be compared"
    asked = [{"name": "escrows", "sql": options["query"]}]
    bounds = _sqlite_ask.Bounds(
        rows=MOST_ROWS, check_seconds=300.0, query_seconds=120.0, copy_seconds=300.0, key=options["key"]
    )
    found = _sqlite_ask.ask(options["path"], asked, options["database_scratch_dir"], bounds)
    if found["state"] != "read":
        return [], f"the database cannot be asked ({found['problem']})"
    return _escrow_reconcile.rows_of(found["queries"]["escrows"])


def reconcile(options: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + options["timeout"]
    rows, problem = rows_of(options)
    if problem and not rows:
        return _escrow_reconcile.not_compared(problem)
    wallets = {
        one["role"]: _wallet_ledger.read(
            one["directory"],
            one["password"],
            _wallet_proof.Place(
                options["image"], options["scratch_dir"], max(1.0, deadline - time.monotonic()), options["network"]
            ),
        )
        for one in options["wallets"]
    }
    return _escrow_reconcile.judge(
        rows,
        wallets,
        _escrow_reconcile.Chain(options["chain_height"], options["most_behind"], frozenset(options["unstored"])),
        _escrow_reconcile.Backup(options["heights"], epoch(options["created"])),
        problem,
    )


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    began = time.monotonic()
    try:
        found = reconcile(module.params)
    except IncidentError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    module.exit_json(changed=False, reconcile={**found, "seconds": round(time.monotonic() - began, 1)})


if __name__ == "__main__":
    main()
