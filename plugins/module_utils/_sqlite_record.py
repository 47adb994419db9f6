# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Values in the payload of a cell, and whether SQLite itself can have written them.

It writes each whole number in the fewest bytes, and nothing behind the last value. So a damaged byte often shows in a value that nothing
else covers. It takes any bytes for a text, so one that no encoding has, or with zeros, is in doubt. Another text of that length stays unseen.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_pages import varint

SIZES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}
# Types with nothing to get wrong: NULL, a byte, 0, 1, and no text.
PLAIN = frozenset((0, 1, 8, 9, 12, 13))
SHORTER = {2: 1, 3: 2, 4: 3, 5: 4, 6: 6}
ENCODINGS = {0: "utf-8", 1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}
# What is lost on a disk reads as zeros; a text seldom holds a row of them.
ZEROS = b"\0" * 32


def types(payload: bytes) -> tuple[list[int], int]:
    """The serial types of a record, and where its values begin; ValueError or IndexError where it has none."""
    end, at = varint(payload, 0)
    if end < at or end > len(payload):
        raise ValueError("its record has no header")
    found = []
    while at < end:
        kind, at = varint(payload, at)
        if kind in (10, 11):
            raise ValueError(f"a value has type {kind}, which none has")
        found.append(kind)
    if at != end:
        raise ValueError("its record's header ends within a type")
    return found, end


def size_of(kind: int) -> int:
    return SIZES[kind] if kind < 12 else (kind - 12) // 2


@lru_cache(maxsize=4096)
def _layout(head: bytes) -> tuple[int, tuple[tuple[int, int, int, int], ...]] | str:
    """The length of a record with this header, and each value in which anything can be wrong: which it is, its type and its bytes."""
    try:
        kinds, at = types(head)
    except IndexError:
        return "its record's header has no end"
    except ValueError as problem:
        return str(problem)
    found = []
    for turn, kind in enumerate(kinds):
        end = at + size_of(kind)
        if kind not in PLAIN and (kind < 12 or kind % 2):
            found.append((turn, kind, at, end))
        at = end
    return at, tuple(found)


def problem_of(payload: bytes, encoding: int) -> tuple[int, str, bool] | None:
    """What in a whole payload SQLite cannot have written, and where; or else what it can have written, and hardly has: true in the end."""
    length = payload[0]
    if length >= 0x80:
        try:
            length = varint(payload, 0)[0]
        except IndexError:
            length = len(payload)
    # Rows of one table share a few headers.
    known = _layout(payload[:length])
    if isinstance(known, str):
        return 0, known, False
    if known[0] != len(payload):
        return 0, "its record is not as long as its values", False
    doubt: tuple[int, str, bool] | None = None
    for turn, kind, begins, ends in known[1]:
        data = payload[begins:ends]
        wrong = _number(kind, data) if kind <= 7 else None
        if wrong:
            return begins, f"value {turn + 1} {wrong}", False
        odd = _text(data, encoding) if kind > 7 and doubt is None else None
        if odd:
            doubt = begins + odd[0], f"value {turn + 1} {odd[1]}", True
    return doubt


def _number(kind: int, data: bytes) -> str | None:
    if kind <= 6:
        shorter = SHORTER[kind]
        if -(1 << 8 * shorter - 1) <= int.from_bytes(data, "big", signed=True) < 1 << 8 * shorter - 1:
            return "is a number in more bytes than it needs"
    elif data[0] & 0x7F == 0x7F and data[1] & 0xF0 == 0xF0 and (data[1] & 0x0F or any(data[2:])):
        # Not a number is stored as NULL.
        return "is no number"
    return None


def _text(data: bytes, encoding: int) -> tuple[int, str] | None:
    if not data.isascii() or encoding > 1:
        try:
            data.decode(ENCODINGS[encoding & 3])
        except UnicodeDecodeError as problem:
            return problem.start, "is a text with bytes that no text has"
    at = data.find(ZEROS)
    return (at, "is a text with a stretch of zeros") if at >= 0 else None


def values(payload: bytes, encoding: int) -> list[Any]:
    """For the schema, whose records are short."""
    kinds, at = types(payload)
    found: list[Any] = []
    for kind in kinds:
        size = size_of(kind)
        data = payload[at : at + size]
        at += size
        if kind == 0:
            found.append(None)
        elif kind in (8, 9):
            found.append(kind - 8)
        elif kind < 7:
            found.append(int.from_bytes(data, "big", signed=True))
        elif kind >= 13 and kind % 2:
            found.append(data.decode(ENCODINGS[encoding & 3], "replace"))
        else:
            found.append(data)
    return found
