# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hundreds of damages whose truth is known from a map of pages: each is named with its state, and the damaged files stay as they are."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.module_utils import sqlite_corpus as corpus
from unit.plugins.module_utils import sqlite_corpus_wal as corpus_wal
from unit.plugins.module_utils import sqlite_page_map as page_map
from unit.plugins.module_utils import sqlite_shop as shop

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_holders, _sqlite_look

GROUPS = ("table leaf", "interior", "index", "overflow", "freelist", "page 1", "wal", "value", "under wal")


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("corpus")
    cold = shop.cold(folder / "cold")
    return {
        "cold": cold,
        "hot": shop.hot(folder / "hot", cold),
        "restarted": shop.hot(folder / "restarted", cold, restarted=True),
    }


@pytest.fixture(scope="module")
def damages(bases: dict[str, Path]) -> list[Any]:
    mapped = page_map.PageMap(bases["cold"])
    return [*corpus.corpus(mapped), *corpus_wal.wal_corpus(bases, mapped)]


@pytest.fixture(autouse=True)
def nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds it is looked up in another test, among all processes of the machine."""
    monkeypatch.setattr(_sqlite_holders, "holders", lambda _path: [])


def look(path: Path, scratch: Path) -> dict[str, Any]:
    options = _sqlite_look.Options(frozen=True, scratch_dir=str(scratch), invariants=shop.INVARIANTS)
    return _sqlite_look.look(str(path), options)


def hashes(folder: Path) -> dict[str, str]:
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.iterdir()}


def test_the_corpus_is_large_and_nothing_is_left_out(damages: list[Any]) -> None:
    counted = Counter(one.group for one in damages if one.state != "ok")
    assert sum(counted.values()) >= 300 and set(counted) == set(GROUPS)
    assert min(counted.values()) >= 20


def test_a_hot_wal_has_rows_that_are_nowhere_else(bases: dict[str, Path], tmp_path: Path) -> None:
    """Otherwise the corpus would prove less than it says."""
    counts = []
    for suffixes in (("",), ("", "-wal", "-shm")):
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"shop.db{suffix}").unlink(missing_ok=True)
        for suffix in suffixes:
            shutil.copy(f"{bases['hot']}{suffix}", tmp_path / f"shop.db{suffix}")
        database = sqlite3.connect(tmp_path / "shop.db")
        counts.append(database.execute("SELECT count(*) FROM orders").fetchone()[0])
        database.close()
    assert counts == [shop.ORDERS, shop.ORDERS + shop.NEW_ORDERS] and shop.NEW_ORDERS == 200


@pytest.mark.parametrize("base", ["cold", "hot", "restarted"])
def test_what_is_sound_is_ok(bases: dict[str, Path], base: str, tmp_path: Path) -> None:
    before = hashes(bases[base].parent)
    found = look(bases[base], tmp_path)
    assert (found["state"], found["certain"], found["sentences"]) == ("ok", True, [])
    assert hashes(bases[base].parent) == before
    assert found["tables"]["orders"] == shop.ORDERS + (0 if base == "cold" else shop.NEW_ORDERS)


@pytest.mark.parametrize("group", GROUPS)
def test_each_damage_has_its_state(group: str, damages: list[Any], bases: dict[str, Path], tmp_path: Path) -> None:
    wrong = []
    for number, damage in enumerate(one for one in damages if one.group == group):
        folder = tmp_path / str(number)
        shutil.copytree(bases[damage.base].parent, folder)
        damage.apply(folder / "shop.db")
        before = hashes(folder)
        found = look(folder / "shop.db", tmp_path / "scratch")
        names = {one["name"] for one in found["damage"]["objects"]}
        told = found["state"] == damage.state and found["certain"] and set(damage.pages) <= set(found["damage"]["pages"])
        if group in ("table leaf", "index", "interior", "overflow") and damage.state == "page_damage":
            told = told and damage.object in names
        if found["state"] != "ok":
            told = told and found["problem"] == found["sentences"][0] and "\n" not in found["problem"]
        if not told or hashes(folder) != before:
            wrong.append(
                (damage.name, damage.state, found["state"], found["certain"], found["damage"]["pages"][:9], found["sentences"])
            )
        shutil.rmtree(folder)
    assert wrong == []
    assert list((tmp_path / "scratch").iterdir()) == []
