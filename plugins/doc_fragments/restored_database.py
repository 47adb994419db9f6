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
    description:
      - The copy of the database that O(state=preserved) made, for O(state=restored) and O(state=compared).
      - Empty only where it found nothing, no database or one of 0 bytes. Then what is lost is unknown.
    type: path
    default: ""
    version_added: 0.4.0
  priority_tables:
    description: Tables that come first in the list of what is lost, and of which changes are returned, such as V(escrows).
    type: list
    elements: str
    default: []
    version_added: 0.4.0
  loss_file:
    description:
      - Where the list of what is lost goes, with a JSON object in each line, for its owner only. Each has C(table), C(key), C(change) (V(new),
        V(changed), V(deleted) or V(unknown)), C(before) (the row in the damaged database) and C(after) (the row in the restored one). One with
        a C(key) of null and C(between) names keys between which the damaged database cannot be read.
      - Empty means beside O(kept_database).
    type: path
    default: ""
    version_added: 0.4.0
  compare_dir:
    description:
      - A folder with room for a copy of the damaged and of the restored database, for O(state=compared). They are gone afterwards.
      - Empty means beside the database. With O(state=planned) it is looked at how much room there is.
    type: path
    default: ""
    version_added: 0.4.0
  services:
    description: The services that O(state=reopening) notes, so that whoever comes after a kill knows whom to start.
    type: list
    elements: str
    default: []
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
