# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What wallets know of their money is read from copies, all of a folder by one throw-away; one that is broken costs only itself."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from unit.plugins import throwaway_wallets as wallets

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_ledger
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_proof import Place

OUT = {"txid": "AB" * 32, "amount": 5, "fee": 1, "height": 120, "timestamp": 1700000000}


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> wallets.Docker:
    return wallets.stand_in(tmp_path / "stand-in", monkeypatch)


def wallet(folder: Path, name: str, **knows: object) -> Path:
    base = wallets.make(folder, name, "5e" * 32)
    base.write_text(json.dumps({"height": 130, **knows}), encoding="utf-8")
    return base


def read(tmp_path: Path, timeout: float = 30.0, password: str = "") -> dict:
    return _wallet_ledger.read(str(tmp_path / "buyer"), password, Place("image", str(tmp_path / "scratch"), timeout))


def test_all_wallets_of_a_folder_are_read_by_one_throw_away(tmp_path: Path, docker: wallets.Docker) -> None:
    wallet(tmp_path / "buyer", "escrow_1", out=[OUT], pending=[{"txid": "cd", "amount": 3, "fee": 1, "timestamp": 1}])
    wallet(tmp_path / "buyer", "escrow_2", import_needed=True)
    found = read(tmp_path)
    assert found["escrow_1"] == {
        "problem": "",
        "height": 130,
        "import_needed": False,
        "transfers": [
            {"way": "out", "txid": "ab" * 32, "amount": 5, "fee": 1, "height": 120, "time": 1700000000},
            {"way": "out", "txid": "cd", "amount": 3, "fee": 1, "height": None, "time": 1},
        ],
    }
    assert found["escrow_2"]["import_needed"] is True
    runs = [call for call in docker.calls if call[0] == "run"]
    assert len(runs) == 1
    assert runs[0][runs[0].index("--network") :][:2] == ["--network", "none"]
    assert "--offline" in runs[0]
    assert not docker.runs
    assert not (tmp_path / "scratch" / "work").exists()


def test_a_cache_that_kills_the_throw_away_costs_only_itself(tmp_path: Path, docker: wallets.Docker) -> None:
    wallet(tmp_path / "buyer", "escrow_1")
    wallet(tmp_path / "buyer", "escrow_2").write_bytes(b"deadly")
    wallet(tmp_path / "buyer", "escrow_3")
    found = read(tmp_path)
    assert [found[f"escrow_{number}"]["height"] for number in (1, 2, 3)] == [130, None, 130]
    assert "died of a copy" in found["escrow_2"]["problem"]
    assert len([call for call in docker.calls if call[0] == "run"]) == 2


def test_what_cannot_be_read_is_unknown_and_never_empty(tmp_path: Path, docker: wallets.Docker) -> None:
    folder = tmp_path / "buyer"
    wallet(folder, "damaged").write_bytes(b"\0garbage")
    wallet(folder, "no_cache").unlink()
    wallet(folder, "other_password")
    (folder / "other_password.keys").write_bytes(wallets.keys("5e" * 32, "theirs"))
    (folder / "cache_only").write_text("{}", encoding="utf-8")
    os.symlink("/etc/passwd", folder / "linked.keys")
    found = read(tmp_path)
    assert sorted(found) == ["damaged", "linked", "no_cache", "other_password"]
    assert all(one["problem"] for one in found.values())
    assert "no cache" in found["no_cache"]["problem"]


def test_without_an_image_all_of_it_is_unknown(tmp_path: Path, docker: wallets.Docker) -> None:
    wallet(tmp_path / "buyer", "escrow_1")
    docker.mood("absent")
    assert "No such image" in read(tmp_path)["escrow_1"]["problem"]


def test_what_is_not_reached_in_time_is_unknown(tmp_path: Path, docker: wallets.Docker) -> None:
    wallet(tmp_path / "buyer", "escrow_1")
    docker.mood("hangs")
    began = time.monotonic()
    assert read(tmp_path, timeout=4.0)["escrow_1"]["problem"]
    assert time.monotonic() - began < 40


def test_the_files_themselves_stay_as_they_are_and_no_password_is_on_a_command_line(
    tmp_path: Path, docker: wallets.Docker
) -> None:
    base = wallet(tmp_path / "buyer", "escrow_1")
    (tmp_path / "buyer" / "escrow_1.keys").write_bytes(wallets.keys("5e" * 32, "the-password"))
    before = (base.read_bytes(), os.stat(base).st_mtime_ns)
    assert read(tmp_path, password="the-password")["escrow_1"]["problem"] == ""
    assert (base.read_bytes(), os.stat(base).st_mtime_ns) == before
    assert "the-password" not in json.dumps(docker.calls)
