# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single pages of the database, found by their type bytes and inverted while nobody writes."""

from __future__ import annotations

from lab.faults import database
from lab.instance import Lab

# Walks from a table's or an index's root down to a leaf, along the children of which N in a thousand lie left of it.
FIND = r"""
import sqlite3, sys
path, name, share = sys.argv[1], sys.argv[2], int(sys.argv[3])
INTERIOR = {2: 12, 5: 12}
with open(path, "rb") as file:
    head = file.read(100)
    size = int.from_bytes(head[16:18], "big")
    size = 65536 if size == 1 else size
    if name == "freelist":
        print(int.from_bytes(head[32:36], "big"))
        raise SystemExit
    database = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
    (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    database.close()
    while True:
        file.seek((page - 1) * size)
        content = file.read(size)
        begin = 100 if page == 1 else 0
        if content[begin] not in INTERIOR:
            break
        cells = int.from_bytes(content[begin + 3:begin + 5], "big")
        chosen = cells * share // 1000
        if chosen >= cells:
            page = int.from_bytes(content[begin + 8:begin + 12], "big")
            continue
        at = begin + 12 + 2 * chosen
        cell = int.from_bytes(content[at:at + 2], "big")
        page = int.from_bytes(content[cell:cell + 4], "big")
print(page)
"""

INVERT = r"""
import os, sys
path, page, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "r+b") as file:
    size = int.from_bytes(file.read(18)[16:18], "big")
    size = 65536 if size == 1 else size
    file.seek((page - 1) * size + first)
    content = file.read(size - first)
    file.seek((page - 1) * size + first)
    file.write(bytes(byte ^ 255 for byte in content))
    os.fsync(file.fileno())
"""

FREE = "CREATE TABLE gone (filler); INSERT INTO gone VALUES (zeroblob(400000)); DROP TABLE gone;"
RIGHTMOST = 1000


def leaf(lab: Lab, name: str, share: int) -> int:
    """A leaf of a table or an index; share says how far to the right, in thousandths."""
    return int(lab.run(["python3", "-c", FIND, database.PATH, name, str(share)], check=True).stdout)


def free(lab: Lab) -> int:
    """The first page of the list of free pages, made long first; the writers must be stopped."""
    database.change(lab, FREE)
    return leaf(lab, "freelist", 0)


def invert(lab: Lab, page: int, first: int = 0) -> None:
    """All bytes of a page from the first one on, as its owner would never write them."""
    lab.run(["python3", "-c", INVERT, database.PATH, str(page), str(first)], check=True)
