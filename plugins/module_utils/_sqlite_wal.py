# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The -wal of a SQLite database, frame by frame, as its format is written down: what in it is committed, and where that ends.

SQLite itself is silent about a damaged -wal: it takes what is valid from the beginning and drops the rest, whole commits among it.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import open_regular

HEADER = 32
FRAME_HEADER = 24
MAGICS = {0x377F0682: "<", 0x377F0683: ">"}
FORMAT = 3007000
PAGE_SIZES = tuple(512 << shift for shift in range(8))
# How many generations back a frame is still taken for one of this file's own.
GENERATIONS = 1 << 20
CHUNK = 1 << 20


@dataclass
class Index:
    """What the -shm says of the -wal: how many frames are committed, and how many of them are in the database already."""

    salts: bytes
    frames: int
    pages: int
    changes: int
    in_database: int
    begun: int


@dataclass
class Wal:
    """A -wal. pages says where the committed image of a page begins; before, where its last image of the generation before is."""

    path: str
    size: int
    modified: float
    ends: str = "none"
    order: str = ">"
    page_size: int = 0
    salts: bytes = b""
    frames: int = 0
    valid_frames: int = 0
    commits: int = 0
    valid_commits: int = 0
    committed_frames: int = 0
    last_commit_pages: int | None = None
    pages: dict[int, int] = field(default_factory=dict)
    images: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    before: dict[int, int] = field(default_factory=dict)
    lost_from: int | None = None
    problem: str | None = None
    proven: bool = False
    note: str | None = None

    def facts(self, now: float | None = None) -> dict[str, Any]:
        return {
            "bytes": self.size,
            "age_seconds": round(max(0.0, (time.time() if now is None else now) - self.modified), 1),
            "frames": self.frames,
            "valid_frames": self.valid_frames,
            "commits": self.commits,
            "valid_commits": self.valid_commits,
            "ends": self.ends,
            "last_commit_pages": self.last_commit_pages,
            "problem": self.problem,
        }


def walk(path: str) -> dict[str, Any]:
    """The -wal at this path, with the -shm beside it where there is one; bytes is 0 and ends V(none) where there is no -wal."""
    return read(path, read_index(path[: -len("-wal")] + "-shm" if path.endswith("-wal") else "")).facts()


def checksum(data: bytes, order: str, first: int, second: int) -> tuple[int, int]:
    """Of whole pairs of 32-bit words, going on from an earlier one."""
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for one, other in zip(words[::2], words[1::2]):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + other + first) & 0xFFFFFFFF
    return first, second


