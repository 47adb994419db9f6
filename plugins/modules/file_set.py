#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_set
short_description: Keep a set of files before they change
version_added: 0.2.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Copies files that belong together, such as a database with its C(-wal) and C(-shm), to a folder on another file system, and proves
    each copy by its checksum.
  - The files must not change meanwhile. What does change is noticed, and fails the module; freeze whoever writes to it first.
  - Copies are named by their content, so that the same files are kept once.
  - With O(state=set_aside) files or folders that are in the way get another name where they lie. Nothing is copied or deleted.
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
    description:
      - V(kept) copies files to O(keep_dir).
      - V(set_aside) renames files or folders to C(NAME.aside-YYYYmmddTHHMMSSZ) beside themselves. One that was set aside earlier and is not
        there again is left as it is.
    type: str
    choices: [kept, set_aside]
    default: kept
  paths:
    description: The files. All of them must be there. With O(state=set_aside) a folder may be one of them.
    type: list
    elements: path
    required: true
  keep_dir:
    description:
      - Where to. The folder is made with mode 0700, the files have mode 0600 and a file C(.sha256) beside them.
      - Required with O(state=kept).
    type: path
  other_disk:
    description:
      - Whether a O(keep_dir) on the disk of the files is refused. It must be on another one where the disk itself is in doubt, and need not
        be where only what writes to the files is.
    type: bool
    default: true
    version_added: 0.3.0
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

- name: Move a damaged chain database out of the way
  monero_marketplace.incident.file_set:
    state: set_aside
    paths: [/data/monero/lmdb]
    token: "{{ guard.token }}"
"""

RETURN = r"""
kept:
  description: The copies, or what was set aside, also by an earlier call.
  returned: success
  type: list
  elements: dict
  contains:
    source:
      description: What was copied or set aside.
      type: str
    path:
      description: Where it is now.
      type: str
    sha256:
      description: Its checksum. V(null) of a folder.
      type: str
    bytes:
      description: Its size.
      type: int
    new:
      description: Whether this call did it.
      type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _file_set
from ansible_collections.monero_marketplace.incident.plugins.module_utils._container_log import NotKept
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError, sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["kept", "set_aside"], "default": "kept"},
            "paths": {"type": "list", "elements": "path", "required": True},
            "keep_dir": {"type": "path"},
            "other_disk": {"type": "bool", "default": True},
            "token": {"type": "str", "default": "", "no_log": False},
            "lease_dir": {"type": "path", "default": "/run/marketplace_incident"},
        },
        required_if=[("state", "kept", ["keep_dir"])],
        supports_check_mode=True,
    )
    options = module.params

    def done(dry: bool) -> dict[str, Any]:
        if options["state"] == "set_aside":
            return _file_set.set_aside(options["paths"], dry=dry)
        return _file_set.keep(options["paths"], options["keep_dir"], other_disk=options["other_disk"], dry=dry)

    try:
        if module.check_mode:
            result = done(True)
        else:
            with acting(options["lease_dir"], options["token"] or None, "file_set"):
                result = done(False)
    except (NotKept, IncidentError) as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(msg=sentence_for(problem))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
