# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # What each attribute means; a module says for each one how far it supports it.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and tell what it would do without changing anything.
  diff_mode:
    description: Returns details on what has changed (or would change in C(check_mode)) when in diff mode.
  idempotent:
    description:
      - When run twice in a row with the same arguments and nothing else happening, the second run changes nothing.
  platform:
    description: The operating systems the module runs on.
    platforms: posix
    support: full
"""

    # For modules that only look; used together with the standard fragment.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module never changes anything.
  diff_mode:
    support: N/A
    details:
      - This module never changes anything.
  idempotent:
    support: full
    details:
      - This module never changes anything.
"""

    # For the members of the collection's action group; used together with the standard fragment.
    ACTIONGROUP_INCIDENT = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/monero_marketplace.incident.incident) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - monero_marketplace.incident.incident
"""
