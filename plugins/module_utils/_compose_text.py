# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Text from containers and from the engine, made safe to show."""

from __future__ import annotations

import re

LINE_LIMIT = 500

# CSI sequences, OSC sequences up to their terminator, and the two-byte escapes.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
# Control characters, marks that turn the reading direction around or show nothing, and halves of characters, which no file takes.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_WITH_A_LOGIN = re.compile(r"(?<=://)[^/\s@]+@")


def clean_line(raw: bytes | str, limit: int = LINE_LIMIT) -> str:
    """One line without escapes or control characters, cut at the limit."""
    # Escapes only add length: a line this long is cut in any case, and need not be searched whole.
    text = raw[: limit * 8].decode("utf-8", "replace") if isinstance(raw, bytes) else raw[: limit * 8]
    text = _UNPRINTABLE.sub("", _ANSI.sub("", text).replace("\t", " ").replace("\n", " ")).rstrip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clean_lines(raw: bytes | str, last: int | None = None, limit: int = LINE_LIMIT) -> list[str]:
    """The lines that say something; only the last ones where a number is given."""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw
    lines = [clean_line(line, limit) for line in _BREAK.split(text)]
    said = [line for line in lines if line.strip()]
    return said if last is None else said[len(said) - min(last, len(said)) :]


def without_repetition(lines: list[str]) -> list[str]:
    """A line that is repeated is shown once, with how often: a service that keeps failing says the same each time."""
    found: list[tuple[str, int]] = []
    for line in lines:
        if found and found[-1][0] == line:
            found[-1] = (line, found[-1][1] + 1)
        else:
            found.append((line, 1))
    return [line if count == 1 else f"{line} (×{count})" for line, count in found]


def clean_text(raw: bytes | str, limit: int = 2000) -> str:
    """A short text of several lines."""
    text = "\n".join(clean_lines(raw))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def sentence_from(raw: bytes | str, limit: int = 300) -> str:
    """What a command said on its error stream, as one line that gives no login away."""
    said = " ".join(clean_lines(raw)[-4:])
    return clean_line(_WITH_A_LOGIN.sub("…@", said), limit).strip()


def human_bytes(count: int | float) -> str:
    """Bytes as a person reads them."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
