# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What changed on a host of late: commits, settings, backups. Each question is bounded; what nobody knows is None."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

# Settings that decide what the next `up` does; only their names and times are read.
SETTINGS = (
    "compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml",
    "compose.override.yaml", "compose.override.yml", "docker-compose.override.yml", ".env",
)  # fmt: skip
MOST_FILES = 20_000
# Nobody's own settings: the home of whoever runs this is not the owner's to read.
GIT_ALONE = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"}
# An archive in the making, and what lies beside one.
NOT_A_BACKUP = (".part", ".partial", ".tmp", ".sha256", ".json", ".log")


def commits(directory: str, count: int, timeout: float) -> dict[str, Any]:
    """The last commits of the work tree that a folder lies in, and whether it was edited since."""
    git = partial(run, timeout=timeout, extra=GIT_ALONE, owner_of=directory)
    log = git(["git", "-C", directory, "log", f"-{count}", "--no-show-signature", "--format=%h%x00%ct%x00%s"])
    if not log.ok:
        return {"commits": None, "edited": None}
    status = git(["git", "-C", directory, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no"])
    edited = [clean_line(line[3:], 200) for line in status.out.decode("utf-8", "replace").splitlines()] if status.ok else None
    return {
        "commits": [found for found in map(_commit, log.out.decode("utf-8", "replace").splitlines()) if found],
        "edited": edited,
    }


def _commit(line: str) -> dict[str, Any] | None:
    parts = line.split("\0")
    if len(parts) != 3 or not parts[1].isdigit():
        return None
    return {"commit": clean_line(parts[0], 40), "time": float(parts[1]), "subject": clean_line(parts[2], 120)}


def newest_setting(directory: str) -> dict[str, Any] | None:
    """The file among the project's settings that was written last."""
    found = []
    for name in SETTINGS:
        path = os.path.join(directory, name)
        try:
            found.append((os.stat(path).st_mtime, path))
        except OSError:
            continue
    return {"path": max(found)[1], "time": max(found)[0]} if found else None


def newest_backup(directory: str, timeout: float) -> dict[str, Any]:
    """The newest file below a folder; whether it is any good nobody has tried here."""
    told: dict[str, Any] = {"directory": directory, "path": None, "time": None, "bytes": None, "problem": None}
    if not os.path.isdir(directory):
        return {**told, "problem": "the folder does not exist"}
    deadline, seen = time.monotonic() + timeout, 0
    for folder, folders, names in os.walk(directory):
        folders.sort(reverse=True)
        for name in names:
            seen += 1
            if seen > MOST_FILES or time.monotonic() > deadline:
                return {**told, "problem": "too many files to look at all of them"}
            if name.startswith(".") or name.endswith(NOT_A_BACKUP):
                continue
            path = os.path.join(folder, name)
            try:
                stat = os.lstat(path)
            except OSError:
                continue
            if not os.path.islink(path) and (told["time"] is None or stat.st_mtime > told["time"]):
                told.update(path=clean_line(path, 300), time=stat.st_mtime, bytes=stat.st_size)
    return told
