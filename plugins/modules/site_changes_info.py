#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: site_changes_info
short_description: Tell what changed of late where a Compose project lies
version_added: 0.2.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Reads the last commits of the project's work tree, which setting was written last, and the newest file in each backup folder.
  - Names and times only; no content of a setting or a backup is read. What cannot be told is null.
extends_documentation_fragment:
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.info_module
  - monero_marketplace.incident.attributes.actiongroup_incident
options:
  project_dir:
    description: The folder of the Compose file.
    type: path
    required: true
  backup_dirs:
    description: Folders with backups, at any depth.
    type: list
    elements: path
    default: []
  commits:
    description: How many commits to tell.
    type: int
    default: 10
  timeout:
    description: Seconds for each question.
    type: float
    default: 2.0
seealso:
  - module: monero_marketplace.incident.compose_info
"""

EXAMPLES = r"""
- name: What was changed before it broke
  monero_marketplace.incident.site_changes_info:
    project_dir: /opt/marketplace/4.5/docker
    backup_dirs: [/backups/database, /backups/wallets]
  register: recent
"""

RETURN = r"""
commits:
  description: The last commits, newest first, each with C(commit), C(time) in seconds since 1970, and C(subject). Null without a work tree.
  returned: success
  type: list
  elements: dict
edited:
  description: Tracked files that differ from the last commit. Null without a work tree.
  returned: success
  type: list
  elements: str
setting:
  description: The Compose file or C(.env) that was written last, with C(path) and C(time) in seconds since 1970. Null where there is none.
  returned: success
  type: dict
backups:
  description:
    - For each of O(backup_dirs) its newest file, with C(directory), C(path), C(time) in seconds since 1970, C(bytes) and C(problem).
    - That it is the newest says nothing about whether it can be restored.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _site_changes


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "project_dir": {"type": "path", "required": True},
            "backup_dirs": {"type": "list", "elements": "path", "default": []},
            "commits": {"type": "int", "default": 10},
            "timeout": {"type": "float", "default": 2.0},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    for name in ("commits", "timeout"):
        if wanted[name] <= 0:
            module.fail_json(msg=f"'{name}' is {wanted[name]}: it needs a number above 0.")
    module.exit_json(
        changed=False,
        **_site_changes.commits(wanted["project_dir"], wanted["commits"], wanted["timeout"]),
        setting=_site_changes.newest_setting(wanted["project_dir"]),
        backups=[_site_changes.newest_backup(one, wanted["timeout"]) for one in wanted["backup_dirs"]],
    )


if __name__ == "__main__":
    main()
