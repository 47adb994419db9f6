# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # For modules that change something: nobody else acts meanwhile, and no hold forbids it.
    DOCUMENTATION = r"""
options:
  token:
    description:
      - The fencing token of this run's lease, as M(monero_marketplace.incident.incident_guard) gave it. While any lease is in force
        nothing is done without its token.
    type: str
    default: ""
  lease_dir:
    description: Where the lease lies.
    type: path
    default: /run/marketplace_incident
"""
