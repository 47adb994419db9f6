#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wallet_keys_guard
short_description: Keep wallets' keys from being removed while a restored database is not proven
version_added: 0.4.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - An application whose database is older than its wallets may make a wallet anew that it does not know, and remove the keys of a funded
    escrow for that. While the guard stands only root can remove, rename or replace a C(.keys) file.
  - The wallet RPC goes on opening, storing and making wallets. It opens keys for writing, so that a read-only or immutable file would not open;
    instead the folder is root's with the sticky bit set, and keys are root's with the right of a group to write. It is one of the wallet RPC's
    own, asked of its process, in which no account of this host is. Where there is none, the keys are not guarded and RV(problems) says so.
  - Owners and modes before are noted in O(state_dir), and given back exactly.
  - It does not keep whoever may write from writing into a C(.keys) file. Have a copy elsewhere.
extends_documentation_fragment:
  - monero_marketplace.incident.guarded
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.actiongroup_incident
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - What changes is in RV(paths).
  idempotent:
    support: full
    details:
      - Said again, keys that came meanwhile are guarded too. Killed in the middle, the next call goes on.
options:
  state:
    description: V(guarded) guards the keys, V(released) gives back what was noted.
    type: str
    choices: [guarded, released]
    required: true
  directories:
    description: The folders on the host that the wallet RPCs get as their C(--wallet-dir). With O(state=released) all that are guarded are released.
    type: list
    elements: path
    default: []
  state_dir:
    description: Where the note of what was before lies.
    type: path
    default: /var/lib/marketplace_incident
seealso:
  - module: monero_marketplace.incident.backup_create
  - module: monero_marketplace.incident.escrow_reconcile_info
"""

EXAMPLES = r"""
- name: Nobody but root removes keys until the shop is open again
  monero_marketplace.incident.wallet_keys_guard:
    state: guarded
    directories: [/data/wallets/buyer, /data/wallets/vendor, /data/wallets/arbiter]
    token: "{{ guard.token }}"
"""

RETURN = r"""
paths:
  description: The files and folders that were changed, in check mode those that would be.
  returned: success
  type: list
  elements: str
problems:
  description: What could not be guarded, one sentence each, such as a folder whose wallet RPC runs as root, or does not run.
  returned: success
  type: list
  elements: str
"""

from contextlib import nullcontext

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_keys_guard
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["guarded", "released"], "required": True},
            "directories": {"type": "list", "elements": "path", "default": []},
            "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
            "token": {"type": "str", "default": "", "no_log": False},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    options, write = module.params, not module.check_mode
    try:
        with acting(options["lease_dir"], options["token"] or None, "wallet_keys_guard") if write else nullcontext():
            if options["state"] == "guarded":
                done = _wallet_keys_guard.guard(options["directories"], options["state_dir"], write)
            else:
                done = _wallet_keys_guard.release(options["state_dir"], write)
    except IncidentError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    if done.changed and write:
        module.log(f"keys {options['state']}: {len(done.changed)} files and folders")
    module.exit_json(changed=bool(done.changed), paths=done.changed, problems=done.problems)


if __name__ == "__main__":
    main()
