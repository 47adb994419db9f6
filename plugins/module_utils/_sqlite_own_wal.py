# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Whether a -wal is its database's own, and whether the database holds what its -wal says was written into it.

A restart of a -wal leaves frames of the generation before behind the new ones. All of them are in the database by then, so each is a
second copy of a page. The -shm says the same of the frames that are in the database already.
"""

from __future__ import annotations

from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_header import Header
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_pages import Pages
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_wal import Index, Wal, image


def differing(pages: Pages, wal: Wal, index: Index | None) -> tuple[dict[int, bool], int]:
    """Pages that are not in the database as the -wal left them, each with whether it shows; and how many could be compared.

    One shows where readers take the page from the database.
    """
    same_generation = index is not None and index.salts == wal.salts
    restarted = index is not None and index.frames == 0 and _next(wal.salts) == index.salts[:4]
    in_database = wal.committed_frames if restarted else index.in_database if same_generation and index is not None else 0
    begun = wal.committed_frames if restarted else max(index.begun, in_database) if same_generation and index is not None else 0
    found: dict[int, bool] = {}
    compared = 0
    for number, images in wal.images.items():
        done = [place for at, place in images if at <= in_database]
        maybe = [place for at, place in images if in_database < at <= begun]
        if done:
            compared += 1
            if not _is_one_of(pages, number, [done[-1], *maybe], wal):
                found[number] = images[-1][0] <= in_database
    for number, place in wal.before.items():
        if number in wal.images or not pages.there(number):
            continue
        compared += 1
        if not _is_one_of(pages, number, [place], wal):
            found[number] = True
    return found, compared


def _next(salts: bytes) -> bytes:
    return ((int.from_bytes(salts[:4], "big") + 1) & 0xFFFFFFFF).to_bytes(4, "big")


def _is_one_of(pages: Pages, number: int, places: list[int], wal: Wal) -> bool:
    there = pages.read_from_file(number)
    return any(there == image(wal, place) for place in places)


def foreign(header: Header, wal: Wal, found: dict[int, bool], compared: int) -> str | None:
    """What proves that the -wal is another database's, or an older one's."""
    if not wal.valid_commits and not wal.before:
        return None
    if header.page_size and wal.page_size != header.page_size:
        return f"its pages have {wal.page_size} bytes, and the database's have {header.page_size}"
    counters = [int.from_bytes(image(wal, place)[24:28], "big") for _at, place in wal.images.get(1, [])]
    if counters and header.counter_holds and not header.problems and header.change_counter > max(counters):
        return f"the database has been changed {header.change_counter} times, and what the -wal would make of it {max(counters)} times"
    if compared >= 2 and len(found) >= 2 and len(found) * 2 > compared:
        return f"of {compared} pages that it wrote into its database, {len(found)} are others in this one"
    return None
