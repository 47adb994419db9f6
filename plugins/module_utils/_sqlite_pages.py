# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Pages of a SQLite database as they lie in its file, with the committed ones of its -wal over them, and the cells of one page."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_wal import Wal

INTERIOR_INDEX, INTERIOR_TABLE, LEAF_INDEX, LEAF_TABLE = 2, 5, 10, 13
# The lock bytes of the format; no page that holds them is used.
LOCK_BYTE = 1 << 30


class Pages:
    """Read by number, from 1 on."""

    def __init__(self, path: str, page_size: int, reserved: int, count: int, wal: Wal | None = None) -> None:
        self.page_size, self.usable, self.count = page_size, page_size - reserved, count
        self._file = open(path, "rb")  # noqa: SIM115  closed by close()
        self.in_file = os.fstat(self._file.fileno()).st_size // page_size
        self._wal = None
        self._places: dict[int, int] = {}
        if wal is not None and wal.pages and wal.page_size == page_size:
            self._wal = open(wal.path, "rb")  # noqa: SIM115
            self._places = wal.pages

    def close(self) -> None:
        self._file.close()
        if self._wal is not None:
            self._wal.close()

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *_error: Any) -> None:
        self.close()

    def there(self, number: int) -> bool:
        return 1 <= number <= self.count and (number <= self.in_file or number in self._places)

    def read(self, number: int) -> bytes:
        """Empty where there is none."""
        if not self.there(number):
            return b""
        if number in self._places and self._wal is not None:
            self._wal.seek(self._places[number])
            return self._wal.read(self.page_size)
        return self.read_from_file(number)

    def read_from_file(self, number: int) -> bytes:
        self._file.seek((number - 1) * self.page_size)
        return self._file.read(self.page_size)

    def lock_page(self) -> int:
        return LOCK_BYTE // self.page_size + 1


def varint(data: bytes, place: int) -> tuple[int, int]:
    """The number at this place, and the place behind it; IndexError where the data ends before."""
    value = data[place]
    if value < 0x80:
        return value, place + 1
    value = 0
    for turn in range(8):
        byte = data[place + turn]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + turn + 1
    return value << 8 | data[place + 8], place + 9


@dataclass
class Cell:
    """One of a tree's. key is the row's id in a table; payload is what of it lies on this page."""

    place: int
    end: int
    child: int = 0
    key: int | None = None
    length: int = 0
    payload: bytes = b""
    overflow: int = 0


@dataclass
class Page:
    """One of a tree, taken apart; problems are those that its own bytes show."""

    number: int
    kind: int
    cells: list[Cell] = field(default_factory=list)
    right: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def leaf(self) -> bool:
        return self.kind in (LEAF_INDEX, LEAF_TABLE)

    @property
    def table(self) -> bool:
        return self.kind in (INTERIOR_TABLE, LEAF_TABLE)

    def children(self) -> Iterator[int]:
        for cell in self.cells:
            yield cell.child
        yield self.right


def take_apart(data: bytes, number: int, usable: int) -> Page:
    """Every byte of a page belongs to its header, a pointer, a cell, a free block or a counted fragment: else it is damaged."""
    start = 100 if number == 1 else 0
    if len(data) < usable:
        return Page(number, 0, problems=["it is not in the file"])
    page = Page(number, data[start])
    if page.kind not in (INTERIOR_INDEX, INTERIOR_TABLE, LEAF_INDEX, LEAF_TABLE):
        page.problems.append(
            "it holds nothing but zeros" if not any(data) else f"it begins with {page.kind}, as no page of a tree does"
        )
        return page
    body = start + (8 if page.leaf else 12)
    count = int.from_bytes(data[start + 3 : start + 5], "big")
    content = int.from_bytes(data[start + 5 : start + 7], "big") or 65536
    if body + 2 * count > content or content > usable:
        page.problems.append(f"its {count} cells do not fit beside content that begins at {content}")
        return page
    if not page.leaf:
        page.right = int.from_bytes(data[start + 8 : start + 12], "big")
    used = []
    for turn in range(count):
        place = int.from_bytes(data[body + 2 * turn : body + 2 * turn + 2], "big")
        try:
            if not content <= place <= usable - 4:
                raise ValueError(f"cell {turn} is to lie at {place}")
            cell = _cell(data, place, page, usable)
        except (IndexError, ValueError) as problem:
            page.problems.append(str(problem) if isinstance(problem, ValueError) else f"cell {turn} has no end")
            continue
        page.cells.append(cell)
        used.append((cell.place, cell.end))
    if not page.problems:
        page.problems += _space(data, start, content, usable, used)
    return page


def _cell(data: bytes, place: int, page: Page, usable: int) -> Cell:
    cell = Cell(place, place)
    at = place
    if not page.leaf:
        cell.child = int.from_bytes(data[at : at + 4], "big")
        at += 4
    if page.kind == INTERIOR_TABLE:
        cell.key, at = varint(data, at)
        cell.end = max(at, place + 4)
    else:
        cell.length, at = varint(data, at)
        if page.kind == LEAF_TABLE:
            cell.key, at = varint(data, at)
        local = local_size(cell.length, usable, page.kind == LEAF_TABLE)
        cell.payload = data[at : at + local]
        at += local
        if local < cell.length:
            cell.overflow = int.from_bytes(data[at : at + 4], "big")
            at += 4
        cell.end = max(at, place + 4)
    if cell.key is not None and cell.key >= 1 << 63:
        cell.key -= 1 << 64
    if cell.end > usable:
        raise ValueError(f"the cell at {place} goes beyond the page")
    return cell


def local_size(length: int, usable: int, table_leaf: bool) -> int:
    """How much of a payload lies on the page itself."""
    most = usable - 35 if table_leaf else (usable - 12) * 64 // 255 - 23
    if length <= most:
        return length
    least = (usable - 12) * 32 // 255 - 23
    wanted = least + (length - least) % (usable - 4)
    return wanted if wanted <= most else least


def _space(data: bytes, start: int, content: int, usable: int, used: list[tuple[int, int]]) -> list[str]:
    at = int.from_bytes(data[start + 1 : start + 3], "big")
    used = list(used)
    before = 0
    while at:
        if at <= before or at < content or at > usable - 4:
            return [f"a free block is to lie at {at}"]
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if size < 4 or at + size > usable:
            return [f"the free block at {at} is to have {size} bytes"]
        used.append((at, at + size))
        before, at = at, int.from_bytes(data[at : at + 2], "big")
    used.sort()
    gaps, end = 0, content
    for first, last in used:
        if first < end:
            return [f"two cells or free blocks share byte {first}"]
        gaps += first - end
        end = last
    gaps += usable - end
    counted = data[start + 7]
    return [] if gaps == counted else [f"{gaps} of its bytes belong to nothing, and it counts {counted}"]
