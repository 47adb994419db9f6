# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: marketplace_wallets
short_description: The site's wallets, each with what its entry leaves to the default
version_added: 0.3.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - An entry of a list has no defaults of its own in Ansible; this fills them in.
positional: data_dir
options:
  _input:
    description: The site's C(marketplace_wallets).
    type: list
    elements: dict
    required: true
  data_dir:
    description: The site's C(marketplace_data_dir); a wallet's folder lies below it where none is named.
    type: str
    required: true
  beside:
    description:
      - A role. Given, only the wallets of the others are returned, as C(others) of M(monero_marketplace.incident.wallet_files_info) and
        M(monero_marketplace.incident.backup_restore) take them, each under its own name and password.
    type: str
    default: ""
  wallet:
    description:
      - The name of the wallet of O(beside) that is meant. Where the site names no wallet for a role, or another one for O(beside), the others'
        is expected under this name.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Ask the wallets how they are
  monero_marketplace.incident.monero_info:
    wallets: >-
      {{ marketplace_wallets | monero_marketplace.incident.marketplace_wallets(marketplace_data_dir)
         | map('combine', {'user': marketplace_wallet_user, 'password': marketplace_wallet_password,
                           'login_file': marketplace_wallet_login_file}) | list }}
"""

RETURN = r"""
_value:
  description:
    - The same list, each with C(role), C(service), C(url), C(directory), C(wallet), C(open), C(address), C(signer) and C(password).
    - With O(beside) only the others' C(role), C(directory), C(wallet) and C(password).
  type: list
  elements: dict
"""

import posixpath
from typing import Any

from ansible.errors import AnsibleFilterError

OTHER = ("role", "directory", "wallet", "password")
DEFAULTS = {"url": "", "wallet": "", "open": "on_demand", "address": "", "signer": "", "password": ""}


def marketplace_wallets(wallets: Any, data_dir: str, beside: str = "", wallet: str = "") -> list[dict[str, Any]]:
    if not isinstance(wallets, list) or not all(
        isinstance(one, dict) and one.get("role") and one.get("service") for one in wallets
    ):
        raise AnsibleFilterError("marketplace_wallets must be a list of wallets, each with a role and a service.")
    full = [
        {
            **DEFAULTS,
            "directory": posixpath.join(data_dir or "/", "wallets", one["role"]),
            **{name: value for name, value in one.items() if value is not None},
        }
        for one in wallets
    ]
    if not beside:
        return full
    as_named = any(one["role"] == beside and one["wallet"] in ("", wallet) for one in full)
    named = [{**one, "wallet": (one["wallet"] if as_named else "") or wallet} for one in full if one["role"] != beside]
    return [{name: one[name] for name in OTHER} for one in named if one["wallet"]]


class FilterModule:
    """The site's wallets in full."""

    def filters(self) -> dict[str, Any]:
        return {"marketplace_wallets": marketplace_wallets}
