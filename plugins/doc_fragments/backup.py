# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # What whoever makes backups is told, a module or the host's own timer.
    DOCUMENTATION = r"""
options:
  wallets:
    description: The wallets, one entry for each role. For the database only their heights are asked, for its manifest; then it may be empty.
    type: list
    elements: dict
    default: []
    suboptions:
      role:
        description: Whose wallets they are, such as V(buyer). Letters, digits, C(-) and C(_).
        type: str
        required: true
      service:
        description: The Compose service of the wallet RPC, whose container's address is used where there is no C(url).
        type: str
        required: true
      url:
        description: Address of the wallet RPC, where it is not its container's.
        type: str
        default: ""
      user:
        description: The user of its login. Empty means C(login_file), else no login.
        type: str
        default: ""
      password:
        description: The password of its login.
        type: str
        default: ""
      login_file:
        description: A file on the host with a line C(rpc-login=user:password), or with C(user:password) alone.
        type: path
      directory:
        description: The folder on the host in which the wallets lie.
        type: path
        required: true
      wallet:
        description: The wallet whose keys C(signer) is about.
        type: str
        default: ""
      signer:
        description: SHA-256 of that wallet's C(.keys), as the inventory pins it. A difference is told.
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
  path:
    description: The database. Needed where that is what is backed up.
    type: path
    version_added: 0.4.0
  key:
    description: The key of an encrypted database (SQLCipher). Without it such a database can be backed up only while nobody has it open.
    type: str
    default: ""
    version_added: 0.4.0
  invariants:
    description: What must hold in the database, beside what SQLite checks itself. An image in which one does not hold is no backup.
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
        description: A C(SELECT) that returns no row where it holds.
        type: str
        required: true
  compression:
    description: What packs the image of a database. V(zstd) needs that program; without it gzip does it, which is told.
    type: str
    choices: [gzip, zstd]
    default: gzip
    version_added: 0.4.0
  scratch_dir:
    description:
      - Folder for the image of a database until it is packed or checked, made with mode 0700 and gone afterwards. Its disk needs room for
        the whole database.
      - Empty means C(.marketplace_backup) beside the database, so that what is in clear stays on that disk; where others than root
        could exchange what lies there, C(/var/lib/marketplace_incident/scratch).
    type: str
    default: ""
    version_added: 0.4.0
  image_timeout:
    description: Seconds for making the image. While it is made, the database's C(-wal) can grow but not start anew.
    type: float
    default: 300.0
    version_added: 0.4.0
  recipient:
    description:
      - A gpg key in the keyring of the user that runs this, for which the archives are encrypted. It comes before the passphrase.
      - Where its secret part is not on the host, an archive is proven by its checksum only.
    type: str
    default: ""
  key_generation:
    description: Which generation of that passphrase or key it is, for the manifest.
    type: str
    default: "1"
  retention_days:
    description: Days after which an archive may be removed. 90 for wallets and 30 for the database, where it is not given.
    type: float
  keep_good:
    description: How many archives of a role, or of the database, stay, proven good, whatever their age. At least one does.
    type: int
    default: 3
  store_timeout:
    description: Seconds for a wallet to store itself. One that is refreshing stores when it has done with its chunk of blocks.
    type: float
    default: 60.0
  archive_timeout:
    description: Seconds for making one archive, and once more for proving it.
    type: float
    default: 1800.0
  state_dir:
    description: Where holds and freezes lie.
    type: path
    default: /var/lib/marketplace_incident
"""
