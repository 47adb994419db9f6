# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_pins
short_description: Pin the signers of wallets that were backed up
version_added: 0.3.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - All wallets of an escrow have the same address; the SHA-256 of its C(.keys) tells whose share a wallet is, as long as it is the same.
  - Adds a pin for each wallet that has none. A pin that is there is never replaced; keys that differ from theirs are named.
positional: backups, host
options:
  _input:
    description: The text of the file with the pins. Empty where there is none.
    type: str
    required: true
  backups:
    description: RV(monero_marketplace.incident.backup_create#module:backups).
    type: list
    elements: dict
    required: true
  host:
    description: Whose wallets they are, by its name in the inventory.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Which pins are new
  ansible.builtin.debug:
    msg: "{{ ('' | monero_marketplace.incident.backup_pins(made.backups, inventory_hostname)).added }}"
"""

RETURN = r"""
_value:
  description:
    - C(text), the file with what is new; C(added), the wallets that are new, such as V(buyer/escrow_1); C(differ), one sentence for each
      wallet whose keys are not the pinned ones; C(problem), why the file could not be understood, in which case nothing is added.
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_words import pinned


def backup_pins(text: str, backups: list[dict[str, Any]], host: str) -> dict[str, Any]:
    return pinned(text, backups, host)


class FilterModule:
    """Pins of the signers."""

    def filters(self) -> dict[str, Any]:
        return {"backup_pins": backup_pins}
