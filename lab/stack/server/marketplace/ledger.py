# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was promised to customers, on another file system: the intent before each commit, the fact after it."""

from __future__ import annotations

import json
import os
import time
from typing import Any

FILE_NAME = "ledger.jsonl"


class Ledger:
    """Appends fsynced JSON lines; a line torn by an earlier kill is closed first, so that it stays alone."""

    def __init__(self, directory: str) -> None:
        self._run = f"{time.time_ns():x}"
        self._number = 0
        self._file = os.open(f"{directory}/{FILE_NAME}", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def intend(self, changes: list[dict[str, Any]]) -> str:
        self._number += 1
        entry = f"{self._run}-{self._number}"
        self._append({"id": entry, "phase": "intent", "time": time.time(), "changes": changes})
        return entry

    def committed(self, entry: str) -> None:
        self._append({"id": entry, "phase": "committed", "time": time.time()})

    def rolled_back(self, entry: str) -> None:
        self._append({"id": entry, "phase": "rolled_back", "time": time.time()})

    def close(self) -> None:
        os.close(self._file)

    def _append(self, line: dict[str, Any]) -> None:
        data = json.dumps(line, separators=(",", ":"), sort_keys=True).encode() + b"\n"
        written = os.write(self._file, data)
        if written != len(data):
            raise OSError(f"ledger line cut at {written} of {len(data)} bytes")
        os.fsync(self._file)
