#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: Tell which backups there are, and which is the newest good one
version_added: 0.3.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Lists the archives of a folder, the newest first by the time in their names, and proves them as far as is asked for.
  - Of the wallets it also knows archives made elsewhere, C(tar.gz.gpg) with files in a folder such as C(buyer/) or bare ones, and without a manifest.
  - Of the database it knows whatever ends in C(.gpg), and tells by its content, not by its name, whether an image or an SQL dump is in it.
  - An archive is read as a stream and not trusted. Links, devices, special modes, paths that lead out of it, and whatever unpacks to more
    than it may, are refused, and nothing of it is written anywhere; only an image of the database is, into O(scratch_dir), where it is
    checked and wiped.
requirements:
  - gpg 2.2 or newer, where O(verify=full)
extends_documentation_fragment:
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
  - monero_marketplace.incident.attributes.info_module
options:
  kind:
    description: Which backups.
    type: str
    choices: [wallet, database]
    required: true
  directory:
    description: The folder in which they lie.
    type: path
    required: true
  verify:
    description:
      - V(listing) looks at names and at what lies beside each archive, in milliseconds.
      - V(checksum) also reads each archive and compares its SHA-256.
      - V(full) also decrypts them to their last byte and compares each file with the manifest, role by role from the newest back to the
        first good one; older ones are listed only. An image of the database is restored into O(scratch_dir) and checked to its last page.
    type: str
    choices: [listing, checksum, full]
    default: listing
  all:
    description: With O(verify=full), every archive and not only back to the newest good one.
    type: bool
    default: false
  roles:
    description: Only these roles' archives, and those whose name does not tell. Empty means all.
    type: list
    elements: str
    default: []
  site:
    description: The site that a manifest must name. Empty means any.
    type: str
    default: ""
  passphrase:
    description: The passphrase that opens them.
    type: str
    default: ""
  archive_timeout:
    description: Seconds for reading one archive.
    type: float
    default: 1800.0
  key:
    description: The key of a database that is encrypted (SQLCipher). Without it nobody knows whether its image is good.
    type: str
    default: ""
    version_added: 0.4.0
  invariants:
    description: What must hold in the database, as O(monero_marketplace.incident.backup_create#module:invariants).
    type: list
    elements: dict
    default: []
    version_added: 0.4.0
    suboptions:
      name:
        description: What it is called.
        type: str
        required: true
      query:
        description: A C(SELECT) that returns no row where it holds.
        type: str
        required: true
  path:
    description: The database whose archives they are, for O(scratch_dir). It is not looked at.
    type: path
    version_added: 0.4.0
  scratch_dir:
    description:
      - Folder for an image of the database while it is checked, made with mode 0700 and gone afterwards. Its disk needs room for it.
      - Empty means C(.marketplace_backup) beside O(path), so that what is in clear stays on that disk; where that is not there, or
        others than root could exchange what lies there, C(/var/lib/marketplace_incident/scratch).
    type: str
    default: ""
    version_added: 0.4.0
seealso:
  - module: monero_marketplace.incident.backup_create
"""

EXAMPLES = r"""
- name: Which backups of the wallets are there
  monero_marketplace.incident.backup_info:
    kind: wallet
    directory: /backups/wallets

- name: Find the newest backup of the buyer that can be restored
  monero_marketplace.incident.backup_info:
    kind: wallet
    directory: /backups/wallets
    verify: full
    roles: [buyer]
    site: market-1
    passphrase: "{{ marketplace_backup_passphrase }}"

- name: Find the newest backup of the database that can be restored
  monero_marketplace.incident.backup_info:
    kind: database
    directory: /backups/database
    verify: full
    site: market-1
    passphrase: "{{ marketplace_backup_passphrase }}"
"""

RETURN = r"""
backups:
  description: The archives, the newest first.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Where it is.
      type: str
    role:
      description: Whose wallets it holds. Null where that is not known, or where it holds those of several.
      type: str
    roles:
      description: All roles whose files are in it, as far as is known.
      type: list
      elements: str
    ours:
      description: Whether its name is one that M(monero_marketplace.incident.backup_create) gives.
      type: bool
    created:
      description: When it was made, in UTC, by its name; by the file's own time where the name does not say.
      type: str
    age_seconds:
      description: How old it is.
      type: int
    bytes:
      description: Its size.
      type: int
    manifest:
      description: What it says of itself. The one in the archive where it was decrypted, else the one beside it. Null without one.
      type: dict
    wallets:
      description: Names of the wallets whose keys are in it. Empty where it was not decrypted.
      type: list
      elements: str
    sha256:
      description: The checksum noted beside it. Null without one.
      type: str
    sha256_ok:
      description: Whether it still has that checksum. Null where that was not looked at, or none is noted.
      type: bool
    decrypts:
      description: Whether it opens. Null where that was not tried, or where it cannot be told, as in a damaged one.
      type: bool
    content_ok:
      description: Whether its files are safe and the ones that its manifest names. Null where that is not known.
      type: bool
    content:
      description:
        - Of the database, what was found in it with O(verify=full), a state of M(monero_marketplace.incident.sqlite_info) such as V(ok) or
          V(page_damage), V(encrypted) where its key was not given, or V(dump). Null where it was not decrypted.
      type: str
    seconds:
      description: How long C(decrypt) took, and of the database C(check). Null where it was not decrypted.
      type: dict
    good:
      description: Whether it can be restored. Null where nobody knows, as with V(listing), or on a host without the key.
      type: bool
    problem:
      description: What is wrong with it, one sentence. Empty where nothing is known to be.
      type: str
newest_good:
  description: The path of the newest good archive, by role; the database's is V(database). A role without one is not in it.
  returned: success
  type: dict
latest:
  description: The archive to which each role's C(latest-ROLE.tar.gz.gpg) points.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_shelf, _wallet_shelf
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_options import INVARIANT
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for


def looked(options: dict[str, Any]) -> dict[str, Any]:
    key = Key(options["passphrase"])
    if options["kind"] == "wallet":
        return _wallet_shelf.looked(
            options["directory"],
            key,
            options["verify"],
            roles=options["roles"],
            site=options["site"],
            everything=options["all"],
            seconds=options["archive_timeout"],
        )
    look = _database_shelf.Look(
        key=key,
        verify=options["verify"],
        site=options["site"],
        everything=options["all"],
        seconds=options["archive_timeout"],
        scratch_dir=_database_shelf.scratch_of(options["path"] or "", options["scratch_dir"]),
        database_key=options["key"],
        invariants=tuple(options["invariants"]),
    )
    return _database_shelf.looked(options["directory"], look)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kind": {"type": "str", "choices": ["wallet", "database"], "required": True},
            "directory": {"type": "path", "required": True},
            "verify": {"type": "str", "choices": ["listing", "checksum", "full"], "default": "listing"},
            "all": {"type": "bool", "default": False},
            "roles": {"type": "list", "elements": "str", "default": []},
            "site": {"type": "str", "default": ""},
            "passphrase": {"type": "str", "default": "", "no_log": True},
            "archive_timeout": {"type": "float", "default": 1800.0},
            "key": {"type": "str", "default": "", "no_log": True},
            "invariants": {"type": "list", "elements": "dict", "default": [], "options": INVARIANT},
            "path": {"type": "path"},
            "scratch_dir": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        found = looked(options)
    except IncidentError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    module.exit_json(**found)


if __name__ == "__main__":
    main()
