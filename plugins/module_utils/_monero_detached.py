# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Blocks that were taken back because the chain was reorganised, by the words of wallets and daemon: no RPC tells of them afterwards."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

# 2019-11-30 08:25:34.377 ... Detached blockchain on height 1978107, transfers detached 0, blocks detached 1
_DETACHED = re.compile(
    r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)?\s.*Detached blockchain on height (\d{1,12}), transfers detached (\d{1,12}), "
    r"blocks detached (\d{1,12})\b"
)


# 2026-11-24 19:05:12.345 I REORGANIZE SUCCESS! on height: 143, new blockchain size: 148
_REORGANISED = re.compile(
    r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)?\s.*REORGANIZE SUCCESS! on height: (\d{1,12}), new blockchain size: (\d{1,12})\b"
)


def by_daemon(lines: list[str]) -> dict[str, Any] | None:
    """The last time it did, as last() of a wallet; it changes over as soon as the other chain is one block longer."""
    for line in reversed(lines):
        found = _REORGANISED.match(line)
        at = _epoch(found[1]) if found else None
        if found is not None and at is not None:
            return {"at": at, "height": int(found[2]), "blocks": max(1, int(found[3]) - int(found[2]) - 1)}
    return None


def _epoch(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return None


def last(lines: list[str]) -> dict[str, Any] | None:
    """The last time it did: at (seconds since 1970), the first height taken back, and how many blocks and transfers.

    An import of multisig info takes back blocks too, from the block of a transfer on: only without any transfer it is the chain's doing.
    """
    for line in reversed(lines):
        found = _DETACHED.match(line)
        at = _epoch(found[1]) if found else None
        if found is None or at is None:
            continue
        return {"at": at, "height": int(found[2]), "transfers": int(found[3]), "blocks": int(found[4])}
    return None
