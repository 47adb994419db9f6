# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-doc of every module and filter, as a person reads it: complete, and without markup that nobody resolved."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rules.collection import FQCN, PROJECT

KINDS = {"module": "modules", "filter": "filter"}
MARKUP = re.compile(r"\b(?:O|V|C|RV|M|P|E|B|I|U|L)\([^)\s]")
LINE = 200


def names(kind: str) -> list[str]:
    return sorted(f"{FQCN}.{path.stem}" for path in (PROJECT / "plugins" / KINDS[kind]).glob("*.py"))


def ansible_doc(kind: str, *options: str) -> str:
    tool = Path(sys.executable).parent / "ansible-doc"
    said = subprocess.run(
        [tool, "-t", kind, *options, *names(kind)], cwd=PROJECT, env={**os.environ, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert said.stderr == "" or "ERROR" not in said.stderr
    return said.stdout


def undescribed(parts: dict[str, Any], inner: str, where: str = "") -> list[str]:
    """Options, or returned keys, without a word about them, at any depth."""
    found = []
    for name, part in (parts or {}).items():
        if not part.get("description") or not part.get("type"):
            found.append(f"{where}{name}")
        found += undescribed(part.get(inner), inner, f"{where}{name}.")
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_described(kind: str) -> None:
    told = json.loads(ansible_doc(kind, "--json"))
    assert sorted(told) == names(kind)
    for name, one in told.items():
        assert one["doc"]["short_description"] and one["examples"].strip(), name
        assert undescribed(one["doc"].get("options"), "suboptions") == [], name
        assert undescribed(one["return"], "contains") == [], name


@pytest.mark.parametrize("kind", KINDS)
def test_it_reads_without_markup(kind: str) -> None:
    said = ansible_doc(kind)
    assert [line for line in said.splitlines() if MARKUP.search(line)] == []
    examples = [line for line in said.splitlines() if len(line) > LINE]
    assert examples == []
