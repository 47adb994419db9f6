# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # What a restore of a wallet needs to be told.
    DOCUMENTATION = r"""
options:
  role:
    description: Whose wallet it is, such as V(buyer). Required with O(kind=wallet).
    type: str
    default: ""
  wallet:
    description: The name of the wallet, which is the name of its file. Required with O(kind=wallet).
    type: str
    default: ""
  image:
    description: The image whose C(monero-wallet-rpc) opens the copies. It is never pulled. Required with O(kind=wallet).
    type: str
    default: ""
  password:
    description: The password of the wallet's file.
    type: str
    default: ""
  pin:
    description: The checksum (SHA-256) that the C(.keys) file of this role's wallet is known to have. Empty means that none is known.
    type: str
    default: ""
  address:
    description: The primary address that it must have. Empty means any.
    type: str
    default: ""
  others:
    description: The wallets of the other signers of the same escrow.
    type: list
    elements: dict
    default: []
    suboptions:
      role:
        description: Whose it is, such as V(arbiter).
        type: str
        required: true
      directory:
        description: Its folder on the host.
        type: path
        required: true
      wallet:
        description: Its name.
        type: str
        required: true
      password:
        description: The password of its file. Not given, it is that of the wallet itself.
        type: str
  unknown_signer:
    description: Take keys of which it cannot be proven whose they are, because a person knows. Keys proven to be another's are refused in any case.
    type: bool
    default: false
  nothing_signed_since:
    description:
      - Take the cache of the archive too, where the wallet has none that loads. Only for a caller that has proven from the application's
        database that this wallet has signed nothing since the archive was made.
      - An older cache brings back nonces that may be used. Signing twice with the same nonce can give a key away.
    type: bool
    default: false
  network:
    description: The Monero network the wallet was made for.
    type: str
    choices: [mainnet, stagenet, testnet]
    default: mainnet
  scratch_dir:
    description: Where copies and the unpacked archive lie meanwhile. Best on a file system in memory.
    type: path
    default: /run/marketplace_incident/wallet_proof
  timeout:
    description: Seconds for the proof. Starting takes about 5 of them, and each file that is opened 2 to 6.
    type: float
    default: 120.0
"""
