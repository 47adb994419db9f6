#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_restore
short_description: Restore one Monero wallet, proven to be its signer's, or the database
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
  - With O(kind=database) the steps of a restore are states of their own, and the caller has frozen or stopped whoever writes. The original is
    never opened. The image that takes its place is unpacked beside it, looked at as a whole, and that same file is moved in.
requirements:
  - Docker Engine 20.10 or newer with its command line, and the wallet's image on the host, for a wallet
  - gpg 2.2 or newer, for an archive; gzip or zstd, whichever a database's is packed with
  - root
extends_documentation_fragment:
  - monero_marketplace.incident.guarded
  - monero_marketplace.incident.restored_database
  - monero_marketplace.incident.restored_wallet
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
attributes:
  check_mode:
    support: full
    details:
      - Reads the archive and proves whose keys or what database it holds, as without.
  diff_mode:
    support: none
    details:
      - What is in a wallet is nobody's business here.
  idempotent:
    support: full
options:
  kind:
    description: What is restored. V(database) came with version 0.4.0.
    type: str
    choices: [database, wallet]
    default: wallet
  state:
    description:
      - V(cache_parked) moves a cache aside that does not load, so that the wallet reads the chain again with the same keys. A cache that
        loads stays.
      - V(keys_from_backup) puts the keys of O(archive) in place of keys that are gone or damaged. A cache beside them stays if it loads with
        them, else it is moved aside.
      - V(resumed) only ends what an earlier call had begun. The others do so too, and then what they are for.
      - V(preserved) copies the database with its C(-wal), C(-shm) and C(-journal), also those that were removed while a process has them open.
        Whoever writes has to be frozen. The same set is copied once.
      - V(planned) chooses the newest good archive of O(directory), or looks at O(archive), and leaves its image ready for an hour. It changes
        nothing of the database and asks for no lease.
      - V(restored) lets the image of O(plan) take the database's place. The old files are kept in C(.marketplace_kept) beside it.
      - V(compared) lists what O(kept_database) has and the restored database has not, and the other way round, row by row. What cannot be read
        is unknown.
      - V(reopening) notes that the shop is being opened, V(reopened) that it is, which alone ends RV(unsettled).
      - The first two are for a wallet, the last six for a database.
    type: str
    choices: [cache_parked, compared, keys_from_backup, planned, preserved, reopened, reopening, restored, resumed]
    required: true
  directory:
    description: The folder on the host in which the wallet's files lie, or with O(kind=database) the archives. Required with O(kind=wallet).
    type: path
    default: ""
  archive:
    description:
      - The archive, C(tar.gz.gpg). Required with O(state=keys_from_backup).
      - With O(state=planned) the one archive that is looked at, instead of all in O(directory).
    type: path
    default: ""
  passphrase:
    description: The passphrase of the archive, and of the list of lost rows. Empty means that a key in root's keyring opens the archive.
    type: str
    default: ""
  recipient:
    description: A key in root's keyring, to which the list of lost rows is encrypted instead.
    type: str
    default: ""
    version_added: 0.4.0
  site:
    description: The site that the archive's manifest has to name. Empty means any.
    type: str
    default: ""
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

- name: Keep a frozen database as it is
  monero_marketplace.incident.backup_restore:
    kind: database
    state: preserved
    path: /data/marketplace.db
    token: "{{ guard.token }}"
  register: preserved

- name: Choose the newest good backup
  monero_marketplace.incident.backup_restore:
    kind: database
    state: planned
    path: /data/marketplace.db
    directory: /backups/database
    passphrase: "{{ marketplace_backup_passphrase }}"
    site: "{{ inventory_hostname }}"
  register: planned

- name: Let it take the database's place
  monero_marketplace.incident.backup_restore:
    kind: database
    state: restored
    path: /data/marketplace.db
    plan: "{{ planned.plan.hash }}"
    kept_database: "{{ preserved.kept_database }}"
    token: "{{ guard.token }}"
"""

RETURN = r"""
did:
  description: What was done, or in check mode would be, in sentences.
  returned: success
  type: list
  elements: str
kept:
  description:
    - What was replaced, copied or moved aside, as C(source), C(path) and C(sha256). In check mode C(path) is null. With O(state=preserved) it
      also has C(bytes), and C(new) for a copy of this call.
  returned: success, but not with O(state=planned)
  type: list
  elements: dict
