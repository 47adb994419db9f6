# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""How a service ended, in words that claim no more than is known."""

from __future__ import annotations

import signal
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import clock_time, epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes

_MEANINGS = {
    0: "ended by itself",
    125: "the engine could not run it",
    126: "its command is not executable",
    127: "its command does not exist",
    143: "SIGTERM: it was asked to stop",
}


def how_it_ended(service: dict[str, Any]) -> str:
    """server exited 137 (SIGKILL; the kernel's log knows nothing of it) 02:06:47 UTC"""
    name = service["name"]
    finished = epoch(service["finished_at"])
    when = f" {clock_time(finished)}" if finished is not None else ""
    memory = service["out_of_memory"]
    if memory["claimed"]:
        limit = f" (limit {human_bytes(service['memory_limit'])})" if service["memory_limit"] else ""
        return f"{name} killed by the kernel's out-of-memory killer{when}{limit}"
    code = service["exit_code"]
    if code is None:
        return f"{name} stopped{when}"
    return f"{name} exited {code} ({_meaning(code, memory)}){when}"


def _meaning(code: int, memory: dict[str, Any]) -> str:
    if code == 137:
        if not memory.get("kernel_asked"):
            return "SIGKILL; the kernel log could not be read, so out of memory is neither shown nor excluded"
        if memory.get("flag"):
            return "SIGKILL; Docker's out-of-memory flag is set, but the kernel log has no line about it"
        return "SIGKILL; the kernel's log knows nothing of it"
    if code in _MEANINGS:
        return _MEANINGS[code]
    if 128 < code < 160:
        try:
            return signal.Signals(code - 128).name
        except ValueError:
            return f"signal {code - 128}"
    return "an error of its own"


def listed(names: list[str], of: int | None = None) -> str:
    """server, nginx and database; or all of them"""
    if of is not None and len(names) == of > 3:
        return f"all {of} services"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
