# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""JSON from a server that may say anything: whatever cannot be used ends as ValueError or as null, never as a crash or a long wait."""

from __future__ import annotations

import json
import math
from typing import Any

# Beyond any height, amount or time; Python needs seconds for an integer of a million digits.
DIGITS = 30
# Each list and each object costs Python many times the two bytes that it has in the text.
PARTS = 250_000


def loads(text: bytes, parts: int = PARTS) -> Any:
    """NaN, infinities and numbers of absurd length become null, which no check of a type lets pass."""
    if text.count(b"[") + text.count(b"{") > parts:
        raise ValueError(f"it has more than {parts} parts")
    try:
        return json.loads(text, parse_int=_whole, parse_float=_real, parse_constant=_nothing)
    except RecursionError:
        raise ValueError("it is nested too deeply to be read") from None
    except UnicodeDecodeError:
        raise ValueError("it is no text") from None
    except json.JSONDecodeError:
        raise ValueError("it is not JSON") from None


def _whole(text: str) -> int | None:
    return int(text) if len(text) <= DIGITS else None


def _real(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _nothing(_text: str) -> None:
    return None
