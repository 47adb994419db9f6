# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Which states a restore of each kind has, and what each has to be told."""

from __future__ import annotations

from typing import Any, Iterator

STATES = {
    "wallet": ("cache_parked", "keys_from_backup", "resumed"),
    "database": ("preserved", "planned", "restored", "compared", "resumed", "reopening", "reopened"),
}

OTHER = {
    "role": {"type": "str", "required": True},
    "directory": {"type": "path", "required": True},
    "wallet": {"type": "str", "required": True},
    "password": {"type": "str", "no_log": True},
}
INVARIANT = {"name": {"type": "str", "required": True}, "query": {"type": "str", "required": True}}


def missing(options: dict[str, Any]) -> Iterator[str]:
    kind, state = options["kind"], options["state"]
    if state not in STATES[kind]:
        yield f"state={state} is none of a {kind}'s: choose one of {', '.join(STATES[kind])}, or another kind."
    for name in ("path",) if kind == "database" else ("role", "directory", "wallet", "image"):
        if not options[name]:
            yield f"A {kind}'s restore needs to be told its {name} ({name})."
    if state == "keys_from_backup" and not options["archive"]:
        yield "Keys come from an archive: name it (archive)."
    if state == "planned" and not options["archive"] and not options["directory"]:
        yield "A plan chooses among archives: name their folder (directory), or one of them (archive)."
    if state == "restored" and not options["plan"]:
        yield "A restore carries a plan out: give its hash (plan)."