cache:
  description: What became of the cache. V(left), V(parked), V(absent), where there was none, or V(from_backup).
  returned: success, with O(kind=wallet)
  type: str
signer:
  description: How the signer was proven (C(proven_by)), and from which roles it differs (C(differs_from)). Null with O(state=cache_parked).
  returned: success, with O(kind=wallet)
  type: dict
archive:
  description: The archive, as C(path), C(created), C(age_seconds), C(manifest) (bool) and C(sha256) of its keys. Null with O(state=cache_parked).
  returned: success, with O(kind=wallet)
  type: dict
lost:
  description: What is lost with the cache, in sentences.
  returned: success, with O(kind=wallet)
  type: list
  elements: str
resumed:
  description: Whether this call ended what an earlier one had begun.
  returned: success
  type: bool
kept_database:
  description:
    - The copy that holds what was committed last. With O(state=restored) the one that was given. Empty where nothing was left of the database.
  returned: success, with O(state=preserved) or O(state=restored)
  type: str
plan:
  description:
    - The backup that was chosen, as C(hash), C(archive), C(archive_sha256), C(name), C(created), C(age_seconds), C(good) (null for an encrypted
      one that nothing proves), C(rejected) (newer ones, as C(path), C(kind) and C(problem)), C(image) (its summary with C(state), C(sha256),
      C(bytes), C(page_size), C(page_count), C(schema_version), C(tables), C(last_commit) and C(sentences), what is wrong or unknown),
      C(manifest) (null without one) and C(seconds) (C(decrypt), C(check), and C(rules) for foreign keys and invariants).
    - With O(state=restored) the one that was carried out.
  returned: success, with O(state=planned) or O(state=restored)
  type: dict
begun:
  description: Whether an earlier restore of the database was begun and not ended. C(plan) is the one that it carries out then.
  returned: success, with O(state=planned)
  type: bool
restored:
  description:
    - The last restore of the database, as C(plan) (its hash), C(name), C(at), C(kept_database), and C(created), C(manifest) and C(state) of
      the backup. Null where there was none.
  returned: success, with O(state=planned) or O(state=resumed)
  type: dict
unsettled:
  description:
    - The note of V(preserved) and V(restored) that the database has still to be compared with the chain, however it looks, as C(stage)
      (V(damaged), V(restored) or V(reopening)), C(at), C(kept_database), C(by_restore) and C(services) to start. Null where it was opened since.
    - While V(damaged) also C(lives_in), the kept copy that alone has what was in removed files of a process; empty where it was put back.
  returned: success, with O(state=resumed)
  type: dict
image:
  description: The summary of the database that took the place.
  returned: success, with O(state=restored)
  type: dict
seconds:
  description: How long the swap took.
  returned: success, with O(state=restored)
  type: float
