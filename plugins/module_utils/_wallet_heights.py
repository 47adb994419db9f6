# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""How far the wallets are at a moment, for the manifest of the database: what a restore of it compares the chain with."""

from __future__ import annotations

from functools import partial
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_source
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import ask_all
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_backup import Job
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_source import NotThere


def heights(jobs: list[Job], timeout: float = 3.0) -> dict[str, dict[str, int | None]]:
    """By role and wallet. Only the one that is open has a height; a wallet RPC that does not answer at once keeps nobody waiting."""
    asked = {job.role: partial(_of, job, timeout) for job in jobs}
    answers: dict[str, Any] = ask_all(asked, 3 * timeout)
    return {job.role: answers.get(job.role, {}) for job in jobs}


def _of(job: Job, timeout: float) -> dict[str, int | None]:
    try:
        names = _wallet_source.names(job.directory)
    except NotThere:
        return {}
    found: dict[str, int | None] = dict.fromkeys(names)
    opened = _wallet_source.locked(job.directory, names)
    if job.rpc is not None and len(opened) == 1:
        found[opened[0]] = _wallet_source.facts(job.rpc, timeout, brief=True)["height"]
    return found
