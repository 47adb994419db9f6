#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_timer
short_description: Have the host make its backups by itself, and prove them
version_added: 0.3.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Installs a systemd timer C(marketplace-backup-wallets.timer) or C(marketplace-backup-database.timer) that makes the same archives as
    M(monero_marketplace.incident.backup_create), by the same code, without Ansible. That code is put below O(tree), its settings and the
    secrets below O(settings_dir), for root only.
  - Or C(marketplace-backup-prove.timer), which restores the newest archives into scratch, checks them and measures how long that takes.
  - The timer respects holds and leases. While one forbids it, it tries again every ten minutes, twelve times at most.
  - A backup that failed is a failed unit, with its reason in the journal, and a metric where O(textfile_dir) is given.
extends_documentation_fragment:
  - monero_marketplace.incident.guarded
  - monero_marketplace.incident.backup
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
  kind:
    description: What the timer does. V(prove) makes no backup, and waits for nobody.
    type: str
    choices: [wallet, database, prove]
    default: wallet
    version_added: 0.4.0
  state:
    description: V(present) installs it and starts the timer; V(absent) removes all of it. Archives stay.
    type: str
    choices: [present, absent]
    default: present
  site:
    description: As O(monero_marketplace.incident.backup_create#module:site).
    type: str
    default: ""
  directory:
    description: The folder for the archives; for V(prove) that of the database's. Needed for V(present).
    type: path
  wallets_directory:
    description: For O(kind=prove), the folder of the wallets' archives, which are proven too. Empty means that they are not.
    type: str
    default: ""
    version_added: 0.4.0
  passphrase:
    description: The passphrase that locks the archives. Either this or O(recipient) is needed for V(present).
    type: str
    default: ""
  minimum_age:
    description:
      - Seconds for which an archive of the same keys at the same height counts as the backup. Of the database, whatever was written since;
        there V(0) keeps the hour.
    type: float
    default: 900.0
  schedule:
    description:
      - When it runs, as systemd's C(OnCalendar) takes it. Empty means V(*-*-* 03:17:00) for the wallets, V(hourly) for the database and
        V(*-*-* 04:41:00) for the proof.
    type: str
    default: ""
  random_delay:
    description: Seconds by which it may be later, always by the same, so that not every host does it at once.
    type: int
    default: 600
  textfile_dir:
    description:
      - The folder of node-exporter's textfile collector, for C(marketplace_backup_wallets.prom), C(marketplace_backup_database.prom) and
        C(marketplace_backup_prove.prom). Empty means none.
      - In the first two are C(marketplace_backup_last_success_timestamp_seconds), C(marketplace_backup_bytes) and
        C(marketplace_backup_last_run_success), each by kind and role.
      - In the third are C(marketplace_backup_proven_timestamp_seconds), C(marketplace_backup_proven_rto_seconds), how long decrypting and
        checking took, C(marketplace_backup_proven_rpo_seconds), how old the archive was, and C(marketplace_backup_proven_last_run_success).
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

- name: Back up the database every hour
  monero_marketplace.incident.backup_timer:
    kind: database
    site: market-1
    path: /data/marketplace.db
    directory: /backups/database
    minimum_age: 0
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

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_install, _backup_options
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_command import PROVE, SECRETS
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_install import Where
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_options import DATABASE, WALLET
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import sentence_from
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting

SETTINGS = ("site", "directory", "wallets_directory", "minimum_age", "textfile_dir", "lease_dir", *_backup_options.SPEC)
NEEDED = {
    WALLET: ("wallets, a directory, and a passphrase or a recipient", ("wallets", "directory")),
    DATABASE: ("a path, a directory, and a passphrase or a recipient", ("path", "directory")),
    PROVE: ("a path, a directory, and a passphrase or a recipient", ("path", "directory")),
}


def said(verb: str, where: Where) -> str:
    """systemd's word for the timer."""
    answer = run(["systemctl", verb, f"{where.unit}.timer"], 10.0)
    return sentence_from(answer.out) or "unknown"


def ordered(where: Where, *words: str) -> None:
    answer = run(["systemctl", *words], 60.0)
    if not answer.ok:
        why = sentence_from(answer.err) or "no answer in time"
        raise IncidentError(f"systemctl {' '.join(words)} failed: {why}. Look with systemctl status {where.unit}.timer.")


def present(options: dict[str, Any], where: Where, write: bool) -> list[str]:
    what, needed = NEEDED[where.kind]
    if not all(options[name] for name in needed) or not (options["passphrase"] or options["recipient"]):
        raise IncidentError(f"A timer needs {what}: set them in the inventory.")
    settings = {name: options[name] for name in SETTINGS if name not in SECRETS}
    secrets = {name: options[name] for name in SECRETS}
    wanted = _backup_install.files(where, settings, secrets, options["schedule"], options["random_delay"])
    changed = [one.path for one in _backup_install.different(wanted)]
    stopped = said("is-enabled", where) != "enabled" or said("is-active", where) != "active"
    if write and changed:
        _backup_install.put([one for one in wanted if one.path in changed])
        ordered(where, "daemon-reload")
    if write and (stopped or any(path.endswith(".timer") for path in changed)):
        ordered(where, "enable", f"{where.unit}.timer")
        ordered(where, "restart", f"{where.unit}.timer")
    return changed or ([f"{where.unit}.timer"] if stopped else [])


def absent(where: Where, write: bool) -> list[str]:
    there = _backup_install.installed(where)
    if there and write:
        if any(path.endswith(".timer") for path in there):
            ordered(where, "disable", "--now", f"{where.unit}.timer")
        _backup_install.take_away(there, where)
        ordered(where, "daemon-reload")
    return there


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **_backup_options.SPEC,
            "kind": {"type": "str", "choices": ["wallet", "database", "prove"], "default": "wallet"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "site": {"type": "str", "default": ""},
            "directory": {"type": "path"},
            "wallets_directory": {"type": "str", "default": ""},
            "passphrase": {"type": "str", "default": "", "no_log": True},
            "minimum_age": {"type": "float", "default": 900.0},
            "schedule": {"type": "str", "default": ""},
            "random_delay": {"type": "int", "default": 600},
            "textfile_dir": {"type": "str", "default": ""},
            "tree": {"type": "path", "default": "/usr/local/lib/marketplace_backup"},
            "settings_dir": {"type": "path", "default": "/etc/marketplace_backup"},
            "units_dir": {"type": "path", "default": "/etc/systemd/system"},
            "token": {"type": "str", "default": "", "no_log": False},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    options = module.params
    where = Where(options["tree"], options["settings_dir"], options["units_dir"], options["kind"])

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
    module.exit_json(changed=bool(changed), files=changed, timer=said("is-active", where))


if __name__ == "__main__":
    main()
