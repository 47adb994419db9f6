# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Walk every tree of a SQLite database without SQLite: which page belongs to which table or index, and which are damaged.

SQLite names pages by number and tree, at most a hundred of them, and stops where the schema cannot be read. This goes on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_record
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_pages import Cell, Page, Pages, take_apart

FREE = "free pages"
SCHEMA = "sqlite_schema"
# Of damage that is told; what is beyond it is only counted.
MOST = 200


@dataclass
class Problem:
    """kind is page where a page's own bytes are wrong, tree where pages do not fit together, value where a value cannot be."""

    kind: str
    page: int
    owner: str
    what: str


@dataclass
class Walk:
    """What was seen. ended is false where the time was over before the end. doubts are values that may be damage, or legal."""

    owners: dict[int, str] = field(default_factory=dict)
    objects: dict[str, dict[str, object]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    doubts: list[Problem] = field(default_factory=list)
    more: int = 0
    ended: bool = True
    schema: list[tuple[str, str, str, int, str]] = field(default_factory=list)

    def say(self, kind: str, page: int, owner: str, what: str) -> None:
        if len(self.problems) < MOST:
            self.problems.append(Problem(kind, page, owner, what))
        else:
            self.more += 1

    def doubt(self, page: int, owner: str, what: str) -> None:
        if len(self.doubts) < MOST:
            self.doubts.append(Problem("value", page, owner, what))


class Walker:
    """One walk over one database."""

    def __init__(self, pages: Pages, header_page: bytes, records: bool, deadline: float) -> None:
        self.pages, self.records, self.deadline = pages, records, deadline
        self.encoding = int.from_bytes(header_page[56:60], "big")
        self.trunk = int.from_bytes(header_page[32:36], "big")
        self.free = int.from_bytes(header_page[36:40], "big")
        self.auto_vacuum = int.from_bytes(header_page[52:56], "big")
        self.walk = Walk()
        # Pages with entries of the schema that are none, and how many entries are.
        self.contradictions: list[int] = []
        self.sound = 0

    def run(self) -> Walk:
        try:
            self._schema()
            for kind, name, table, root, _sql in list(self.walk.schema):
                if root:
                    self._tree(root, name, kind == "table")
                self.walk.objects.setdefault(name, {"type": kind, "table": table, "root": root})
            self._free_pages()
            self._unused()
        except TimeoutError:
            self.walk.ended = False
        return self.walk

    def _take(self, number: int, owner: str, parent: int) -> bool:
        """Whether the page is this one's; each belongs to one."""
        if time.monotonic() > self.deadline:
            raise TimeoutError
        if not 1 <= number <= self.pages.count:
            if 1 <= number <= self.pages.in_file:
                self._say_once("page", 1, SCHEMA, f"the header counts {self.pages.count} pages, and more are used")
            self.walk.say("page", parent, owner, f"it leads to page {number}, and there are {self.pages.count}")
        elif number in self.walk.owners:
            self.walk.say("tree", parent, owner, f"it leads to page {number}, which belongs to {self.walk.owners[number]}")
        else:
            self.walk.owners[number] = owner
            return True
        return False

    def _say_once(self, kind: str, page: int, owner: str, what: str) -> None:
        if not any((one.page, one.what) == (page, what) for one in self.walk.problems):
            self.walk.say(kind, page, owner, what)

    def _tree(self, root: int, owner: str, table: bool) -> None:
        """Top down, left to right, with the bounds that a table's parent pages set for its row ids."""
        todo: list[tuple[int, int, int, int | None, int | None]] = [(root, 1 if root != 1 else 0, 1, None, None)]
        leaf_depth = 0
        first: int | None = None
        while todo:
            number, parent, depth, low, high = todo.pop()
            if not self._take(number, owner, parent):
                continue
            page = take_apart(self.pages.read(number), number, self.pages.usable)
            for what in page.problems:
                self.walk.say("page", number, owner, what)
            if page.problems and not page.cells:
                continue
            if first is None:
                first = page.kind
                if owner != SCHEMA and table and not page.table:
                    table = False  # WITHOUT ROWID
            if page.table != table:
                # One that is whole by itself, and only in the wrong place.
                self.walk.say("page" if page.problems else "tree", number, owner, "it is a page of another kind than its tree")
                continue
            if page.leaf:
                leaf_depth = leaf_depth or depth
                if depth != leaf_depth:
                    self.walk.say("tree", number, owner, "it lies at another depth than its neighbours")
            self._cells(page, owner, low, high)
            if not page.leaf:
                self._children(page, depth, low, high, todo)

    def _children(
        self,
        page: Page,
        depth: int,
        low: int | None,
        high: int | None,
        todo: list[tuple[int, int, int, int | None, int | None]],
    ) -> None:
        below = []
        for cell in page.cells:
            below.append((cell.child, page.number, depth + 1, low, cell.key))
            low = cell.key
        below.append((page.right, page.number, depth + 1, low, high))
        todo.extend(reversed(below))

    def _cells(self, page: Page, owner: str, low: int | None, high: int | None) -> None:
        last = low
        looked_at = self.records or owner == SCHEMA
        for cell in page.cells:
            if cell.key is not None:
                if (last is not None and cell.key <= last) or (high is not None and cell.key > high):
                    self.walk.say("tree", page.number, owner, f"row {cell.key} is not where its order has it")
                last = cell.key
            if not cell.length or not (looked_at or cell.overflow):
                continue
            payload, chain = (cell.payload, []) if not cell.overflow else self._payload(cell, page.number, owner)
            if not looked_at or payload is None:
                continue
            if owner == SCHEMA:
                self._object(payload, page.number)
            wrong = _sqlite_record.problem_of(payload, self.encoding)
            if wrong:
                where = f"row {cell.key}" if cell.key is not None else "an entry"
                beyond = wrong[0] - len(cell.payload)
                number = page.number if beyond < 0 or not chain else chain[beyond // (self.pages.usable - 4)]
                if wrong[2]:
                    self.walk.doubt(number, owner, f"{where}: {wrong[1]}")
                else:
                    self.walk.say("value", number, owner, f"{where}: {wrong[1]}")

    def _payload(self, cell: Cell, number: int, owner: str) -> tuple[bytes | None, list[int]]:
        """With what lies on overflow pages, and their numbers; None where that is broken."""
        left = cell.length - len(cell.payload)
        parts, following, parent = [cell.payload], cell.overflow, number
        room = self.pages.usable - 4
        chain: list[int] = []
        while left > 0:
            if following == 0:
                self.walk.say("page", parent, owner, f"its chain of overflow pages ends {left} bytes too early")
                return None, chain
            if not self._take(following, owner, parent):
                return None, chain
            data = self.pages.read(following)
            if not data:
                self.walk.say("page", following, owner, "it is not in the file")
                return None, chain
            parts.append(data[4 : 4 + min(room, left)])
            chain.append(following)
            left -= room
            parent, following = following, int.from_bytes(data[:4], "big")
        if following:
            self.walk.say("page", parent, owner, f"its chain of overflow pages goes on to page {following} behind its end")
        return b"".join(parts), chain

    def _object(self, payload: bytes, number: int) -> None:
        try:
            kind, name, table, root, sql = _sqlite_record.values(payload, self.encoding)
        except (ValueError, IndexError, KeyError):
            self.contradictions.append(number)
            return
        text = sql if isinstance(sql, str) else ""
        words = [one.upper() for one in text.split(None, 3)[:3]]
        real = isinstance(kind, str) and isinstance(name, str) and isinstance(table, str) and isinstance(root, int)
        fits = (
            real
            and kind in ("table", "index", "view", "trigger")
            and (not text or (words[:1] == ["CREATE"] and kind.upper() in words))
        )
        named = real and (not text or _is_named(name, text))
        if fits and named and (kind in ("table", "index") and words[1:2] != ["VIRTUAL"]) == (root > 0):
            self.sound += 1
            self.walk.schema.append((kind, name, table, root, text))
        else:
            self.contradictions.append(number)
            if real and root > 0:
                self.walk.schema.append((kind, name, table, root, text))

    def _schema(self) -> None:
        """Where no entry is one, the header's encoding is wrong; where some are, another page has taken one's place."""
        self._tree(1, SCHEMA, True)
        if self.contradictions and not self.sound:
            self.walk.say("page", 1, SCHEMA, "no entry of the schema can be read by the header's encoding")
        for number in sorted(set(self.contradictions)):
            self.walk.say("tree", number, SCHEMA, "what is there is no entry of the schema")

    def _free_pages(self) -> None:
        trunk, parent, seen = self.trunk, 1, 0
        while trunk:
            if not self._take(trunk, FREE, parent):
                if parent == 1:
                    self.walk.say("page", 1, FREE, f"the header's list of free pages begins at page {trunk}")
                return
            data = self.pages.read(trunk)
            count = int.from_bytes(data[4:8], "big")
            if not data or count > self.pages.usable // 4 - 2:
                self.walk.say("page", trunk, FREE, f"it is to list {count} free pages, more than it has room for")
                return
            seen += 1 + count
            for turn in range(count):
                at = 8 + 4 * turn
                self._take(int.from_bytes(data[at : at + 4], "big"), FREE, trunk)
            parent, trunk = trunk, int.from_bytes(data[:4], "big")
        if seen != self.free:
            # Either is wrong: the count, or the last page that the list leads to.
            for number in sorted({1, parent}):
                self.walk.say("page", number, FREE, f"the header counts {self.free} free pages, and the list has {seen}")

    def _unused(self) -> None:
        broken = bool(self.walk.problems)
        each = self.pages.usable // 5 + 1
        for number in range(1, self.pages.count + 1):
            if self.auto_vacuum and number >= 2 and (number - 2) % each == 0:
                if number in self.walk.owners:
                    self._say_once("page", 1, SCHEMA, "the header says that there are pointer maps, and there are none")
                else:
                    self.walk.owners[number] = "pointer map"
            elif (
                number not in self.walk.owners and number != self.pages.lock_page() and not broken and self.pages.there(number)
            ):
                # Behind a page that is broken all below it are without an owner.
                self.walk.say("tree", number, "", "it belongs to no table, no index and no free page")


def _is_named(name: str, sql: str) -> bool:
    """Within quotes each of their kind is doubled."""
    name, sql = name.lower(), sql.lower()
    return name in sql or any(name.replace(quote, 2 * quote) in sql for quote in "\"`'")


def walk(pages: Pages, records: bool, seconds: float) -> Walk:
    """Records: whether each value is looked at, too."""
    return Walker(pages, pages.read(1), records, time.monotonic() + seconds).run()
