# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: incident_words
short_description: Say in one sentence why a step failed
version_added: 0.1.0
author:
  - Monero Marketplace Operations (@monero-marketplace)
description:
  - The message of a failed result. For a command its own last line, which says more than that its exit status was not zero.
options:
  _input:
    description: The failed result.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Keep what stopped the run
  ansible.builtin.set_fact:
    problem: "{{ ansible_failed_result | monero_marketplace.incident.incident_words }}"
"""

RETURN = r"""
_value:
  description: The sentence.
  type: str
"""

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._first_contact import words


def incident_words(result: Any) -> str:
    return words(result)


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"incident_words": incident_words}
