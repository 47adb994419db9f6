# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: signing_round
short_description: Whether a signing round is open, by what the application's database answered
version_added: 0.3.0
author: Monero Marketplace Operations (@monero-marketplace)
description:
  - A wallet's part of a round is in its memory and its cache, so only the application knows. What is not proven counts as open.
options:
  _input:
    description: The C(sqlite) of M(monero_marketplace.incident.sqlite_info) with the answer C(signing). Empty where nobody asked.
    type: dict
    required: true
  signing_query:
    description: The query for open signing rounds. Empty means that one may always be open.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: It is sure that no round is open
  ansible.builtin.assert:
    that: round.state == 'none'
    fail_msg: "{{ round.words }}"
  vars:
    round: "{{ asked.sqlite | monero_marketplace.incident.signing_round(marketplace_open_signing_query) }}"
"""

RETURN = r"""
_value:
  description: C(state), which is V(none), V(open) or V(unknown), and C(words), a sentence with why.
  type: dict
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _signing_round


def signing_round(sqlite: dict[str, Any], signing_query: str) -> dict[str, str]:
    state, words = _signing_round.judge(sqlite, no_query=not signing_query)
    return {"state": state, "words": words}


class FilterModule:
    """Whether a signing round is open."""

    def filters(self) -> dict[str, Any]:
        return {"signing_round": signing_round}
