# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a restore came before this run, and so where this run begins.

What an earlier run noted decides, not the look of this one: a look that ended too late, or met a lock, says nothing of whether
rows and chain were compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_damage import WRONG_VALUES

FREEZE = "database"


def stage(
    earlier: Mapping[str, Any],
    freezes: Sequence[Mapping[str, Any]] = (),
    suspected: bool = False,
    state: str = "",
    examine: bool = False,
) -> str:
    """begun, examine, restored (and to be compared), reopening or nothing."""
    noted = str((earlier.get("unsettled") or {}).get("stage") or "")
    closed = any(one.get("name") == FREEZE for one in freezes)
    if earlier.get("resumed"):
        return "begun"
    if suspected and not _as_restored(earlier, noted, state):
        return "examine"
    if closed and noted in ("restored", "reopening"):
        return "restored"
    if noted == "reopening":
        return "reopening"
    return "examine" if closed or noted or examine else "nothing"


def _as_restored(earlier: Mapping[str, Any], noted: str, state: str) -> bool:
    """A backup with wrong values, restored because a person confirmed it, is no new damage."""
    restored = earlier.get("restored") or {}
    return noted in ("restored", "reopening") and state in WRONG_VALUES and state == restored.get("state")
