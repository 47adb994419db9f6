# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: wallet_restore_plan
short_description: The smallest thing that mends a wallet's files, or why nothing may be done
version_added: 0.3.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - From what M(monero_marketplace.incident.wallet_files_info) found, and M(monero_marketplace.incident.backup_restore) said in check mode.
options:
  _input:
    description: The C(wallet_files).
    type: dict
    required: true
  role:
    description: Whose wallet it is.
    type: str
    required: true
  wallet:
    description: Its name.
    type: str
    required: true
  archive:
    description: The archive that was chosen; empty where there is none.
    type: str
    default: ""
  backups:
    description: What M(monero_marketplace.incident.backup_info) returned, where it was asked.
    type: dict
    default: {}
  tried:
    description: What M(monero_marketplace.incident.backup_restore) returned, where it was asked.
    type: dict
    default: {}
  backup_dir:
    description: Where backups were looked for.
    type: str
    default: ""
  is_open:
    description: Whether its RPC has it open now.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Decide
  ansible.builtin.set_fact:
    wallet_restore_plan: "{{ found.wallet_files | monero_marketplace.incident.wallet_restore_plan(role='buyer', wallet='escrow_1') }}"
"""

RETURN = r"""
_value:
  description:
    - C(ladder), which is V(none), V(resume), V(rescan), V(keys_from_backup) or V(refused), and C(why) in a sentence.
    - C(archive) and its C(age) in seconds, null where none is needed; C(changes) and C(lost), in sentences; C(confirm), the word that is
      needed for it, empty where none is.
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_restore_plan


class FilterModule:
    """The plan of a restore."""

    def filters(self) -> dict[str, Any]:
        return {"wallet_restore_plan": _wallet_restore_plan.plan}
