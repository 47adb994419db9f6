#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_create
short_description: Make encrypted, proven backups
version_added: 0.3.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Of the wallets, makes one archive C(marketplace-wallet-ROLE-TIME.tar.gz.gpg) for each role, with the keys, the cache and the address of every wallet in
    the role's folder, and a manifest. The shares of two roles never lie in one file.
  - Of the database, makes an image C(marketplace-db-TIME.db.gz.gpg) of one moment while it is in use, in one step that writers do not
    disturb and that does not write to it, checks it, and publishes it only where it is sound. C(latest.db.gz.gpg) points to it.
  - An open wallet is stored by its own RPC first. Each file is hashed before it is read, on the way, and looked at again afterwards; what
    changed meanwhile is read again, five times at most.
  - What is packed goes through gzip and gpg as a stream. Nothing is written in clear but the image of the database, which lies in
    O(scratch_dir) meanwhile; memory does not depend on sizes, and passphrases are handed on by file descriptor.
  - An archive is decrypted again and compared with what was put into it, before it is published by a rename, with C(.sha256) and
    C(.manifest.json) beside it; then C(latest-ROLE.tar.gz.gpg) or C(latest.db.gz.gpg) points to it.
  - Archives that are too old are removed, but never the last proven ones, and none while a hold or a freeze stands.
  - Roles are backed up side by side. One that fails does not keep the others from being backed up; the module fails at its end.
  - Never opens a wallet, and never calls a multisig method that changes anything.
  - A run that was killed leaves at most an unfinished, encrypted file, and an image in O(scratch_dir), which the next one removes.
requirements:
  - gpg 2.2 or newer
extends_documentation_fragment:
  - monero_marketplace.incident.guarded
  - monero_marketplace.incident.backup
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
attributes:
  check_mode:
    support: full
    details:
      - Reads the keys and asks the wallets for their height; stores and writes nothing.
  diff_mode:
    support: none
    details:
      - What is in a wallet is nobody's business here.
  idempotent:
    support: partial
    details:
      - A role with a sound archive younger than O(minimum_age), of the same keys at the same height, is left as it is; so is a database with
        a sound archive that young.
options:
  kind:
    description: What to back up.
    type: str
    choices: [wallet, database]
    required: true
  site:
    description: Which site it is, for the manifest; its name in the inventory.
    type: str
    required: true
  directory:
    description: The folder for the archives. It is made with mode 0700, its files have mode 0600.
    type: path
    required: true
  passphrase:
    description: The passphrase that locks the archives, one line. Either this or O(recipient) is needed.
    type: str
    default: ""
  minimum_age:
    description:
      - Seconds for which an archive of the same keys at the same height counts as the backup that is asked for. V(0) always makes one.
      - Of a database, whatever was written since.
    type: float
    default: 900.0
  keep_all:
    description: Why nothing may be removed now, such as an open incident. Empty where it may.
    type: str
    default: ""
  timeout:
    description: Seconds for a short answer of a wallet.
    type: float
    default: 10.0
seealso:
  - module: monero_marketplace.incident.backup_info
  - module: monero_marketplace.incident.monero_wallet
"""

EXAMPLES = r"""
- name: Back up the wallets of two roles
  monero_marketplace.incident.backup_create:
    kind: wallet
    site: market-1
    wallets:
      - role: buyer
        service: monero-wallet-rpc-buyer
        directory: /data/wallets/buyer
        login_file: /opt/marketplace/4.5/docker/secrets/wallet_rpc_login
      - role: vendor
        service: monero-wallet-rpc-vendor
        directory: /data/wallets/vendor
        login_file: /opt/marketplace/4.5/docker/secrets/wallet_rpc_login
    directory: /backups/wallets
    passphrase: "{{ marketplace_backup_passphrase }}"
    token: "{{ guard.token }}"

- name: Back up the database
  monero_marketplace.incident.backup_create:
    kind: database
    site: market-1
    path: /data/marketplace.db
    directory: /backups/database
    passphrase: "{{ marketplace_backup_passphrase }}"
    token: "{{ guard.token }}"
