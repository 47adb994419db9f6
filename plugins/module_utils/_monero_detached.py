# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Blocks that a wallet took back because the chain was reorganised, by its own log: no RPC tells of them once it has followed."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

# 2019-11-30 08:25:34.377 ... Detached blockchain on height 1978107, transfers detached 0, blocks detached 1
_DETACHED = re.compile(
    r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)?\s.*Detached blockchain on height (\d{1,12}), transfers detached (\d{1,12}), "
    r"blocks detached (\d{1,12})\b"
)


def last(lines: list[str]) -> dict[str, Any] | None:
    """The last time it did: at (seconds since 1970), the first height taken back, and how many blocks and payments."""
    for line in reversed(lines):
        found = _DETACHED.match(line)
        if found is None:
            continue
        try:
            at = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
        except ValueError:
            continue
        return {"at": at, "height": int(found[2]), "transfers": int(found[3]), "blocks": int(found[4])}
    return None
