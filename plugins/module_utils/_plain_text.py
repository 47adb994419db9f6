# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits text for people to the terminal they have.

This module is private to the collection.
"""

from __future__ import annotations

import re
import textwrap

NARROWEST = 20
# The labels of a summary stand in their own column.
LABELLED = re.compile(r"(\w{1,6} +| {7})(?=\S)")
LABEL = 7
# What stands in where the terminal cannot show more than ASCII.
PLAIN = {
    "·": "-",
    "…": "...",
    "×": "x",
    "→": "->",
    "←": "<-",
    "–": "-",
    "—": "-",
    "„": '"',
    "\u201c": '"',
    "\u201d": '"',
    "\u2019": "'",
    "\u2018": "'",
}


def wrapped(line: str, width: int | None, hanging: str = "") -> str:
    """A line broken at words only; what goes on is indented so that the first column stays free."""
    if not width or len(line) <= width:
        return line
    return textwrap.fill(
        line,
        max(width, NARROWEST),
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def summary_wrapped(text: str, width: int | None) -> str:
    """A whole summary: a header, then lines with a label each."""
    lines = text.split("\n")
    fitted = [wrapped(lines[0], width, "  ")]
    for line in lines[1:]:
        label = LABELLED.match(line)
        narrow = width is not None and width < 3 * LABEL
        fitted.append(wrapped(line, width, " " * LABEL if label and len(label.group(1)) == LABEL and not narrow else "  "))
    return "\n".join(fitted)


def shown_in(text: str, encoding: str | None) -> str:
    """The text as an output with this encoding can show it."""
    try:
        text.encode(encoding or "ascii")
    except LookupError:
        encoding = "ascii"
    except UnicodeEncodeError:
        pass
    else:
        return text
    for letter, stand_in in PLAIN.items():
        text = text.replace(letter, stand_in)
    return text.encode(encoding or "ascii", "replace").decode(encoding or "ascii")


def cut(line: str, width: int) -> str:
    """One line that surely fits, for what is overwritten in place."""
    return line if len(line) < width else line[: max(width - 4, 0)] + "..."


def printable(text: str) -> str:
    """Without what could drive the terminal; line breaks and tabs stay."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)
