# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeded damages to a -wal whose rows are nowhere else, and to a database under one. Frames are found by their place and salts alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from unit.plugins.module_utils.sqlite_corpus import EACH, OK, PAGE, WAL, Damage, take
from unit.plugins.module_utils.sqlite_page_map import PageMap, number

HEADER, FRAME_HEADER = 32, 24


class Frames:
    """Of one file."""

    def __init__(self, path: Path, page_size: int) -> None:
        self.data = Path(f"{path}-wal").read_bytes()
        self.size = FRAME_HEADER + page_size
        self.all = range((len(self.data) - HEADER) // self.size)
        self.own = [one for one in self.all if self.data[self.place(one) + 8 : self.place(one) + 16] == self.data[16:24]]
        self.older = [one for one in self.all if one not in self.own]

    def place(self, frame: int) -> int:
        return HEADER + frame * self.size

    def page(self, frame: int) -> int:
        return number(self.data, self.place(frame))

    def image(self, frame: int) -> bytes:
        return self.data[self.place(frame) + FRAME_HEADER : self.place(frame + 1)]


def frames(base: str, path: Path, page_size: int, seed: int) -> Iterator[Damage]:
    """Whatever happens to a frame of this generation, or to the header, all commits from there on are lost."""
    wal, rng = Frames(path, page_size), random.Random(seed)

    def changed(at: int) -> tuple[str, int, bytes]:
        return "-wal", at, bytes([wal.data[at] ^ rng.randrange(1, 256)])

    def damage(name: str, at: int, data: bytes | None = None) -> Damage:
        return Damage("wal", f"{base}, {name}", WAL, [("-wal", at, data) if data is not None else changed(at)], base)

    while True:
        frame = rng.choice(wal.own)
        at = wal.place(frame)
        yield damage(f"a byte of page in frame {frame}", at + rng.randrange(FRAME_HEADER, wal.size))
        yield damage(f"page number of frame {frame}", at + rng.randrange(4))
        yield damage(f"commit mark of frame {frame}", at + rng.randrange(4, 8))
        yield damage(f"salts of frame {frame}", at + rng.randrange(8, 16))
        yield damage(f"checksum of frame {frame}", at + rng.randrange(16, 24))
        yield damage("a byte of the last frame", wal.place(wal.own[-1]) + rng.randrange(FRAME_HEADER, wal.size))
        yield damage("salts of the last frame", wal.place(wal.own[-1]) + rng.randrange(8, 16))
        yield damage("header", rng.randrange(32))
        yield damage(f"frame {frame} zeroed", at, bytes(wal.size))
        yield damage(
            f"frame {frame} is another", at, wal.data[wal.place(other := (frame + 1) % len(wal.own)) : wal.place(other + 1)]
        )
        yield Damage("wal", f"{base}, ends at frame {frame}", WAL, [("-wal", at, None)], base)
        yield Damage("wal", f"{base}, ends within frame {frame}", WAL, [("-wal", at + rng.randrange(1, wal.size), None)], base)
        yield Damage("wal", f"{base}, empty", WAL, [("-wal", 0, None)], base)


def older_frames(path: Path, page_size: int, seed: int) -> Iterator[Damage]:
    """Frames of the generation before are in the database already. What they say of it is only a second word."""
    wal, rng = Frames(path, page_size), random.Random(seed)
    last: dict[int, int] = {wal.page(one): one for one in wal.older}
    while True:
        frame = rng.choice([one for one in wal.older if last[wal.page(one)] != one])
        at = wal.place(frame) + rng.randrange(FRAME_HEADER, wal.size)
        yield Damage("wal", f"restarted, frame {frame} of before", OK, [("-wal", at, bytes([wal.data[at] ^ 1]))], "restarted")


def under_wal(path: Path, mapped: PageMap, seed: int) -> Iterator[Damage]:
    """The same damage to a page shows, or not, by whether a newer one lies in the -wal."""
    wal, rng = Frames(path, mapped.size), random.Random(seed)
    newer = {wal.page(one) for one in wal.own}
    leaves = mapped.of("table leaf", "orders", "escrows", "users", "payouts")
    there = [page for page in leaves if page not in newer]
    # A page that the rows in the -wal went to.
    covered = sorted(newer & set(mapped.of("index") + leaves))
    while True:
        page = rng.choice(there)
        yield Damage(
            "under wal",
            f"garbage, page {page}",
            PAGE,
            [("", (page - 1) * mapped.size, b"\x5a" + rng.randbytes(mapped.size - 1))],
            "hot",
            (page,),
        )
        page = rng.choice(covered)
        yield Damage(
            "under wal",
            f"page {page} is in the -wal",
            OK,
            [("", (page - 1) * mapped.size, b"\x5a" + rng.randbytes(mapped.size - 1))],
            "hot",
        )


def second_word(path: Path, page_size: int, seed: int) -> Iterator[Damage]:
    """Text under no index and no rule: only the -wal has another copy of the page, from before its restart."""
    wal, rng = Frames(path, page_size), random.Random(seed)
    newer = {wal.page(one) for one in wal.own}
    last = {wal.page(one): one for one in wal.older if wal.page(one) not in newer}
    known = [(page, wal.image(one)) for page, one in last.items() if b"postage and packing" in wal.image(one)]
    while True:
        page, image = rng.choice(known)
        at = image.index(b"postage and packing") + rng.randrange(7)
        yield Damage(
            "value",
            f"a letter, page {page}",
            PAGE,
            [("", (page - 1) * page_size + at, b"#")],
            "restarted",
            (page,),
            "order_items",
        )


def wal_corpus(bases: dict[str, Path], mapped: PageMap, seed: int = 7) -> list[Damage]:
    return [
        *take(frames("hot", bases["hot"], mapped.size, seed)),
        *take(frames("restarted", bases["restarted"], mapped.size, seed + 1), EACH // 3),
        *take(older_frames(bases["restarted"], mapped.size, seed), 5),
        *take(under_wal(bases["hot"], mapped, seed), 40),
        *take(second_word(bases["restarted"], mapped.size, seed), 5),
    ]
