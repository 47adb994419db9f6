#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_set
short_description: Keep a set of files on another disk before they change
version_added: 0.2.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Copies files that belong together, such as a database with its C(-wal) and C(-shm), to a folder on another file system, and proves
    each copy by its checksum.
  - The files must not change meanwhile. What does change is noticed, and fails the module; freeze whoever writes to it first.
  - Copies are named by their content, so that the same files are kept once.
requirements:
  - coreutils
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
      - Nothing that was there before changes.
  idempotent:
    support: full
options:
  state:
    description: What to do.
    type: str
    choices: [kept]
    default: kept
  paths:
    description: The files. All of them must be there.
    type: list
    elements: path
    required: true
  keep_dir:
    description: Where to. The folder is made with mode 0700, the files have mode 0600 and a file C(.sha256) beside them.
    type: path
    required: true
seealso:
  - module: monero_marketplace.incident.container_log
  - module: monero_marketplace.incident.incident_guard
"""

EXAMPLES = r"""
- name: Keep the database before its disk is made writable again
  monero_marketplace.incident.file_set:
    paths:
      - /data/marketplace.db
      - /data/marketplace.db-wal
    keep_dir: /var/lib/marketplace_incident/kept
    token: "{{ guard.token }}"
"""

RETURN = r"""
kept:
  description: The copies, also those that an earlier call has made.
  returned: success
  type: list
  elements: dict
  contains:
    source:
      description: What was copied.
      type: str
    path:
      description: Where the copy is.
      type: str
    sha256:
      description: The checksum of both.
      type: str
    bytes:
      description: The size of the file.
      type: int
    new:
      description: Whether this call made it.
      type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _file_set
from ansible_collections.monero_marketplace.incident.plugins.module_utils._container_log import NotKept
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["kept"], "default": "kept"},
            "paths": {"type": "list", "elements": "path", "required": True},
            "keep_dir": {"type": "path", "required": True},
            "token": {"type": "str", "default": "", "no_log": False},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        if module.check_mode:
            result = _file_set.keep(options["paths"], options["keep_dir"], dry=True)
        else:
            with acting(options["lease_dir"], options["token"] or None, "file_set"):
                result = _file_set.keep(options["paths"], options["keep_dir"])
    except (NotKept, IncidentError) as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
