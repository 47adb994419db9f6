# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # What a restore of the database needs to be told.
    DOCUMENTATION = r"""
options:
  path:
    description: The database's file on the host. Required with O(kind=database).
    type: path
    default: ""
    version_added: 0.4.0
  key:
    description: The passphrase of an encrypted database (SQLCipher). Without it an encrypted image stays unproven.
    type: str
    default: ""
    version_added: 0.4.0
  invariants:
    description: What has to hold in a database that is restored. Each query has to find nothing.
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
        description: The SQL, one C(SELECT).
        type: str
        required: true
  keep_dirs:
    description: Folders for the copies of a database, of which the first with room is taken. Empty means the database's own.
    type: list
    elements: path
    default: []
    version_added: 0.4.0
  plan:
    description: The hash of the plan that is carried out. Required with O(state=restored).
    type: str
    default: ""
    version_added: 0.4.0
  kept_database:
    description: The copy of the database that O(state=preserved) made. Required with O(state=restored).
    type: path
    default: ""
    version_added: 0.4.0
  max_bytes:
    description: How much an archive of a database may hold. V(0) means a hundred times its size, at least 1 GiB and at most 64 GiB.
    type: int
    default: 0
    version_added: 0.4.0
  database_timeout:
    description: Seconds for unpacking one archive of a database, and as many for looking at it.
    type: float
    default: 3600.0
    version_added: 0.4.0
"""
