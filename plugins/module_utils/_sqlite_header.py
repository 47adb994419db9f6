# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What a file is by its own bytes, before anything opens it: a SQLite database, an encrypted one, or none at all."""

from __future__ import annotations

import math
import os
import stat
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import open_regular, sentence_for

MAGIC = b"SQLite format 3\0"
TREE_PAGES = (2, 5, 10, 13)
PAGE_SIZES = tuple(512 << shift for shift in range(8))
# Samples are spread over the whole file.
SAMPLE = 4096
SAMPLES = 64
# A block of 4096 random bytes has 7.95 bits of each byte; text, numbers and pages of a database have less than 7.
RANDOM_BITS = 7.8
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip", b"\xfd7zXZ": "xz", b"BZh": "bzip2"}


@dataclass
class Header:
    """The first hundred bytes; kind is missing, unreadable, empty, not_a_database, encrypted or database."""

    path: str
    kind: str
    size: int | None = None
    why: str | None = None
    page_size: int = 0
    reserved: int = 0
    page_count: int = 0
    change_counter: int = 0
    counter_holds: bool = True
    freelist_trunk: int = 0
    freelist_pages: int = 0
    largest_root: int = 0
    user_version: int = 0
    wal_mode: bool = False
    problems: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        plain = self.kind == "database"
        return {
            "bytes": self.size,
            "page_size": self.page_size or None,
            "page_count": self.page_count if self.page_size else None,
            # An encrypted database keeps these to itself.
            "freelist_pages": self.freelist_pages if plain and self.page_size else None,
            "last_change_counter": self.change_counter if plain and self.page_size else None,
            "schema_version": self.user_version if plain and self.page_size else None,
            "journal_mode": ("wal" if self.wal_mode else "delete") if self.page_size else None,
        }


def look_at(path: str) -> Header:
    """Reads; a link or a folder is unreadable."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Header(path, "missing", why=f"{path} is not there: is marketplace_database_path right?")
    except OSError as problem:
        return Header(path, "unreadable", why=sentence_for(problem))
    if not stat.S_ISREG(found.st_mode):
        return Header(path, "unreadable", why=f"{path} is no regular file: name the database itself.")
    if found.st_size == 0:
        return Header(path, "empty", 0, f"{path} is empty: it has not even the header of a database.")
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            return _classified(path, found.st_size, file)
    except OSError as problem:
        return Header(path, "unreadable", found.st_size, sentence_for(problem))


def _classified(path: str, size: int, file: Any) -> Header:
    first = file.read(100)
    if first.startswith(MAGIC) and size >= 100:
        return parse(path, size, first)
    blocks = _blocks(file, size)
    if _tree_share(blocks[1:]) >= 0.5:
        header = parse(path, size, first)
        header.problems.insert(0, "page 1 does not begin as a database does, while the pages behind it are those of one")
        return header
    packed = next((name for magic, name in PACKED.items() if first.startswith(magic)), None)
    if packed is None and size >= 1024 and size % 512 == 0 and all(bits(one) >= _wanted(one) for one in blocks):
        return Header(
            path,
            "encrypted",
            size,
            f"{path} has no header of SQLite, and looks random throughout, as an encrypted database does.",
        )
    if all(not any(one) for one in blocks):
        return Header(path, "not_a_database", size, f"{path} is no database: it holds nothing but zeros, as far as looked at.")
    told = f"it is packed with {packed}" if packed else "it does not begin as one, and its pages are no pages of one"
    return Header(path, "not_a_database", size, f"{path} is no database: {told}.")


def _wanted(block: bytes) -> float:
    return RANDOM_BITS if len(block) >= SAMPLE else RANDOM_BITS - 0.3


def bits(block: bytes) -> float:
    """The entropy of one byte."""
    counts = [block.count(value) for value in set(block)]
    return -sum(count / len(block) * math.log2(count / len(block)) for count in counts) if block else 0.0


def _blocks(file: Any, size: int) -> list[bytes]:
    whole = max(1, size // SAMPLE)
    found = []
    for number in sorted({round(turn * (whole - 1) / max(1, SAMPLES - 1)) for turn in range(SAMPLES)}):
        file.seek(number * SAMPLE)
        found.append(file.read(SAMPLE))
    return found


def _tree_share(blocks: list[bytes]) -> float:
    """Of the blocks that hold anything, how many begin as a page of a tree does."""
    full = [one for one in blocks if any(one) and len(one) == SAMPLE]
    fitting = [one for one in full if one[0] in TREE_PAGES and 0 < int.from_bytes(one[3:5], "big") < SAMPLE // 4]
    return len(fitting) / len(full) if full else 0.0


def parse(path: str, size: int, first: bytes) -> Header:
    """The fields, and what in them cannot be."""

    def number(place: int, length: int = 4) -> int:
        return int.from_bytes(first[place : place + length], "big")

    header = Header(path, "database", size)
    header.page_size = 65536 if number(16, 2) == 1 else number(16, 2)
    header.reserved, header.change_counter = number(20, 1), number(24)
    header.freelist_trunk, header.freelist_pages, header.largest_root = number(32), number(36), number(52)
    header.user_version = int.from_bytes(first[60:64], "big", signed=True)
    header.wal_mode = number(19, 1) == 2
    if header.page_size not in PAGE_SIZES:
        header.problems.append(f"page 1 names a page size of {header.page_size} bytes, which no database has")
        header.page_size = 0
        return header
    # The count is right only where whoever wrote it also left the counter beside it.
    counted = number(28)
    header.counter_holds = number(92) == header.change_counter
    header.page_count = counted if counted and header.counter_holds else size // header.page_size
    wrong = [
        (number(18, 1) not in (1, 2) or number(19, 1) not in (1, 2), "a format that no version of SQLite writes"),
        (number(18, 1) != number(19, 1), "one format for reading and another for writing"),
        (first[21:24] != b"\x40\x20\x20", "payload fractions other than 64, 32 and 32"),
        (header.page_size - header.reserved < 480, f"{header.reserved} reserved bytes of {header.page_size} in each page"),
        (number(44) > 4, f"schema format {number(44)}, where 4 is the highest"),
        (number(56) not in (0, 1, 2, 3), f"a text encoding {number(56)}, where 3 is the highest"),
        (
            header.freelist_trunk > header.page_count,
            f"a list of free pages that begins at page {header.freelist_trunk}, behind the last",
        ),
        (header.largest_root > header.page_count, f"a largest root page {header.largest_root}, behind the last"),
        (any(first[72:92]), "bytes where every version of SQLite leaves zeros"),
    ]
    header.problems += [f"the header on page 1 has {what}" for is_so, what in wrong if is_so]
    return header
