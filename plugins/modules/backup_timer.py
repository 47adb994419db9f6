#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_timer
short_description: Have the host back up its wallets by itself
version_added: 0.3.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Installs a systemd timer C(marketplace-backup-wallets.timer) that makes the same archives as M(monero_marketplace.incident.backup_create),
    by the same code, without Ansible. That code is put below O(tree), its settings and the passphrase below O(settings_dir), for root only.
  - The timer respects holds and leases. While one forbids it, it tries again every ten minutes, twelve times at most.
  - A backup that failed is a failed unit, with its reason in the journal, and a metric where O(textfile_dir) is given.
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
      - One of the files holds the passphrase; RV(files) names those that change.
  idempotent:
    support: full
options:
  state:
    description: V(present) installs it and starts the timer; V(absent) removes all of it. Archives stay.
    type: str
    choices: [present, absent]
    default: present
  site:
    description: As O(monero_marketplace.incident.backup_create#module:site).
    type: str
    default: ""
  wallets:
    description: As O(monero_marketplace.incident.backup_create#module:wallets). Needed for V(present).
    type: list
    elements: dict
    default: []
    suboptions:
      role:
        description: Whose wallets they are.
        type: str
        required: true
      service:
        description: The Compose service of the wallet RPC.
        type: str
        required: true
      url:
        description: Address of the wallet RPC, where it is not its container's.
        type: str
        default: ""
      user:
        description: The user of its login. Empty means O(wallets[].login_file), else no login.
        type: str
        default: ""
      password:
        description: The password of its login.
        type: str
        default: ""
      login_file:
        description: A file on the host with the login.
        type: path
      directory:
        description: The folder on the host in which the wallets lie.
        type: path
        required: true
      wallet:
        description: The wallet whose keys O(wallets[].signer) is about.
        type: str
        default: ""
      signer:
        description: SHA-256 of that wallet's C(.keys).
        type: str
        default: ""
  wallet_port:
    description: Port of the wallet RPC on its container's address.
    type: int
    default: 18082
  validate_certs:
    description: Whether the certificate of an https address must be valid.
    type: bool
    default: true
  directory:
    description: The folder for the archives. Needed for V(present).
    type: path
  passphrase:
    description: The passphrase that locks the archives. Either this or O(recipient) is needed for V(present).
    type: str
    default: ""
  recipient:
    description: A gpg key in the keyring of root, for which the archives are encrypted.
    type: str
    default: ""
  key_generation:
    description: Which generation of that passphrase or key it is.
    type: str
    default: "1"
  minimum_age:
    description: Seconds for which an archive of the same keys at the same height counts as the backup.
    type: float
    default: 900.0
  retention_days:
    description: Days after which an archive may be removed.
    type: float
    default: 90.0
  keep_good:
    description: How many archives of a role stay, proven good, whatever their age.
    type: int
    default: 3
  store_timeout:
    description: Seconds for storing a wallet.
    type: float
    default: 60.0
  archive_timeout:
    description: Seconds for making one archive, and once more for proving it.
    type: float
    default: 1800.0
  schedule:
    description: When it runs, as systemd's C(OnCalendar) takes it.
    type: str
    default: "*-*-* 03:17:00"
  random_delay:
    description: Seconds by which it may be later, so that not every host does it at once.
    type: int
    default: 600
  textfile_dir:
    description:
      - The folder of node-exporter's textfile collector, for C(marketplace_backup_wallets.prom).
      - In it are C(marketplace_backup_last_success_timestamp_seconds), C(marketplace_backup_bytes) and
        C(marketplace_backup_last_run_success), each by role. Empty means none.
    type: str
    default: ""
  tree:
    description: Where the code goes.
    type: path
    default: /usr/local/lib/marketplace_backup
  settings_dir:
    description: Where the settings go. It is made with mode 0700.
    type: path
    default: /etc/marketplace_backup
  units_dir:
    description: Where systemd looks for units.
    type: path
    default: /etc/systemd/system
  state_dir:
    description: Where holds and freezes lie.
    type: path
    default: /var/lib/marketplace_incident
seealso:
  - module: monero_marketplace.incident.backup_create
"""

EXAMPLES = r"""
- name: Back up the buyer's wallets every night
  monero_marketplace.incident.backup_timer:
    state: present
    site: market-1
    wallets:
      - role: buyer
        service: monero-wallet-rpc-buyer
        directory: /data/wallets/buyer
        login_file: /opt/marketplace/4.5/docker/secrets/wallet_rpc_login
    directory: /backups/wallets
    passphrase: "{{ marketplace_backup_passphrase }}"
    token: "{{ guard.token }}"

- name: No timer any more
  monero_marketplace.incident.backup_timer:
    state: absent
    token: "{{ guard.token }}"
"""

RETURN = r"""
files:
  description: What was written or removed, or would be in check mode.
  returned: success
  type: list
  elements: str
timer:
  description: What systemd says of the timer, V(active) or another of its words, after that. V(unknown) where it did not say.
  returned: success
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_install
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_install import UNIT, Where
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import sentence_from
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting

SETTINGS = (
    "site", "wallets", "wallet_port", "validate_certs", "directory", "recipient", "key_generation", "minimum_age", "retention_days",
    "keep_good", "store_timeout", "archive_timeout", "textfile_dir", "state_dir", "lease_dir",
)  # fmt: skip
WALLET = {
    "role": {"type": "str", "required": True},
    "service": {"type": "str", "required": True},
    "url": {"type": "str", "default": ""},
    "user": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "login_file": {"type": "path"},
    "directory": {"type": "path", "required": True},
    "wallet": {"type": "str", "default": ""},
    "signer": {"type": "str", "default": ""},
}


def said(verb: str) -> str:
    """systemd's word for the timer."""
    answer = run(["systemctl", verb, f"{UNIT}.timer"], 10.0)
    return sentence_from(answer.out) or "unknown"


def ordered(*words: str) -> None:
    answer = run(["systemctl", *words], 60.0)
    if not answer.ok:
        why = sentence_from(answer.err) or "no answer in time"
        raise IncidentError(f"systemctl {' '.join(words)} failed: {why}. Look with systemctl status {UNIT}.timer.")


def present(options: dict[str, Any], where: Where, write: bool) -> list[str]:
    if not options["wallets"] or not options["directory"] or not (options["passphrase"] or options["recipient"]):
        raise IncidentError("A timer needs wallets, a directory, and a passphrase or a recipient: set them in the inventory.")
    settings = {name: options[name] for name in SETTINGS}
    wanted = _backup_install.files(where, settings, options["passphrase"], options["schedule"], options["random_delay"])
    changed = [one.path for one in _backup_install.different(wanted)]
    stopped = said("is-enabled") != "enabled" or said("is-active") != "active"
    if write and changed:
        _backup_install.put([one for one in wanted if one.path in changed])
        ordered("daemon-reload")
    if write and (stopped or any(path.endswith(".timer") for path in changed)):
        ordered("enable", f"{UNIT}.timer")
        ordered("restart", f"{UNIT}.timer")
    return changed or ([f"{UNIT}.timer"] if stopped else [])


def absent(where: Where, write: bool) -> list[str]:
    there = _backup_install.installed(where)
    if there and write:
        if any(path.endswith(".timer") for path in there):
            ordered("disable", "--now", f"{UNIT}.timer")
        _backup_install.take_away(there, where)
        ordered("daemon-reload")
    return there


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "site": {"type": "str", "default": ""},
            "wallets": {"type": "list", "elements": "dict", "default": [], "options": WALLET},
            "wallet_port": {"type": "int", "default": 18082},
            "validate_certs": {"type": "bool", "default": True},
            "directory": {"type": "path"},
            "passphrase": {"type": "str", "default": "", "no_log": True},
            "recipient": {"type": "str", "default": ""},
            "key_generation": {"type": "str", "default": "1", "no_log": False},
            "minimum_age": {"type": "float", "default": 900.0},
            "retention_days": {"type": "float", "default": 90.0},
            "keep_good": {"type": "int", "default": 3},
            "store_timeout": {"type": "float", "default": 60.0},
            "archive_timeout": {"type": "float", "default": 1800.0},
            "schedule": {"type": "str", "default": "*-*-* 03:17:00"},
            "random_delay": {"type": "int", "default": 600},
            "textfile_dir": {"type": "str", "default": ""},
            "tree": {"type": "path", "default": "/usr/local/lib/marketplace_backup"},
            "settings_dir": {"type": "path", "default": "/etc/marketplace_backup"},
            "units_dir": {"type": "path", "default": "/etc/systemd/system"},
            "token": {"type": "str", "default": "", "no_log": False},
            "state_dir": {"type": "path", "default": "/var/lib/marketplace_incident"},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    options = module.params
    where = Where(options["tree"], options["settings_dir"], options["units_dir"])

    def done(write: bool) -> list[str]:
        return present(options, where, write) if options["state"] == "present" else absent(where, write)

    try:
        if module.check_mode:
            changed = done(False)
        else:
            with acting(options["lease_dir"], options["token"] or None, "backup_timer"):
                changed = done(True)
    except IncidentError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    module.exit_json(changed=bool(changed), files=changed, timer=said("is-active"))


if __name__ == "__main__":
    main()
