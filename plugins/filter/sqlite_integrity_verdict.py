# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: sqlite_integrity_verdict
short_description: What the look at a frozen database settles
version_added: 0.4.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - From what M(monero_marketplace.incident.sqlite_info) found with O(monero_marketplace.incident.sqlite_info#module:frozen=true).
options:
  _input:
    description: The C(sqlite) that was found.
    type: dict
    required: true
  strangers:
    description: The processes that could not be held still, from M(monero_marketplace.incident.container_pause).
    type: list
    elements: dict
    default: []
  unsettled:
    description:
      - The C(unsettled) of M(monero_marketplace.incident.backup_restore), where damage was seen in an earlier run and the database was not
        compared with the chain since. Then it stays frozen, and is damaged still where its newest part is only in the kept copy.
    type: dict
"""

EXAMPLES = r"""
- name: Judge
  ansible.builtin.set_fact:
    verdict: "{{ seen.sqlite | monero_marketplace.incident.sqlite_integrity_verdict(held.strangers) }}"
"""

RETURN = r"""
_value:
  description:
    - C(state), which is V(sound), V(damaged) or V(unproven); C(stays), whether the database stays frozen; C(why) nothing was settled; C(sentences)
      on what was seen; C(sqlite), C(kept) and C(kept_database), empty at first; C(thaw), the word under which a person goes on with values that are
      wrong in a file that is whole, else empty.
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_verdict


class FilterModule:
    """Sound, damaged or unproven."""

    def filters(self) -> dict[str, Any]:
        return {"sqlite_integrity_verdict": _database_verdict.verdict}
