# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping, planning and restoring a database are killed at every effect; nothing is lost, and whoever comes next ends it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.crash import killed_at_each_effect
from unit.plugins.database_restores import (
    digest,
    do,
    everything,
    make,
    rows,
    shop,
    wanted,
)

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_candidate,
    _database_files,
    _database_keep,
    _database_swap,
    _database_unpack,
    _sqlite_copy,
)

ALSO = [(_database_files, "sha256"), (_database_files, "like_model"), (_database_keep, "run")]


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], dict[str, bytes]]:
    """The same shop again and again, where nobody has anything open; returns what was in its folder."""
    shop(tmp_path / "template")
    monkeypatch.setattr(_database_files, "_descriptors", lambda: iter(()))

    def copied(folder: Path) -> dict[str, bytes]:
        shutil.copytree(tmp_path / "template", folder, dirs_exist_ok=True)
        return everything(folder / "data")

    return copied


def test_keeping_is_killed_at_every_effect(tmp_path: Path, template: Callable[[Path], dict[str, bytes]]) -> None:
    before: dict[str, bytes] = {}

    def converged(folder: Path, result: dict) -> None:
        assert {name: content for name, content in everything(folder / "data").items() if name in before} == before
        names = ("", "-wal", "-shm")
        assert [Path(one["path"]).read_bytes() for one in result["kept"]] == [before[f"marketplace.db{name}"] for name in names]
        assert not do(wanted(folder, "preserved"))["changed"]
        assert not [name for name in os.listdir(folder / "data") if name.endswith(".partial")]

    def prepare(folder: Path) -> None:
        before.update(template(folder))

    assert killed_at_each_effect(tmp_path, prepare, lambda folder: do(wanted(folder, "preserved")), converged, ALSO) > 15


def test_a_plan_is_killed_at_every_effect(tmp_path: Path, template: Callable[[Path], dict[str, bytes]]) -> None:
    def converged(folder: Path, result: dict) -> None:
        assert result["plan"]["image"]["tables"]["users"] == 100
        assert len(list((folder / "data/.marketplace_restore").iterdir())) == 2

    also = [(_database_unpack, "unpack"), (_database_candidate, "look")]
    assert killed_at_each_effect(tmp_path, template, lambda folder: do(wanted(folder)), converged, also) > 5


def test_a_restore_is_killed_at_every_effect(tmp_path: Path, template: Callable[[Path], dict[str, bytes]]) -> None:
    """What the database's folder held is in it at every moment; and whoever comes next ends it."""
    before: dict[str, bytes] = {}
    plans: dict[str, tuple[str, str]] = {}

    def prepare(folder: Path) -> None:
        before.update(template(folder))
        plans[folder.name] = do(wanted(folder, "preserved"))["kept_database"], do(wanted(folder))["plan"]["hash"]

    def act(folder: Path) -> dict:
        assert set(before.values()) <= set(everything(folder / "data").values()), "lost by the kill"
        kept, plan = plans[folder.name]
        return do(wanted(folder, "restored", plan=plan, kept_database=kept))

    def converged(folder: Path, result: dict) -> None:
        assert set(before.values()) <= set(everything(folder / "data").values())
        database = folder / "data/marketplace.db"
        assert rows(database) == [(100,)] and digest(database) == result["image"]["sha256"]
        assert not [name for name in os.listdir(folder / "data") if name.endswith(("-wal", "-shm")) and "CORRUPTED" not in name]
        assert not Path(_database_swap.journal_path(str(folder / "state"), str(database))).exists()
        assert all(digest(one["path"]) == one["sha256"] for one in result["kept"]) and len(result["kept"]) == 3

    assert killed_at_each_effect(tmp_path, prepare, act, converged, ALSO) > 25


def test_a_list_of_what_is_lost_is_killed_at_every_effect(tmp_path: Path, template: Callable[[Path], dict[str, bytes]]) -> None:
    before: dict[str, bytes] = {}
    make(tmp_path / "template/data/marketplace.db.CORRUPTED-1", 90)

    def prepare(folder: Path) -> None:
        before.update(template(folder))
        make(folder / "data/whole.db", 100)
        os.rename(folder / "data/whole.db", folder / "data/marketplace.db")
        for suffix in ("-wal", "-shm"):
            os.unlink(folder / f"data/marketplace.db{suffix}")

    def act(folder: Path) -> dict:
        kept, lost = str(folder / "data/marketplace.db.CORRUPTED-1"), str(folder / "loss/loss.jsonl")
        return do(wanted(folder, "compared", kept_database=kept, loss_file=lost))

    def converged(folder: Path, result: dict) -> None:
        assert len((folder / "loss/loss.jsonl").read_text().splitlines()) == 30
        assert sorted(os.listdir(folder / "loss")) == ["loss.jsonl", "loss.jsonl.gpg"]
        assert not (folder / "data/.marketplace_compare").exists()
        assert result["loss"]["tables"]["users"]["deleted"] == 10

    assert killed_at_each_effect(tmp_path, prepare, act, converged, [(_sqlite_copy, "copy")]) > 8
