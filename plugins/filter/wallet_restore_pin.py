# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: wallet_restore_pin
short_description: What the keys of a wallet are pinned to, by the inventory and by the desk
version_added: 0.3.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - The pin is the inventory's, else the one that role backup has left on the desk. Where both are there and differ there is none, and the
    problem is named.
options:
  _input:
    description: The text of the desk's file with the pins. Empty where there is none.
    type: str
    required: true
  host:
    description: Whose wallets they are, by its name in the inventory.
    type: str
    required: true
  role:
    description: Whose wallet it is.
    type: str
    required: true
  wallet:
    description: Its name.
    type: str
    required: true
  signer:
    description: What the inventory has pinned for it. Empty means nothing.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Which keys are the buyer's
  ansible.builtin.debug:
    msg: "{{ text | monero_marketplace.incident.wallet_restore_pin(host='market-1', role='buyer', wallet='escrow_1') }}"
"""

RETURN = r"""
_value:
  description:
    - C(pin), the SHA-256 of its C(.keys), empty where none is known or it is not sure; C(problem), why it is not, in a sentence.
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_words import pin_of


def wallet_restore_pin(text: str, host: str, role: str, wallet: str, signer: str = "") -> dict[str, Any]:
    return pin_of(text, host, role, wallet, signer)


class FilterModule:
    """The pin of a wallet."""

    def filters(self) -> dict[str, Any]:
        return {"wallet_restore_pin": wallet_restore_pin}
