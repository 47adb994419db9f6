# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What the host's own timer tells node-exporter's textfile collector. What failed keeps the time of its last success."""

from __future__ import annotations

import os
import time
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    draft_of,
    put_in_place,
    remove,
    write_all,
)

_PREFIX = "marketplace_backup_"
_MADE = {
    "last_success_timestamp_seconds": "When the newest proven archive was made.",
    "bytes": "Its size.",
    "last_run_success": "Whether the timer's last run left each role with its backup.",
}
_PROVEN = {
    "proven_timestamp_seconds": "When an archive was last restored into scratch and found good.",
    "proven_rto_seconds": "How long decrypting and checking it took.",
    "proven_rpo_seconds": "How old it was then.",
    "proven_last_run_success": "Whether the last proof found a good archive.",
}


def made(kind: str, found: list[dict[str, Any]], before: str, now: float) -> str:
    values: dict[str, dict[str, str]] = {}
    for one in found:
        done = one["state"] in ("made", "fresh")
        values[_labels(kind, one["role"])] = {
            "last_success_timestamp_seconds": f"{now - one['age_seconds']:.0f}" if done else "",
            "bytes": str(one["bytes"]) if done else "",
            "last_run_success": str(int(done)),
        }
    return _text(_MADE, values, before, kept=("last_success_timestamp_seconds",))


def proven(found: list[dict[str, Any]], before: str, now: float) -> str:
    values: dict[str, dict[str, str]] = {}
    for one in found:
        good = one["good"]
        values[_labels(one["kind"], one["role"])] = {
            "proven_timestamp_seconds": f"{now:.0f}" if good else "",
            "proven_rto_seconds": f"{one['rto_seconds']:g}" if good else "",
            "proven_rpo_seconds": f"{one['rpo_seconds']:g}" if good else "",
            "proven_last_run_success": str(int(good)),
        }
    return _text(_PROVEN, values, before, kept=("proven_timestamp_seconds",))


def _labels(kind: str, role: str) -> str:
    return f'{{kind="{kind}",role="{role}"}}'


def _text(names: dict[str, str], values: dict[str, dict[str, str]], before: str, kept: tuple[str, ...]) -> str:
    earlier = dict(line.rsplit(" ", 1) for line in before.splitlines() if line and not line.startswith("#") and " " in line)
    lines = []
    for name, what in names.items():
        lines += [f"# HELP {_PREFIX}{name} {what}", f"# TYPE {_PREFIX}{name} gauge"]
        for labels, one in values.items():
            value = one[name] or (earlier.get(f"{_PREFIX}{name}{labels}", "") if name in kept else "")
            lines += [f"{_PREFIX}{name}{labels} {value}"] if value else []
    return "\n".join(lines) + "\n"


def write(folder: str, task: str, found: list[dict[str, Any]], kind: str = "") -> None:
    """marketplace_backup_TASK.prom, read by whoever node-exporter runs as; there is nothing secret in it."""
    path = os.path.join(folder, f"marketplace_backup_{task}.prom")
    try:
        with open(path, encoding="utf-8") as file:
            before = file.read(65536)
    except FileNotFoundError:
        before = ""
    text = made(kind, found, before, time.time()) if kind else proven(found, before, time.time())
    draft = draft_of(path)
    remove(draft)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        os.fchmod(handle, 0o644)
        write_all(handle, text.encode())
    finally:
        os.close(handle)
    put_in_place(draft, path)