def read_index(path: str) -> Index | None:
    """None where there is no -shm, or none that is whole: it is not kept over a restart of the machine, and never proves alone."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            data = file.read(136)
    except OSError:
        return None
    if len(data) < 136 or data[:48] != data[48:96] or not data[12]:
        return None
    version, _unused, changes = struct.unpack("=III", data[:12])
    frames, pages = struct.unpack("=II", data[16:24])
    if version != FORMAT or checksum(data[:40], "=", 0, 0) != struct.unpack("=II", data[40:48]):
        return None
    return Index(data[32:40], frames, pages, changes, *struct.unpack("=I", data[96:100]), *struct.unpack("=I", data[128:132]))


def read(path: str, index: Index | None = None) -> Wal:
    """Every frame with its checksum. With the index of the same moment also what is gone from the end is known."""
    try:
        found = os.stat(path)
        with os.fdopen(open_regular(path), "rb") as file:
            wal = Wal(path, found.st_size, found.st_mtime)
            _read(wal, file, index)
            return wal
    except OSError:
        wal = Wal(path, 0, time.time())
        if index is not None and index.frames > index.in_database:
            wal.lost_from = index.in_database + 1
            _say(
                wal,
                f"{index.frames - index.in_database} committed frames that are in no file: the -shm knows of them, and there is no -wal",
                True,
            )
        return wal


def _read(wal: Wal, file: Any, index: Index | None) -> None:
    head = file.read(HEADER)
    if wal.size == 0:
        if index is not None and index.frames > index.in_database:
            wal.ends, wal.lost_from = "truncated", index.in_database + 1
            _say(
                wal,
                f"it is empty, while the -shm knows of {index.frames - index.in_database} committed frames that are not in the database",
                True,
            )
        return
    if not _header(wal, head):
        wal.ends = "header"
        wal.lost_from = 1
        unsaved = index is not None and index.frames > index.in_database
        if not unsaved and wal.size > HEADER and _is_blank(file, 0):
            _say(wal, "it holds nothing but zeros: a write that did not end before a power cut, or lost commits", False)
        elif any(head) or wal.size > HEADER:
            _say(wal, "its header is damaged: SQLite takes no frame of it" + _frames_behind(wal, file, index), True)
        return
    wal.frames = (wal.size - HEADER) // (FRAME_HEADER + wal.page_size)
    sums = struct.unpack(">II", head[24:32])
    bad = _frames(wal, file, (sums[0], sums[1]))
    later = _rest(wal, file, bad) if bad else 0
    if bad and _is_blank(file, HEADER + (bad - 1) * (FRAME_HEADER + wal.page_size)):
        wal.ends = "zeros"
    rest = (wal.size - HEADER) % (FRAME_HEADER + wal.page_size)
    if bad is None:
        wal.ends = "truncated" if rest else "end" if wal.frames else "none"
    _judge(wal, file, index, bad, later)


def _is_blank(file: Any, begins: int) -> bool:
    file.seek(begins)
    return not any(any(chunk) for chunk in iter(lambda: file.read(CHUNK), b""))


def _header(wal: Wal, head: bytes) -> bool:
    if len(head) < HEADER:
        return False
    magic, version, size = struct.unpack(">III", head[:12])
    if magic not in MAGICS or version != FORMAT or size not in PAGE_SIZES:
        return False
    wal.order, wal.page_size, wal.salts = MAGICS[magic], size, head[16:24]
    return checksum(head[:24], wal.order, 0, 0) == struct.unpack(">II", head[24:32])


def _frames(wal: Wal, file: Any, sums: tuple[int, int]) -> int | None:
    """The valid ones from the beginning; the number of the first that is not."""
    size = FRAME_HEADER + wal.page_size
    waiting: list[tuple[int, int, int]] = []
    for number in range(1, wal.frames + 1):
        frame = file.read(size)
        page, pages = struct.unpack(">II", frame[:8])
        if frame[8:16] != wal.salts or page == 0:
            wal.ends = "salt" if _older(wal.salts, frame[8:16]) else "checksum"
            return number
        sums = checksum(frame[:8], wal.order, *sums)
        sums = checksum(frame[FRAME_HEADER:], wal.order, *sums)
        if sums != struct.unpack(">II", frame[16:24]):
            wal.ends = "checksum"
            return number
        wal.valid_frames = number
        waiting.append((page, number, HEADER + (number - 1) * size + FRAME_HEADER))
        if pages:
            wal.commits += 1
            wal.valid_commits += 1
            wal.committed_frames, wal.last_commit_pages = number, pages
            for one, at, place in waiting:
                wal.pages[one] = place
                wal.images.setdefault(one, []).append((at, place))
            waiting = []
    return None


def _older(salts: bytes, others: bytes) -> bool:
    """Whether a frame is of an earlier generation: with each the first number grows by one, and the second is random."""
    back = (int.from_bytes(salts[:4], "big") - int.from_bytes(others[:4], "big")) & 0xFFFFFFFF
    return 0 < back <= GENERATIONS and salts[4:] != others[4:]


def _rest(wal: Wal, file: Any, bad: int) -> int:
    """How many frames behind the first invalid one still carry this generation's salts, and the images of the one before."""
    size = FRAME_HEADER + wal.page_size
    later = 0
    earlier = ((int.from_bytes(wal.salts[:4], "big") - 1) & 0xFFFFFFFF).to_bytes(4, "big")
    waiting: list[tuple[int, int]] = []
    for number in range(bad, wal.frames + 1):
        file.seek(HEADER + (number - 1) * size)
        frame = file.read(FRAME_HEADER)
        page, pages = struct.unpack(">II", frame[:8])
        half = frame[8:12] == wal.salts[:4] or frame[12:16] == wal.salts[4:]
        if frame[8:16] == wal.salts:
            wal.commits += bool(pages)
            later += number > bad
        elif number == bad and half:
            # No restart leaves one of two salts as it was.
            wal.ends = "checksum"
        elif frame[8:12] == earlier:
            waiting.append((page, HEADER + (number - 1) * size + FRAME_HEADER))
            if pages:
                wal.before.update(waiting)
                waiting = []
    return later


def _judge(wal: Wal, file: Any, index: Index | None, bad: int | None, later: int) -> None:
    known = index.frames if index is not None and index.salts == wal.salts else None
    last = wal.committed_frames
    if known is not None and known > last:
        wal.lost_from = last + 1
        what = f"frame {bad} is damaged" if bad else f"it ends behind frame {wal.valid_frames}"
        _say(wal, f"{what}, while the -shm knows of {known} committed frames: {known - last} of them are lost", True)
    elif bad and known != last and _was_valid(wal, file, bad):
        wal.lost_from = last + 1
        behind = (
            f", and {later} frames of the same generation follow it: SQLite drops all of them"
            if later
            else ": its commit is lost"
        )
        _say(wal, f"frame {bad} is damaged{behind}", True)
    elif known is None and wal.ends == "zeros":
        # The file grew, and what was to be written there was not.
        wal.note = (
            f"The -wal ends in zeros behind frame {wal.valid_frames}, as a power cut leaves it: SQLite takes {wal.valid_commits} commits of it, "
            "and nothing says that there were more."
        )
    elif bad and known is None and later:
        what = f"frame {bad} does not follow from those before it, and {later} frames of the same generation lie behind it"
        _say(wal, f"{what}: a transaction that was given up, or lost commits; only its -shm could tell which", False)
    elif bad and known is None and wal.ends == "checksum":
        # A process that was killed while it wrote leaves the same: only the index tells them apart.
        _say(wal, f"frame {bad}, the last of its generation, is not whole: a write that did not end, or a lost commit", False)
    if wal.problem and wal.ends == "salt":
        wal.ends = "checksum"


