# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a real host, recorded in the lab, one file for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture
def recorded() -> Callable[[str], str]:
    """The text of a recorded answer."""
    return lambda name: (RECORDED / name).read_text(encoding="utf-8")


@pytest.fixture
def recorded_look(recorded: Callable[[str], str]) -> Callable[[str], dict[str, Any]]:
    """What compose_info found under a fault of the lab; a fresh copy each time."""
    return lambda fault: dict(json.loads(recorded(f"look_{fault}.json")))
