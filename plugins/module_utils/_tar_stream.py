# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""A tar.gz read as it comes, in memory that does not depend on what is in it.

Python's tarfile reads an extended header as long as the archive says it is, into memory: enough to end a host that only looks.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Callable, Iterator

BLOCK = 512
CHUNK = 256 * 1024
# Extended headers hold a name and a few numbers.
HEADER_LIMIT = 64 * 1024
FILE, FOLDER = "file", "folder"
_KINDS = {
    b"0": FILE, b"\0": FILE, b"7": FILE, b"5": FOLDER, b"1": "hard link", b"2": "symbolic link", b"3": "device", b"4": "device",
    b"6": "named pipe",
}  # fmt: skip


class Broken(Exception):
    """Not a tar.gz, or not all of it. The text goes after a path."""


class TooBig(Exception):
    """More comes out of it than may."""


@dataclass(frozen=True)
class Entry:
    """One member as its header names it."""

    name: str
    kind: str
    size: int
    mode: int
    mtime: int


class Gunzip:
    """Unpacked bytes of a gzip stream, counted: never more than the limit, however little it is packed."""

    def __init__(self, read: Callable[[int], bytes], limit: int) -> None:
        self._read, self._left = read, limit
        self._packed = b""
        self._unpacker = zlib.decompressobj(31)
        self._begun = False

    def read(self, size: int) -> bytes:
        """Exactly so many bytes; fewer only at the end."""
        parts: list[bytes] = []
        while size > 0 and (part := self._some(min(size, CHUNK))):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _some(self, most: int) -> bytes:
        while True:
            if self._unpacker.eof:
                # Several gzip streams in a row are one file.
                self._packed = self._unpacker.unused_data or self._read(CHUNK)
                if not self._packed.strip(b"\0"):
                    return b""
                self._unpacker = zlib.decompressobj(31)
            elif not self._packed:
                self._packed = self._read(CHUNK)
                if not self._packed:
                    raise Broken("ends in the midst of its gzip stream" if self._begun else "holds nothing")
            try:
                part = self._unpacker.decompress(self._packed, most)
            except zlib.error:
                raise Broken("is damaged inside its gzip stream" if self._begun else "holds no gzip stream") from None
            self._packed = self._unpacker.unconsumed_tail
            self._begun = True
            if part:
                self._left -= len(part)
                if self._left < 0:
                    raise TooBig()
                return part


class Body:
    """The bytes of one member. What nobody reads is skipped when the next one is asked for."""

    def __init__(self, source: Gunzip, size: int) -> None:
        self._source, self._left = source, size
        self._padding = -size % BLOCK

    def chunks(self) -> Iterator[bytes]:
        while self._left:
            chunk = self._source.read(min(CHUNK, self._left))
            if not chunk:
                raise Broken("ends in the midst of a member")
            self._left -= len(chunk)
            yield chunk

    def skip(self) -> None:
        for _chunk in self.chunks():
            pass
        if len(self._source.read(self._padding)) != self._padding:
            raise Broken("ends in the midst of a member")
        self._padding = 0


def entries(source: Gunzip) -> Iterator[tuple[Entry, Body]]:
    """Member after member, to the end mark; behind it nothing may come but zeros."""
    longer: dict[str, str] = {}
    while True:
        header = source.read(BLOCK)
        if len(header) != BLOCK:
            raise Broken("ends without its end mark")
        if not header.strip(b"\0"):
            break
        kind, size = _checked(header), _number(header[124:136])
        if kind in (b"x", b"L", b"K", b"g"):
            longer.update(_extended(source, kind, size))
            continue
        if "size" in longer:
            size = _decimal(longer["size"])
        name = longer.get("path") or _name(header)
        what = _KINDS.get(kind, f"member of an unknown kind ({kind!r})")
        body = Body(source, size if what == FILE or what.startswith("member") else 0)
        # Old archives mark a folder by its name only.
        what = FOLDER if what == FILE and name.endswith("/") else what
        yield Entry(name, what, size, _number(header[100:108]), _number(header[136:148])), body
        body.skip()
        longer = {}
    while rest := source.read(CHUNK):
        if rest.strip(b"\0"):
            raise Broken("holds something behind its end mark")


def _checked(header: bytes) -> bytes:
    blank = header[:148] + b" " * 8 + header[156:]
    said = header[148:156].strip(b" \0")
    sums = (sum(blank), sum(byte - 256 if byte > 127 else byte for byte in blank))
    if not said or said.strip(b"01234567") or int(said, 8) not in sums:
        raise Broken("holds something that is no tar archive, or a damaged one")
    return header[156:157]


def _number(field: bytes) -> int:
    """Octal digits, or GNU's binary form for what is too large for them."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if any(digit not in b"01234567" for digit in digits):
        raise Broken("has a header that cannot be understood")
    return int(digits, 8)


def _decimal(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise Broken("has a header that cannot be understood")
    return int(text)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Broken("holds a member whose name is no text") from None


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0")[0]
    prefix = header[345:500].split(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _extended(source: Gunzip, kind: bytes, size: int) -> dict[str, str]:
    """What an extended header says of the member after it."""
    if size > HEADER_LIMIT:
        raise Broken(f"has an extended header of {size} bytes, where a few hundred are usual")
    body = Body(source, size)
    raw = b"".join(body.chunks())
    body.skip()
    if kind == b"K":
        return {}
    if kind == b"L":
        return {"path": _text(raw.split(b"\0", 1)[0])}
    found = dict(_records(raw))
    if any(name.startswith("GNU.sparse") for name in found) or (kind == b"g" and found.keys() & {"path", "size", "linkpath"}):
        raise Broken("has an extended header of a kind that no backup of wallets has")
    return {name: text for name, text in found.items() if name in ("path", "size")}


def _records(raw: bytes) -> Iterator[tuple[str, str]]:
    while raw:
        length, space, _rest = raw.partition(b" ")
        if not space or not length.isdigit() or not len(length) + 3 <= int(length) <= len(raw):
            raise Broken("has a header that cannot be understood")
        name, equals, text = raw[len(length) + 1 : int(length) - 1].partition(b"=")
        if not equals:
            raise Broken("has a header that cannot be understood")
        # Values other than names, such as attributes of the file system, may be anything and are not ours.
        yield name.decode("utf-8", "replace"), _text(text) if name == b"path" else text.decode("utf-8", "replace")
        raw = raw[int(length) :]
