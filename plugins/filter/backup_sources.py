# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_sources
short_description: The site's wallets as backup_create takes them
version_added: 0.3.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - Leaves out what a backup has no use for, the passwords of wallet files above all, and adds the login of the wallet RPCs.
positional: user, password, login_file
options:
  _input:
    description: The wallets, as P(monero_marketplace.incident.marketplace_wallets#filter) returns them.
    type: list
    elements: dict
    required: true
  user:
    description: The user of the wallet RPCs' login. Empty means O(login_file).
    type: str
    default: ""
  password:
    description: The password of that login.
    type: str
    default: ""
  login_file:
    description: A file on the host with the login.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Back up the wallets
  monero_marketplace.incident.backup_create:
    kind: wallet
    site: "{{ inventory_hostname }}"
    wallets: >-
      {{ marketplace_wallets | monero_marketplace.incident.marketplace_wallets(marketplace_data_dir)
         | monero_marketplace.incident.backup_sources(login_file=marketplace_wallet_login_file) }}
    directory: "{{ marketplace_backup_wallets_dir }}"
    passphrase: "{{ marketplace_backup_passphrase }}"
"""

RETURN = r"""
_value:
  description: A list for O(monero_marketplace.incident.backup_create#module:wallets).
  type: list
  elements: dict
"""

from typing import Any

WANTED = ("role", "service", "url", "directory", "wallet", "signer")


def backup_sources(
    wallets: list[dict[str, Any]], user: str = "", password: str = "", login_file: str = ""
) -> list[dict[str, Any]]:
    login = {"user": user, "password": password} if user else {"login_file": login_file} if login_file else {}
    return [{**{name: one[name] for name in WANTED}, **login} for one in wallets]


class FilterModule:
    """Wallets for a backup."""

    def filters(self) -> dict[str, Any]:
        return {"backup_sources": backup_sources}
