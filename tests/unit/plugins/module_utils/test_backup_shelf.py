# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives that are there: which one is good, and which may go."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.backups import KEY, aged, job, made, order, wallets

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _gpg, _wallet_shelf
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_retention import forbidden, tidied
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_shelf import WALLETS, Archive
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase is made slow to guess on purpose; here that would only cost time."""
    monkeypatch.setattr(_gpg, "_LOCKED", [*_gpg._LOCKED[:-1], "65536"])


def kept(folder: Path, key: Key, days: float, keep_good: int, keep_all: str) -> dict[str, Any]:
    def good(one: Archive) -> bool:
        return _wallet_shelf.good(one, key)

    return tidied(str(folder / "backups"), WALLETS, "buyer", good, days, keep_good, keep_all)


@pytest.mark.usefixtures("no_gap")
def test_what_is_too_old_goes_with_what_lies_beside_it(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    made(order(tmp_path), job(tmp_path))
    old, young = aged(tmp_path / "backups", 91), aged(tmp_path / "backups", 89)
    (tmp_path / "backups" / "made-elsewhere-20200101T000000Z.tar.gz.gpg").write_bytes(b"theirs")
    found = made(order(tmp_path, keep_good=2), job(tmp_path))[0]
    assert found["retention"] == {"removed": [old.name], "kept": 2, "why": ""}
    names = os.listdir(tmp_path / "backups")
    assert not [name for name in names if name.startswith(old.name)] and young.name in names
    assert "made-elsewhere-20200101T000000Z.tar.gz.gpg" in names


@pytest.mark.usefixtures("no_gap")
@pytest.mark.parametrize("spoil", ["content", "checksum"])
def test_the_last_good_ones_stay_whatever_their_age(tmp_path: Path, spoil: str) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    newest = Path(made(order(tmp_path), job(tmp_path))[0]["path"])
    old = [aged(tmp_path / "backups", days) for days in (100, 200, 300)]
    if spoil == "checksum":
        newest.write_bytes(newest.read_bytes() + b"x")
    else:
        newest.write_bytes(b"nothing that opens")
        Path(f"{newest}.sha256").write_text(hashlib.sha256(newest.read_bytes()).hexdigest() + "\n")
    assert kept(tmp_path, KEY, 90, 2, "")["removed"] == [old[2].name]
    assert "only 2 of buyer's" in kept(tmp_path, KEY, 90, 3, "")["why"]
    assert kept(tmp_path, Key("another"), 90, 1, "")["removed"] == []


def test_nothing_goes_while_something_is_under_way(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    made(order(tmp_path), job(tmp_path))
    old = aged(tmp_path / "backups", 91)
    found = made(order(tmp_path, keep_good=1, keep_all="the hold 'evidence' stands"), job(tmp_path))[0]
    assert found["retention"]["removed"] == [] and found["retention"]["why"] == "the hold 'evidence' stands"
    assert old.exists()


def test_the_newest_good_one_is_found_behind_a_bad_one(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    newest = Path(made(order(tmp_path), job(tmp_path))[0]["path"])
    older, oldest = aged(tmp_path / "backups", 1), aged(tmp_path / "backups", 2)
    newest.write_bytes(newest.read_bytes()[:-20])
    folder = str(tmp_path / "backups")
    glance = _wallet_shelf.looked(folder, Key())
    assert [one["path"] for one in glance["backups"]] == [str(newest), str(older), str(oldest)]
    assert {one["good"] for one in glance["backups"]} == {None} and glance["newest_good"] == {}
    assert [one["sha256_ok"] for one in _wallet_shelf.looked(folder, Key(), "checksum")["backups"]] == [False, True, True]
    full = _wallet_shelf.looked(folder, KEY, "full")
    assert full["newest_good"] == {"buyer": str(older)} and full["latest"] == {"buyer": str(newest)}
    assert [one["good"] for one in full["backups"]] == [False, True, None]
    assert [one["good"] for one in _wallet_shelf.looked(folder, KEY, "full", everything=True)["backups"]] == [False, True, True]
    wrong = _wallet_shelf.looked(folder, Key("another"), "full")["backups"][1]
    assert (wrong["good"], wrong["decrypts"], wrong["sha256_ok"]) == (False, False, True) and str(older) in wrong["problem"]
    assert _wallet_shelf.looked(folder, KEY, "full", site="market-2")["newest_good"] == {}


def test_what_others_made_is_opened_only_while_a_good_one_is_looked_for(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    made(order(tmp_path), job(tmp_path))
    folder = tmp_path / "backups"
    for name in ("buyer-20200101T000000Z.tar.gz.gpg", "buyer-29990101T000000Z.tar.gz.gpg"):
        (folder / name).write_bytes(b"theirs")
    found = _wallet_shelf.looked(str(folder), KEY, "full", roles=["buyer"])["backups"]
    assert [one["good"] for one in found] == [False, True, None]
    assert "is no file that gpg has encrypted" in found[0]["problem"]


def test_an_empty_folder_is_no_error(tmp_path: Path) -> None:
    assert _wallet_shelf.looked(str(tmp_path / "none"), KEY, "full") == {"backups": [], "newest_good": {}, "latest": {}}


@pytest.mark.parametrize("what", ["hold", "freeze"])
@pytest.mark.parametrize("content", ['{"reason": "evidence", "by": "alice", "services": ["server"]}', "unreadable"])
def test_a_hold_or_a_freeze_is_a_reason_to_keep_all(tmp_path: Path, what: str, content: str) -> None:
    assert forbidden(str(tmp_path)) == ""
    (tmp_path / f"{what}s").mkdir()
    (tmp_path / f"{what}s" / "evidence.json").write_text(content)
    assert forbidden(str(tmp_path)) == f"the {what} 'evidence' stands"
