# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The steps that bring a database back without a restore. Each has a file of its name in roles/sqlite_integrity/tasks."""

from __future__ import annotations

from ansible_collections.monero_marketplace.incident.plugins.module_utils._steps import Step

# Whoever keeps the others out goes first; what is only sick because of it needs no restart then.
STEPS = (
    Step("end_lock_holder", "end {services}, whose lock keeps the others out"),
    Step("start", "start {services}"),
    Step("restart", "restart {services}"),
)
ORDER = tuple(step.name for step in STEPS)
SENTENCES = {step.name: step.sentence for step in STEPS}