"""

RETURN = r"""
backups:
  description:
    - One entry for each of O(wallets), in the same order; of the database one, whose role is V(database). Also returned when the module fails.
  returned: success or failure
  type: list
  elements: dict
  contains:
    role:
      description: As given.
      type: str
    state:
      description: V(made); V(fresh), where a young archive holds the same; V(failed); in check mode V(would_be_made).
      type: str
    path:
      description: The archive. Null where there is none.
      type: str
    bytes:
      description: Its size.
      type: int
    sha256:
      description: Its checksum.
      type: str
    created:
      description: When it was made, in UTC.
      type: str
    age_seconds:
      description: How old it is.
      type: int
    verified:
      description: V(decrypted); V(checksum), where this host cannot decrypt it by design; null for one that was not made now.
      type: str
    manifest:
      description:
        - Of the database, what the archive's manifest says, with C(site), C(created), C(image), C(wallets), C(key_generation),
          C(compression), C(encrypted_with), C(database_encrypted) and C(tools).
        - C(image) has C(bytes), C(sha256), C(page_size), C(page_count), C(schema_version), C(tables) with their rows, C(last_commit),
          C(state) and C(made), which is V(online) or V(copied). C(wallets) has the height of each role's open wallet at that moment.
      type: dict
    image_seconds:
      description: Of the database, how long its image took.
      type: float
    wallets:
      description:
        - What its manifest says of each wallet, with C(name), C(keys_sha256), C(keys_bytes), C(cache_sha256), C(cache_bytes),
          C(consistent), C(primary_address), C(height), C(restore_height), C(highest_subaddress_index) and C(multisig).
        - C(consistent) is V(stored), V(stopped), V(at_rest) for a wallet that is not open, or V(unstored) for an open one that could not
          be stored. What only its wallet RPC knows is null for a wallet that is not open and was not in the earlier archive.
      type: list
      elements: dict
    notes:
      description: What a person should know about it, one sentence each.
      type: list
      elements: str
    problem:
      description: Why there is no archive. Empty where there is one.
      type: str
    seconds:
      description: How long it took.
      type: float
    retention:
      description: C(removed), names of archives; C(kept), their number; C(why), the reason for which old ones stay. Null without an archive.
      type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_options
from ansible_collections.monero_marketplace.incident.plugins.module_utils._http_probe import BadUrl
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting, renew


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **_backup_options.SPEC,
            "kind": {"type": "str", "choices": ["wallet", "database"], "required": True},
            "site": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "passphrase": {"type": "str", "default": "", "no_log": True},
            "minimum_age": {"type": "float", "default": 900.0},
            "keep_all": {"type": "str", "default": ""},
            "timeout": {"type": "float", "default": 10.0},
            "token": {"type": "str", "default": "", "no_log": False},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        required_if=[("kind", "database", ["path"])],
        supports_check_mode=True,
    )
    options = module.params

    def allowed() -> bool:
        return not options["token"] or renew(options["lease_dir"], options["token"])

    try:
        if module.check_mode:
            found = _backup_options.backed_up(options["kind"], options, allowed, dry=True)
        else:
            with acting(options["lease_dir"], options["token"] or None, "backup_create"):
                found = _backup_options.backed_up(options["kind"], options, allowed)
    except (BadUrl, IncidentError) as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    for one in found:
        module.log(f"backup of {one['role']}: {one['state']} {one['path'] or one['problem']}")
    changed = any(one["state"] in ("made", "would_be_made") or (one["retention"] or {}).get("removed") for one in found)
    missed = [one["problem"] for one in found if one["state"] == "failed"]
    if missed:
        what = "Not every role is backed up" if options["kind"] == "wallet" else "There is no new backup of the database"
        module.fail_json(msg=f"{what}: {' '.join(missed)}", backups=found, changed=changed)
    module.exit_json(backups=found, changed=changed)


if __name__ == "__main__":
    main()
