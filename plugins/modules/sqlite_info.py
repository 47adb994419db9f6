#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sqlite_info
short_description: Ask SQL of a SQLite database that is in use, without touching it
version_added: 0.3.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - Copies the database with its C(-wal), C(-shm) and C(-journal) to a scratch folder, and opens only that copy. Opening the original, even
    for reading, writes beside it and may write into it.
  - A copy of a database that is written to may be torn. One during which the database changed is thrown away, and so is one that does not
    pass C(quick_check); after O(tries) of them the state is V(suspect), never V(read).
  - Queries can only read. They have no way to write, attach, load or set anything, and are bounded in time, rows and bytes.
  - The copy is wiped when the module ends, and what a killed run left is wiped by the next one.
requirements:
  - coreutils
options:
  path:
    description: The database.
    type: path
    required: true
  queries:
    description: What to ask.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The key of its answer in RV(sqlite.queries).
        type: str
        required: true
      sql:
        description: One C(SELECT).
        type: str
        required: true
  scratch_dir:
    description:
      - Folder in which the copy gets a folder of its own, with mode 0700, gone afterwards. Its disk needs room for the whole set.
      - One that is not there is made, with mode 0700.
    type: path
    default: /var/tmp
  tries:
    description: How many copies are made at most until one is sound.
    type: int
    default: 3
  rows:
    description: How many rows of an answer are returned at most.
    type: int
    default: 100
  timeout:
    description: Seconds for one query.
    type: float
    default: 10.0
  check_timeout:
    description: Seconds for the check of a copy.
    type: float
    default: 30.0
  copy_timeout:
    description: Seconds for copying one file.
    type: float
    default: 60.0
extends_documentation_fragment:
  - monero_marketplace.incident.attributes
  - monero_marketplace.incident.attributes.info_module
  - monero_marketplace.incident.attributes.actiongroup_incident
seealso:
  - module: monero_marketplace.incident.file_set
"""

EXAMPLES = r"""
- name: Ask for open signing rounds
  monero_marketplace.incident.sqlite_info:
    path: /data/marketplace.db
    queries:
      - name: signing
        sql: SELECT id FROM escrows WHERE state = 'signing'
  register: database

- name: Go on only where none is open for sure
  ansible.builtin.assert:
    that:
      - database.sqlite.state == 'read'
      - database.sqlite.queries.signing.problem is none
      - database.sqlite.queries.signing.rows | length == 0
"""

RETURN = r"""
sqlite:
  description: What is known of the database. The module does not fail because of it.
  returned: success
  type: dict
  contains:
    path:
      description: As given.
      type: str
    state:
      description:
        - V(read), a copy was sound and was asked; V(missing); V(empty), a file of 0 bytes; V(unreadable), it cannot be copied, or is no plain
          SQLite database; V(suspect), no copy was whole and sound, which may be the doing of whoever writes to it.
      type: str
    problem:
      description: Why it was not read, in one sentence. V(null) where it was.
      type: str
    tries:
      description: How many copies were made.
      type: int
    bytes:
      description: The size of the whole set. V(null) where there is none.
      type: int
    queries:
      description: The answers by name. Empty unless RV(sqlite.state) is V(read).
      type: dict
      contains:
        columns:
          description: Names of the columns.
          type: list
          elements: str
        rows:
          description: Rows, as lists. Long texts are cut, and of binary values only the size is told.
          type: list
          elements: list
        more:
          description: Whether there are more rows than O(rows).
          type: bool
        problem:
          description: Why there is no answer. V(null) where there is one.
          type: str
    seconds:
      description: How long all of it took.
      type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_ask


def main() -> None:
    query = {"name": {"type": "str", "required": True}, "sql": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "queries": {"type": "list", "elements": "dict", "default": [], "options": query},
            "scratch_dir": {"type": "path", "default": "/var/tmp"},  # noqa: S108  a folder of its own is made there, with a name that nobody can guess
            "tries": {"type": "int", "default": 3},
            "rows": {"type": "int", "default": 100},
            "timeout": {"type": "float", "default": 10.0},
            "check_timeout": {"type": "float", "default": 30.0},
            "copy_timeout": {"type": "float", "default": 60.0},
        },
        supports_check_mode=True,
    )
    options = module.params
    bounds = _sqlite_ask.Bounds(
        tries=options["tries"],
        copy_seconds=options["copy_timeout"],
        check_seconds=options["check_timeout"],
        query_seconds=options["timeout"],
        rows=options["rows"],
    )
    module.exit_json(changed=False, sqlite=_sqlite_ask.ask(options["path"], options["queries"], options["scratch_dir"], bounds))


if __name__ == "__main__":
    main()
