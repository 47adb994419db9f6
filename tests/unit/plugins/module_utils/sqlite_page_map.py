# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every byte of a small SQLite database is for, read from the format's description, and from nothing of what is tested."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

LEAVES = {13: "table leaf", 10: "index"}
INTERIORS = {5: "interior", 2: "index"}


def number(data: bytes, at: int, length: int = 4) -> int:
    return int.from_bytes(data[at : at + length], "big")


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for turn in range(9):
        byte = data[at + turn]
        if turn == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 127
        if byte < 128:
            return value, at + turn + 1
    raise AssertionError


def width(kind: int) -> int:
    return (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)[kind] if kind < 10 else (kind - 12) // 2


@dataclass
class Value:
    """One value that lies on this page as a whole."""

    owner: str
    row: int | None
    column: int
    kind: int
    begins: int
    ends: int


@dataclass
class Mapped:
    """role is table leaf, interior, index, overflow, trunk or free; spans name what the bytes from..to are."""

    role: str
    owner: str
    spans: list[tuple[int, int, str]] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    rows: list[int | None] = field(default_factory=list)
    children: list[tuple[int, int]] = field(default_factory=list)

    def what(self, at: int) -> str:
        return next((name for begins, ends, name in self.spans if begins <= at < ends), "nothing")

    def places(self, *names: str) -> list[int]:
        return [at for begins, ends, name in self.spans if name in names for at in range(begins, ends)]


class PageMap:
    """Of a whole file without a -wal."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        self.size = number(data, 16, 2)
        self.pages = [data[at : at + self.size] for at in range(0, len(data), self.size)]
        self.map: dict[int, Mapped] = {}
        self.roots: dict[str, int] = {}
        self._schema: list[tuple[str, str, int]] = []
        self._tree(1, "sqlite_schema")
        for _kind, name, root in self._schema:
            if root:
                self.roots[name] = root
                self._tree(root, name)
        self._free(number(data, 32))
        assert sorted(self.map) == list(range(1, len(self.pages) + 1)), "every page is mapped"

    def of(self, role: str, *owners: str) -> list[int]:
        return [one for one, page in self.map.items() if page.role == role and (not owners or page.owner in owners)]

    def data(self, page: int) -> bytes:
        return self.pages[page - 1]

    def _tree(self, page: int, owner: str) -> None:
        data, start = self.data(page), 100 if page == 1 else 0
        kind = data[start]
        mapped = self.map[page] = Mapped({**LEAVES, **INTERIORS}[kind], owner)
        cells, body = number(data, start + 3, 2), start + (8 if kind in LEAVES else 12)
        mapped.spans += [(start, start + 1, "kind"), (start + 1, start + 3, "first free"), (start + 3, start + 5, "cells")]
        mapped.spans += [(start + 5, start + 7, "content"), (start + 7, start + 8, "fragments")]
        mapped.spans.append((body, body + 2 * cells, "pointers"))
        for turn in range(cells):
            self._cell(page, mapped, kind, number(data, body + 2 * turn, 2))
        if kind in INTERIORS:
            mapped.spans.append((start + 8, start + 12, "child"))
            mapped.children.append((start + 8, number(data, start + 8)))
        for _place, child in mapped.children:
            self._tree(child, owner)

    def _cell(self, page: int, mapped: Mapped, kind: int, at: int) -> None:
        data, row = self.data(page), None
        if kind in INTERIORS:
            mapped.children.append((at, number(data, at)))
            mapped.spans.append((at, at + 4, "child"))
            at += 4
        if kind == 5:
            row, end = varint(data, at)
            mapped.spans.append((at, end, "key"))
            mapped.rows.append(row)
            return
        length, end = varint(data, at)
        mapped.spans.append((at, end, "length"))
        at = end
        if kind == 13:
            row, end = varint(data, at)
            mapped.spans.append((at, end, "row"))
            at = end
        mapped.rows.append(row)
        local = self._local(length, kind == 13)
        self._record(data, mapped, row, at, local)
        if local < length:
            mapped.spans.append((at + local, at + local + 4, "overflow"))
            self._overflow(number(data, at + local), length - local, mapped.owner)

    def _local(self, length: int, table: bool) -> int:
        most = self.size - 35 if table else (self.size - 12) * 64 // 255 - 23
        least = (self.size - 12) * 32 // 255 - 23
        if length <= most:
            return length
        wanted = least + (length - least) % (self.size - 4)
        return wanted if wanted <= most else least

    def _record(self, data: bytes, mapped: Mapped, row: int | None, at: int, local: int) -> None:
        headed, place = varint(data, at)
        mapped.spans.append((at, at + headed, "record header"))
        kinds = []
        while place < at + headed:
            kind, place = varint(data, place)
            kinds.append(kind)
        place = at + headed
        for column, kind in enumerate(kinds):
            ends = place + width(kind)
            mapped.spans.append((place, min(ends, at + local), "value"))
            if width(kind) and ends <= at + local:
                mapped.values.append(Value(mapped.owner, row, column, kind, place, ends))
            place = ends
        if mapped.owner == "sqlite_schema" and len(self._schema) < 1000:
            self._remember(data, kinds, at + headed)

    def _remember(self, data: bytes, kinds: list[int], place: int) -> None:
        found = []
        for kind in kinds[:4]:
            found.append(data[place : place + width(kind)])
            place += width(kind)
        self._schema.append((found[0].decode(), found[1].decode(), int.from_bytes(found[3], "big")))

    def _overflow(self, page: int, left: int, owner: str) -> None:
        while page:
            holds = min(left, self.size - 4)
            self.map[page] = Mapped("overflow", owner, [(0, 4, "next"), (4, 4 + holds, "value")])
            left -= holds
            page = number(self.data(page), 0)

    def _free(self, trunk: int) -> None:
        while trunk:
            data = self.data(trunk)
            count = number(data, 4)
            self.map[trunk] = Mapped("trunk", "", [(0, 4, "next"), (4, 8, "count"), (8, 8 + 4 * count, "leaf")])
            for turn in range(count):
                self.map[number(data, 8 + 4 * turn)] = Mapped("free", "")
            trunk = number(data, 0)
