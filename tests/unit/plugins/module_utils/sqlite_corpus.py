# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeded damages to a database, each with the state that is right. What a byte is for is known from the map of pages alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from unit.plugins.module_utils.sqlite_page_map import Mapped, PageMap, Value, number

PAGE, TREE, KEYS, RULE, WAL, OK = "page_damage", "btree_damage", "foreign_key_damage", "invariant_damage", "wal_damage", "ok"
EACH = 36


@dataclass
class Damage:
    """Bytes that replace others; None cuts the file off there. state is the only right one."""

    group: str
    name: str
    state: str
    edits: list[tuple[str, int, bytes | None]]
    base: str = "cold"
    pages: tuple[int, ...] = ()
    object: str | None = None

    def apply(self, path: Path) -> None:
        for suffix, at, replaced in self.edits:
            with open(f"{path}{suffix}", "r+b") as file:
                file.seek(at)
                if replaced is None:
                    file.truncate()
                else:
                    file.write(replaced)


class Maker:
    """Damages of one group after the other; the seed makes them the same each time."""

    def __init__(self, mapped: PageMap, seed: int) -> None:
        self.map, self.random = mapped, random.Random(seed)

    def _garbage(self, length: int) -> bytes:
        # No page of a tree begins so.
        return bytes([0x5A]) + self.random.randbytes(length - 1)

    def _on(self, page: int, at: int, data: bytes) -> list[tuple[str, int, bytes | None]]:
        return [("", (page - 1) * self.map.size + at, data)]

    def damage(self, group: str, name: str, page: int, at: int, data: bytes, state: str) -> Damage:
        assert self.map.data(page)[at : at + len(data)] != data, (group, name, page)
        owner = self.map.map[page].owner or None
        return Damage(
            group, f"{name}, page {page}", state, self._on(page, at, data), pages=(page,) if state == PAGE else (), object=owner
        )

    def _changed(self, page: int, at: int) -> bytes:
        """Another value for one byte."""
        return bytes([self.map.data(page)[at] ^ self.random.randrange(1, 256)])

    def tree_page(self, group: str, pages: list[int]) -> Iterator[Damage]:
        """What can happen to a page whatever it holds."""
        for turn in range(10_000):
            kinds = self._kinds(group, self.random.choice(pages))
            made = kinds[turn % len(kinds)]()
            if made:
                yield made

    def _kinds(self, group: str, page: int) -> list[Callable[[], Damage | None]]:
        mapped, data, size = self.map.map[page], self.map.data(page), self.map.size
        cells, content = number(data, 3, 2), number(data, 5, 2)
        return [
            lambda: self.damage(group, "zeroed", page, 0, bytes(size), PAGE),
            lambda: self.damage(group, "garbage", page, 0, self._garbage(size), PAGE),
            lambda: self.damage(group, "second half zeroed", page, size // 2, bytes(size // 2), PAGE) if cells > 5 else None,
            lambda: self.damage(group, "another kind", page, 0, bytes([{13: 10, 10: 13, 5: 2, 2: 5}[data[0]]]), PAGE),
            lambda: self.damage(group, "no kind", page, 0, self._no_kind(page), PAGE),
            lambda: self.damage(group, "a cell more", page, 3, (cells + 1).to_bytes(2, "big"), PAGE),
            lambda: self.damage(group, "a cell less", page, 3, (cells - 1).to_bytes(2, "big"), PAGE),
            lambda: self.damage(group, "fragments", page, 7, bytes([data[7] ^ 1]), PAGE),
            lambda: self.damage(group, "content", page, 5, (content + 1).to_bytes(2, "big"), PAGE),
            lambda: self._pointer(group, page, mapped, cells),
            lambda: self._length(group, page, mapped),
            lambda: self._row(group, page, mapped),
            lambda: self._child(group, page, mapped),
            lambda: self._key(group, page, mapped),
            lambda: self._copied(group, page, mapped),
        ]

    def _no_kind(self, page: int) -> bytes:
        kind = self.map.data(page)[0]
        return bytes([self.random.choice([one for one in range(1, 256) if one not in (2, 5, 10, 13, kind)])])

    def _pointer(self, group: str, page: int, mapped: Mapped, cells: int) -> Damage | None:
        if cells < 3:
            return None
        begins = next(first for first, _last, what in mapped.spans if what == "pointers")
        one, other = self.random.sample(range(cells), 2)
        there = self.map.data(page)[begins + 2 * other : begins + 2 * other + 2]
        return self.damage(group, "a cell twice", page, begins + 2 * one, there, PAGE)

    def _length(self, group: str, page: int, mapped: Mapped) -> Damage | None:
        data = self.map.data(page)
        # The last byte of the number grows by one; the cell then reaches into the next.
        places = [last - 1 for _first, last, what in mapped.spans if what == "length" and data[last - 1] < 0x7F]
        if not places:
            return None
        at = self.random.choice(places)
        return self.damage(group, "a longer cell", page, at, bytes([data[at] + 1]), PAGE)

    def _row(self, group: str, page: int, mapped: Mapped) -> Damage | None:
        data = self.map.data(page)
        places = [last - 1 for _first, last, what in mapped.spans if what == "row" and data[last - 1] < 0x7F]
        if len(places) < 2 or mapped.owner == "sqlite_schema":
            return None
        at = self.random.choice(places[:-1])
        return self.damage(group, "another row id", page, at, bytes([data[at] + 1]), TREE)

    def _child(self, group: str, page: int, mapped: Mapped) -> Damage | None:
        if len(mapped.children) < 2:
            return None
        (at, _child), (_other, sibling) = self.random.sample(mapped.children, 2)
        if self.random.random() < 0.5:
            return self.damage(group, "a child twice", page, at, sibling.to_bytes(4, "big"), TREE)
        beyond = len(self.map.pages) + self.random.randrange(1, 1000)
        return self.damage(group, "a child beyond the end", page, at, beyond.to_bytes(4, "big"), PAGE)

    def _key(self, group: str, page: int, mapped: Mapped) -> Damage | None:
        if mapped.role != "interior":
            return None
        data = self.map.data(page)
        # Where the next row has the next number, the bound may not move at all.
        rows = {row for one in self.map.of("table leaf", mapped.owner) for row in self.map.map[one].rows}
        keys = [last - 1 for _first, last, what in mapped.spans if what == "key"]
        places = [
            at for at, row in zip(keys, mapped.rows, strict=True) if row is not None and row + 1 in rows and data[at] < 0x7F
        ]
        if not places or mapped.owner == "sqlite_schema":
            return None
        at = self.random.choice(places)
        return self.damage(group, "another bound", page, at, bytes([data[at] + 1]), TREE)

    def _copied(self, group: str, page: int, mapped: Mapped) -> Damage | None:
        others = [
            one
            for one in self.map.of(mapped.role, mapped.owner)
            if one != page and self.map.data(one)[0] == self.map.data(page)[0]
        ]
        root = self.map.roots.get(mapped.owner)
        others = [one for one in others if root not in (one, page)]
        if not others or mapped.owner == "sqlite_schema":
            return None
        return self.damage(group, "another page's bytes", page, 0, self.map.data(self.random.choice(others)), TREE)

    def overflow(self) -> Iterator[Damage]:
        pages = self.map.of("overflow")
        for turn in range(10_000):
            page = self.random.choice(pages)
            mapped, data, size = self.map.map[page], self.map.data(page), self.map.size
            following, last = number(data, 0), mapped.spans[1][1]
            at = self.random.randrange(4, last)
            beyond = len(self.map.pages) + self.random.randrange(1, 1000)
            kind = turn % 7
            if kind == 0 and last > 100:
                yield self.damage("overflow", "zeroed", page, 0, bytes(size), PAGE)
            elif kind == 1:
                yield self.damage("overflow", "garbage", page, 0, self._garbage(size), PAGE)
            elif kind == 2 and following:
                yield self.damage("overflow", "chain cut", page, 0, bytes(4), PAGE)
            elif kind == 3:
                yield self.damage("overflow", "chain beyond the end", page, 0, beyond.to_bytes(4, "big"), PAGE)
            elif kind == 4:
                # No text of this encoding has such a byte; the row begins on a page of its own.
                yield Damage(
                    "overflow",
                    f"high bit, page {page}",
                    PAGE,
                    self._on(page, at, bytes([data[at] | 0x80])),
                    object=mapped.owner,
                )
            elif kind == 5 and "orders" in mapped.owner:
                yield self.damage("overflow", "another letter", page, at, self._letter(data[at]), TREE)
            elif kind == 6 and last > 100:
                yield Damage(
                    "overflow", f"a sector of zeros, page {page}", PAGE, self._on(page, 4, bytes(90)), object=mapped.owner
                )

    def _letter(self, byte: int) -> bytes:
        return self.random.choice([one for one in b"0123456789abcdef" if one != byte]).to_bytes(1, "big")

    def freelist(self) -> Iterator[Damage]:
        trunk = self.map.of("trunk")[0]
        data, size = self.map.data(trunk), self.map.size
        used, free = self.map.of("table leaf"), self.map.of("free")
        count = number(data, 4)
        beyond = len(self.map.pages)

        def entry(turn: int) -> tuple[int, int]:
            return 8 + 4 * turn, number(data, 8 + 4 * turn)

        while True:
            at, listed = entry(self.random.randrange(count))
            _at, other = entry(self.random.randrange(count))
            far = (beyond + self.random.randrange(1, 1 << 20)).to_bytes(4, "big")
            yield self.damage(
                "freelist", "trunk leads to a used page", trunk, 0, self.random.choice(used).to_bytes(4, "big"), TREE
            )
            yield self.damage("freelist", "trunk leads beyond the end", trunk, 0, far, PAGE)
            yield self.damage(
                "freelist", "too many", trunk, 4, (size + self.random.randrange(1 << 20)).to_bytes(4, "big"), PAGE
            )
            yield self.damage("freelist", "fewer", trunk, 4, self.random.randrange(count).to_bytes(4, "big"), PAGE)
            yield self.damage("freelist", "lists a used page", trunk, at, self.random.choice(used).to_bytes(4, "big"), TREE)
            yield self.damage("freelist", "lists one beyond the end", trunk, at, far, PAGE)
            if other != listed:
                yield self.damage("freelist", "lists one twice", trunk, at, other.to_bytes(4, "big"), TREE)
            yield self.damage("freelist", "trunk zeroed", trunk, 0, bytes(size), PAGE)
            yield self.damage("freelist", "trunk garbage", trunk, 0, self._garbage(size), PAGE)
            yield self.damage("freelist", "free page garbage", self.random.choice(free), 0, self._garbage(size), OK)

    def page_1(self) -> Iterator[Damage]:
        data, pages = self.map.data(1), len(self.map.pages)
        free, trunk = number(data, 36), number(data, 32)

        def field(name: str, at: int, value: int, length: int = 4, state: str = PAGE) -> Damage:
            return self.damage("page 1", name, 1, at, value.to_bytes(length, "big"), state)

        while True:
            yield self.damage("page 1", "magic", 1, (at := self.random.randrange(16)), self._changed(1, at), PAGE)
            yield field("a page size of none", 16, self.random.choice([0, 3, 511, 1000, 1025, 4095]), 2)
            yield field("another page size", 16, self.random.choice([512, 2048, 4096, 8192]), 2)
            yield field("format to write", 18, self.random.randrange(3, 256), 1)
            yield field("format to read", 19, self.random.randrange(3, 256), 1)
            yield field("reserved bytes", 20, self.random.randrange(1, 200), 1)
            yield self.damage("page 1", "fractions", 1, (at := self.random.randrange(21, 24)), self._changed(1, at), PAGE)
            yield field("more pages", 28, pages + self.random.randrange(1, 100))
            yield field("fewer pages", 28, pages - self.random.randrange(1, 100))
            yield field("list of free pages", 32, self.random.choice([self.random.choice(self.map.of("index")), pages + 7]))
            yield field("no list of free pages", 32, 0)
            yield field("number of free pages", 36, free + self.random.choice([-1, 1, 5, 1 << 20]))
            yield field("schema format", 44, self.random.randrange(5, 256))
            yield field("pointer maps", 52, self.random.choice([2, 9, pages + 3]))
            yield field("encoding", 56, self.random.choice([2, 3, 7, 200]))
            yield self.damage("page 1", "zeros expected", 1, (at := self.random.randrange(72, 92)), self._changed(1, at), PAGE)
            yield field("kind", 100, self.random.choice([0, 2, 10, 13, 77]), 1)
            yield field("cells", 103, number(data, 103, 2) + self.random.choice([-1, 1]), 2)
            yield field("child beyond the end", 108, pages + self.random.randrange(1, 1000))
            yield self.damage("page 1", "zeroed", 1, 0, bytes(self.map.size), PAGE)
            yield self.damage("page 1", "garbage", 1, 0, self._garbage(self.map.size), PAGE)
            yield self.damage("page 1", "change counter", 1, (at := self.random.randrange(24, 28)), self._changed(1, at), OK)
            yield self.damage(
                "page 1", "version of SQLite", 1, (at := self.random.randrange(96, 100)), self._changed(1, at), OK
            )
            yield field("child is another's", 108, self.random.choice(self.map.of("table leaf", "orders")), 4, TREE)
            assert trunk

    def values(self) -> Iterator[Damage]:
        """One value becomes another of its kind and length, under an index, a rule, a key or an invariant."""
        tables = ("users", "orders", "escrows", "escrow_events", "payouts", "order_items", "deposits")
        found: dict[tuple[str, int], list[tuple[int, Value]]] = {}
        for page, mapped in self.map.map.items():
            for value in mapped.values:
                if mapped.owner in tables or mapped.owner.startswith(("orders_", "escrows_", "sqlite_autoindex_")):
                    found.setdefault((value.owner, value.column), []).append((page, value))
        rules: list[tuple[str, int, str, Callable[[bytes], bytes]]] = [
            ("users", 1, TREE, self._text), ("users", 2, RULE, self._text), ("orders", 1, TREE, self._text),
            ("orders", 2, KEYS, lambda _old: b"\xf0"), ("orders", 4, TREE, self._text), ("orders", 6, RULE, self._less),
            ("orders", 6, RULE, self._low), ("orders", 7, TREE, self._low), ("order_items", 3, RULE, self._low),
            ("order_items", 2, PAGE, lambda old: bytes([old[0] | 0x80]) + old[1:]),
            ("escrows", 1, TREE, self._low), ("escrows", 2, TREE, self._text), ("escrows", 3, RULE, self._low),
            ("escrows", 6, TREE, self._text), ("escrows", 7, TREE, self._text), ("escrows", 8, TREE, self._low),
            ("escrow_events", 1, TREE, self._low), ("escrow_events", 2, RULE, self._text), ("deposits", 2, RULE, self._low),
            ("payouts", 1, TREE, self._low), ("payouts", 2, TREE, self._text), ("payouts", 3, RULE, self._low),
            ("orders_created", 0, TREE, self._low), ("orders_status", 0, TREE, self._text), ("escrows_state", 1, TREE, self._low),
            ("sqlite_autoindex_orders_1", 0, TREE, self._text), ("sqlite_autoindex_payouts_2", 0, TREE, self._text),
        ]  # fmt: skip
        while True:
            for owner, column, state, change in rules:
                page, value = self.random.choice([one for one in found[(owner, column)] if self._covered(one[1])])
                old = self.map.data(page)[value.begins : value.ends]
                made = self.damage("value", f"{owner} column {column}", page, value.begins, change(old), state)
                made.pages = ()
                yield made

    def _covered(self, value: Value) -> bool:
        """An escrow without a deposit has no amount to compare; a user of one byte becomes none that is there."""
        if (value.owner, value.column) == ("escrows", 3):
            return value.row is not None and value.row % 5 != 0
        return (value.owner, value.column) != ("orders", 2) or value.kind == 1

    def _text(self, old: bytes) -> bytes:
        at = self.random.randrange(len(old))
        return old[:at] + self._letter(old[at]) + old[at + 1 :]

    def _low(self, old: bytes) -> bytes:
        return old[:-1] + bytes([old[-1] ^ self.random.choice([1, 2, 4])])

    def _less(self, old: bytes) -> bytes:
        return bytes([old[0] | 0x80]) + old[1:]


def take(damages: Iterator[Damage], count: int = EACH) -> list[Damage]:
    return [next(damages) for _turn in range(count)]


def corpus(mapped: PageMap, seed: int = 7) -> list[Damage]:
    make = Maker(mapped, seed)
    leaves = [page for page in mapped.of("table leaf") if number(mapped.data(page), 3, 2) > 1]
    return [
        *take(make.tree_page("table leaf", leaves)),
        *take(make.tree_page("interior", [page for page in mapped.of("interior") if page != 1])),
        *take(make.tree_page("index", [page for page in mapped.of("index") if number(mapped.data(page), 3, 2) > 1])),
        *take(make.overflow()),
        *take(make.freelist()),
        *take(make.page_1()),
        *take(make.values()),
    ]