loss:
  description:
    - What is lost, as C(tables) (of each C(new), C(changed), C(deleted), C(unknown), C(more) where more is unknown than can be counted,
      C(columns) that the backup has not), C(escrow_changes) (the first 200 rows of O(priority_tables), no more than key and state),
      C(unknown_rows), C(complete), C(last_commit_kept), C(last_commit_restored), C(seconds_lost) (null where unknown), C(file),
      C(sealed) (the list by gpg, and the only one of an encrypted database; both are null in check mode) and C(wal_left_out) (why a -wal
      was not read that is another database's, else null).
  returned: success, with O(state=compared)
  type: dict
restored_at:
  description: When the restore came to its end. Null in check mode.
  returned: success, with O(state=restored)
  type: str
rejected:
  description: The archives of a database that cannot be restored from, as C(path), C(kind) and C(problem).
  returned: failure, with O(state=planned)
  type: list
  elements: dict
kind:
  description:
    - What stands in the way. V(other_signer), V(unknown_signer), V(other_site), V(other_role), V(newer), V(in_use), V(no_space), V(no_proof),
      V(keys), V(unknown), V(changed), V(journal), V(missing), V(not_in_archive), or what is wrong with the archive, such as
      V(wrong_passphrase), V(damaged), V(unsafe) and V(too_big).
    - For a database also V(no_good_backup), V(no_plan), V(from_future), V(not_a_database), V(page_damage), V(btree_damage), V(foreign_key_damage),
      V(invariant_damage), V(suspect), V(unfinished), V(no_unpacker), V(slow_disk), V(too_slow), V(unreadable), V(encrypted), V(begun) and V(busy).
  returned: failure
  type: str
"""

from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_restore,
    _restore_options,
    _wallet_files,
    _wallet_proof,
    _wallet_restore,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_plan import NoGoodBackup, Question
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_unpack import Bounds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored


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


def database_of(options: dict[str, Any]) -> _database_restore.Wanted:
    question = Question(
        path=options["path"],
        directory=options["directory"],
        archive=options["archive"],
        key=Key(options["passphrase"], options["recipient"]),
        site=options["site"],
        database_key=options["key"],
        invariants=tuple(options["invariants"]),
        bounds=Bounds(options["max_bytes"], options["database_timeout"]),
    )
    return _database_restore.Wanted(
        state=options["state"],
        question=question,
        keep_dirs=tuple(options["keep_dirs"]),
        plan=options["plan"],
        kept_database=options["kept_database"],
        priority_tables=tuple(options["priority_tables"]),
        loss_file=options["loss_file"],
        services=tuple(options["services"]),
        compare_dir=options["compare_dir"],
        state_dir=options["state_dir"],
        run_dir=options["lease_dir"],
    )


def carried_out(module: AnsibleModule) -> dict[str, Any]:
    """A look needs no lease, and check mode is one."""
    options = module.params
    work = (
        partial(_database_restore.restore, database_of(options))
        if options["kind"] == "database"
        else partial(_wallet_restore.restore, wanted_of(options))
    )
    if module.check_mode or options["state"] in _database_restore.READING:
        return work(module.check_mode, module.log)
    with acting(options["lease_dir"], options["token"] or None, "backup_restore"):
        return work(False, module.log)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kind": {"type": "str", "choices": sorted(_restore_options.STATES), "default": "wallet"},
            "state": {"type": "str", "choices": sorted(set().union(*_restore_options.STATES.values())), "required": True},
            "path": {"type": "path", "default": ""},
            "role": {"type": "str", "default": ""},
            "directory": {"type": "path", "default": ""},
            "wallet": {"type": "str", "default": ""},
            "archive": {"type": "path", "default": ""},
            "passphrase": {"type": "str", "default": "", "no_log": True},
            "recipient": {"type": "str", "default": ""},
            "site": {"type": "str", "default": ""},
            "image": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "pin": {"type": "str", "default": "", "no_log": False},
            "address": {"type": "str", "default": ""},
            "others": {"type": "list", "elements": "dict", "default": [], "options": _restore_options.OTHER},
            "unknown_signer": {"type": "bool", "default": False},
            "nothing_signed_since": {"type": "bool", "default": False},
            "network": {"type": "str", "choices": sorted(_wallet_proof.NETWORKS), "default": "mainnet"},
            "scratch_dir": {"type": "path", "default": "/run/marketplace_incident/wallet_proof"},
            "timeout": {"type": "float", "default": 120.0},
            "key": {"type": "str", "default": "", "no_log": True},
            "invariants": {"type": "list", "elements": "dict", "default": [], "options": _restore_options.INVARIANT},
            "keep_dirs": {"type": "list", "elements": "path", "default": []},
            "plan": {"type": "str", "default": ""},
            "kept_database": {"type": "path", "default": ""},
            "priority_tables": {"type": "list", "elements": "str", "default": []},
            "loss_file": {"type": "path", "default": ""},
            "services": {"type": "list", "elements": "str", "default": []},
            "compare_dir": {"type": "path", "default": ""},
            "max_bytes": {"type": "int", "default": 0},
            "database_timeout": {"type": "float", "default": 3600.0},
            "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
            "token": {"type": "str", "default": "", "no_log": False},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    options = module.params
    for problem in _restore_options.missing(options):
        module.fail_json(msg=problem, kind="missing")
    try:
        result = carried_out(module)
    except NoGoodBackup as none:
        module.fail_json(msg=str(none), kind=none.kind, rejected=none.rejected)
    except NotRestored as refused:
        module.fail_json(msg=str(refused), kind=refused.kind)
    except (_wallet_files.NotAWallet, IncidentError) as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
