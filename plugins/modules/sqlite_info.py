#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sqlite_info
short_description: Examine a SQLite database that is in use, and ask SQL of it, without touching it
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
  - With O(check) it says what state the database is in, down to pages, rows, the frames of its C(-wal) and the processes that hold it. What is
    seen on a copy of a database in use is never certain. Damage is, where O(frozen) says that nobody can write, two copies show the same
    and the files did not change meanwhile.
requirements:
  - coreutils
  - sqlcipher3, a Python package, to look into an encrypted database; without it such a one is V(encrypted), and nothing more is said of it
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
  check:
    description:
      - V(none) asks the O(queries) only.
      - V(quick) tells the state by C(quick_check), C(foreign_key_check), the O(invariants), the C(-wal) and the holders.
      - V(full) uses C(integrity_check), which also compares each index with its table, and walks each page and value itself, too.
    type: str
    choices: [none, quick, full]
    default: none
    version_added: 0.4.0
  frozen:
    description:
      - Whether the caller has frozen everything that writes to the database. Two copies are examined then, and RV(sqlite.certain) may be true of
        damage. The files must not change meanwhile.
    type: bool
    default: false
    version_added: 0.4.0
  key:
    description: The passphrase of an encrypted database (SQLCipher 4), or its raw key as C(x'…'). A plain one needs none, and is asked without it.
    type: str
    version_added: 0.4.0
  invariants:
    description: What must hold of the rows. Each is asked with O(check), within O(timeout).
    type: list
    elements: dict
    default: []
    version_added: 0.4.0
    suboptions:
      name:
        description: The key of its answer in RV(sqlite.invariants).
        type: str
        required: true
      query:
        description: One C(SELECT) that returns no row while the invariant holds.
        type: str
        required: true
  lock_timeout:
    description: Seconds for which somebody must keep a lock, and commit nothing, until the state is V(locked).
    type: float
    default: 2.0
    version_added: 0.4.0
  walk_timeout:
    description: Seconds for walking the pages with V(full), or after damage was seen. Beyond them what was not walked is left to C(integrity_check) alone.
    type: float
    default: 120.0
    version_added: 0.4.0
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
notes:
  - A damaged byte that leaves a value of the same kind and length is only seen where something else knows the value, which is an index (with
    V(full)), a C(CHECK), a foreign key, one of the O(invariants), or an image of the page in the C(-wal). Text that stands in no index and
    under no rule is not covered. Compare the database with a backup where that is in doubt.
  - A C(user_version) that was damaged is a number like any other. Compare it with the manifest of a backup.
  - A C(-wal) that is gone together with its C(-shm), with nobody who still has it open, leaves no trace.
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

- name: Examine a database whose writers are frozen
  monero_marketplace.incident.sqlite_info:
    path: /data/marketplace.db
    check: full
    frozen: true
    invariants:
      - name: no_negative_escrow
        query: SELECT id FROM escrows WHERE amount_piconero <= 0
  register: database

- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ database.sqlite.state }}: {{ database.sqlite.sentences | join(' ') }}"
  when: database.sqlite.state != 'ok'
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
        - With O(check) instead of V(read) one of V(ok), V(missing), V(empty), V(unreadable); V(not_a_database); V(encrypted), without a key or without
          sqlcipher3; V(encrypted_wrong_key); V(locked), somebody keeps others from writing; V(stale_wal), the C(-wal) is another database's or an
          older one's; V(wal_damage), commits in it are lost; V(deleted_but_open), only a process still has it; V(page_damage); V(btree_damage), pages do
          not fit together, or an index does not fit its table; V(foreign_key_damage); V(invariant_damage), a rule of the schema or one of the
          O(invariants) is broken; V(unfinished), a check did not end in time; or V(suspect), no copy was whole, one of the O(invariants) could not
          be asked, or the schema uses what this host's SQLite does not know, which is no damage. The worst is told. With O(frozen) also V(changed)
          and V(disagree), two looks at the same bytes differ; what each look said is in RV(sqlite.looks).
      type: str
    certain:
      description: Whether the state is proven. With O(check); so are the keys below up to RV(sqlite.lock_problem).
      type: bool
    looks:
      description: The state that each copy showed, in their order.
      type: list
      elements: str
    sentences:
      description: What was seen, the most important first, at most 20.
      type: list
      elements: str
    damage:
      description: What is damaged, bounded.
      type: dict
      contains:
        pages:
          description: Numbers of pages, from 1 on.
          type: list
          elements: int
        objects:
          description: Tables and indexes, with C(name), C(type), C(pages), and C(readable), whether each page of it can be read.
          type: list
          elements: dict
        rows:
          description: By table, how many rows are named by what was found. V(null) where that cannot be said.
          type: dict
        foreign_keys:
          description: Rows whose parent is not there, with C(table), C(rowid) and C(parent).
          type: list
          elements: dict
        messages:
          description: What was said of each, by SQLite too.
          type: list
          elements: str
        more:
          description: Whether there is more than is told here.
          type: bool
        doubtful:
          description: Whether all of it is texts that look damaged and may have been written so, which only the application's people can tell.
          type: bool
    invariants:
      description: By name, how many C(rows) break it, a C(sample) of them, and the C(problem) where it could not be asked.
      type: dict
    wal:
      description: The C(-wal), walked frame by frame. V(null) where the database is not there.
      type: dict
      contains:
        bytes:
          description: Its size; 0 where there is none.
          type: int
        age_seconds:
          description: Since it was last written.
          type: float
        frames:
          description: How many it has room for, those of earlier generations among them.
          type: int
        valid_frames:
          description: How many from its beginning carry the right checksum.
          type: int
        commits:
          description: How many commits of this generation it holds, valid or not.
          type: int
        valid_commits:
          description: How many SQLite would take.
          type: int
        ends:
          description:
            - What is behind the last valid frame. V(none), there are no frames; V(end), nothing; V(salt), frames of an earlier generation, as always
              after a restart of it; V(checksum), one whose checksum is wrong; V(zeros), nothing else up to its end; V(truncated), a part of one; V(header), its
              own header is damaged.
          type: str
        last_commit_pages:
          description: How many pages the database has after the last commit.
          type: int
        problem:
          description: What is lost of it, in one sentence. V(null) where nothing is.
          type: str
    holders:
      description:
        - Processes that have the database or a file beside it open, with C(pid), C(start_ticks), C(ancestors) (pids), C(command), C(user),
          C(since), C(container_id), C(container), C(service), C(files) (V(db), V(wal), V(shm), V(journal)), C(deleted), C(deleted_files) and
          C(locks) (V(read), V(write), V(checkpoint), V(recover), V(shared), V(reserved), V(pending), V(exclusive)).
      type: list
      elements: dict
    progress:
      description: Another value after every commit, so that who has a lock in two looks is told from who writes all the time. V(null) if unknown.
      type: str
    deleted:
      description: The C(pid) that still has deleted files, and by name of file the path in /proc through which each can be copied. V(null) without one.
      type: dict
    tables:
      description: Rows of each table. V(null) where they cannot be counted.
      type: dict
    schema_version:
      description: Its C(user_version).
      type: int
    schema_sha256:
      description: Of the text of its schema.
      type: str
    encrypted:
      description: Whether it is.
      type: bool
    last_commit:
      description: When the C(-wal), or without one the database, was last written, in UTC.
      type: str
    last_change_counter:
      description: As its header has it.
      type: int
    journal_mode:
      description: V(wal) or V(delete).
      type: str
    page_size:
      description: In bytes.
      type: int
    page_count:
      description: How many it has.
      type: int
    freelist_pages:
      description: How many of them are free.
      type: int
    lock_problem:
      description: Who keeps others from writing, in one sentence. V(null) where nobody does.
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
      description: The answers by name. Empty unless RV(sqlite.state) is V(read), V(ok), V(suspect), V(locked), V(foreign_key_damage) or V(invariant_damage).
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

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_ask, _sqlite_look


def main() -> None:
    query = {"name": {"type": "str", "required": True}, "sql": {"type": "str", "required": True}}
    invariant = {"name": {"type": "str", "required": True}, "query": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "queries": {"type": "list", "elements": "dict", "default": [], "options": query},
            "check": {"type": "str", "choices": ["none", "quick", "full"], "default": "none"},
            "frozen": {"type": "bool", "default": False},
            "key": {"type": "str", "no_log": True},
            "invariants": {"type": "list", "elements": "dict", "default": [], "options": invariant},
            "lock_timeout": {"type": "float", "default": 2.0},
            "walk_timeout": {"type": "float", "default": 120.0},
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
    if options["check"] != "none":
        module.exit_json(changed=False, sqlite=_sqlite_look.look(options["path"], _look_options(options)))
    bounds = _sqlite_ask.Bounds(
        tries=options["tries"],
        copy_seconds=options["copy_timeout"],
        check_seconds=options["check_timeout"],
        query_seconds=options["timeout"],
        rows=options["rows"],
        key=options["key"] or "",
    )
    module.exit_json(changed=False, sqlite=_sqlite_ask.ask(options["path"], options["queries"], options["scratch_dir"], bounds))


def _look_options(options: dict[str, Any]) -> _sqlite_look.Options:
    return _sqlite_look.Options(
        check=options["check"],
        frozen=options["frozen"],
        key=options["key"] or None,
        invariants=tuple(options["invariants"]),
        queries=tuple(options["queries"]),
        scratch_dir=options["scratch_dir"],
        tries=options["tries"],
        rows=options["rows"],
        copy_seconds=options["copy_timeout"],
        check_seconds=options["check_timeout"],
        query_seconds=options["timeout"],
        walk_seconds=options["walk_timeout"],
        lock_seconds=options["lock_timeout"],
    )


if __name__ == "__main__":
    main()