def _frame(wal: Wal, file: Any, number: int) -> bytes:
    """Nothing where there is no such frame."""
    size = FRAME_HEADER + wal.page_size
    file.seek(HEADER + (number - 1) * size)
    return bytes(file.read(size)) if 1 <= number <= wal.frames else b""


def _sums(wal: Wal, frame: bytes, before: tuple[int, int]) -> tuple[int, int]:
    return checksum(frame[FRAME_HEADER:], wal.order, *checksum(frame[:8], wal.order, *before))


def _first_sums(file: Any) -> tuple[int, int]:
    file.seek(0)
    first, second = struct.unpack(">II", file.read(HEADER)[24:])
    return first, second


def _stored(frame: bytes) -> tuple[int, int]:
    first, second = struct.unpack(">II", frame[16:24])
    return first, second


def _was_valid(wal: Wal, file: Any, bad: int) -> bool:
    """Whether the first invalid frame once followed from those before it, and a commit went with it or came behind it.

    A transaction that outgrows the cache is written before its commit. Rolled back it stays behind the next commit, whole by itself, and
    one that failed in its last write even has the mark of a commit. So the frame has to show what was done to it.
    """
    frame, following = _frame(wal, file, bad), _frame(wal, file, bad + 1)
    before = _stored(_frame(wal, file, bad - 1)) if bad > 1 else _first_sums(file)
    stored, computed = _stored(frame), _sums(wal, frame, before)
    marked = any(frame[4:8])
    if computed == stored:
        # Salts are under no checksum.
        return marked or _commits(wal, file, bad + 1, stored)
    if following and _sums(wal, following, computed) == _stored(following):
        return marked or _commits(wal, file, bad + 1, computed)
    if _one_word(wal, stored, computed) and _commits(wal, file, bad + 1, stored):
        return True
    # All frames of one generation lie one after the other, whether they were given up or not.
    strange = frame[8:16] != wal.salts or not any(frame[:4])
    return strange and following[8:16] == wal.salts and _commits(wal, file, bad + 2, _stored(following))


def _commits(wal: Wal, file: Any, number: int, sums: tuple[int, int]) -> bool:
    """Whether frames that follow from each other, from this one on, lead to a commit."""
    while True:
        frame = _frame(wal, file, number)
        if frame[8:16] != wal.salts:
            return False
        sums = _sums(wal, frame, sums)
        if sums != _stored(frame):
            return False
        if any(frame[4:8]):
            return True
        number += 1


def _one_word(wal: Wal, stored: tuple[int, int], computed: tuple[int, int]) -> bool:
    """Whether one other word in the frame would make its checksum right: by chance that is so for one in millions.

    The sums are linear: their difference is followed back, pair by pair, to where one word alone explains it.
    """
    first, second = ((one - other) & 0xFFFFFFFF for one, other in zip(stored, computed))
    for _pair in range((8 + wal.page_size) // 8):
        if first in (0, second):
            return True
        second = (second - first) & 0xFFFFFFFF
        first = (first - second) & 0xFFFFFFFF
    return False


def _frames_behind(wal: Wal, file: Any, index: Index | None) -> str:
    """With the checksum that a frame carries the next one can be proven without the header."""
    size = wal.page_size or 4096
    proven = 0
    for order in "<>":
        file.seek(HEADER)
        one = file.read(FRAME_HEADER + size)
        other = file.read(FRAME_HEADER + size)
        if len(other) < FRAME_HEADER + size:
            continue
        sums = checksum(other[:8], order, *struct.unpack(">II", one[16:24]))
        proven += checksum(other[FRAME_HEADER:], order, *sums) == struct.unpack(">II", other[16:24])
    wal.frames = max(0, (wal.size - HEADER) // (FRAME_HEADER + size))
    told = ", though those behind it were valid" if proven else ""
    if index is not None:
        told += f"; {max(0, index.frames - index.in_database)} committed frames were not in the database yet, says the -shm"
    return told


def _say(wal: Wal, what: str, proven: bool) -> None:
    wal.problem, wal.proven = f"{wal.path}: {what}.", proven


def image(wal: Wal, place: int) -> bytes:
    with contextlib.suppress(OSError), open(wal.path, "rb") as file:
        file.seek(place)
        return file.read(wal.page_size)
    return b""
