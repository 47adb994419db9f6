# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of another signer are known as such, and what an earlier restore has kept or begun is not lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from unit.plugins import throwaway_wallets as wallets
from unit.plugins.restores import ARBITER, BUYER, backup, damage, do, everything, opened, refused, site, stopping_at, wanted

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _wallet_proof,
    _wallet_restore,
    _wallet_swap,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_restore import Other
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored


@pytest.fixture
def eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_wallet_proof, "look", opened)


def test_keys_of_another_signer_are_known_by_their_own_name_and_password(tmp_path: Path, eyes: None) -> None:
    site(tmp_path)
    wallets.make(tmp_path / "wallets/arbiter", "third", ARBITER, password="its own")
    (tmp_path / "wallets/arbiter/escrow_1.keys").unlink()
    others = (wanted(tmp_path).others[0], Other("arbiter", str(tmp_path / "wallets/arbiter"), "third", "its own"))
    backup(tmp_path / "backups", ARBITER)
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    sentence = refused(tmp_path, wanted(tmp_path, others=others, unknown_signer=True), "other_signer")
    assert "are the arbiter's" in sentence and "the address is the same" in sentence
    (tmp_path / "backups/wallet.tar.gz.gpg").unlink()
    backup(tmp_path / "backups")
    assert do(wanted(tmp_path, others=others))["signer"]["proven_by"] == "the other signers"


def test_keys_that_lie_in_another_signers_folder_are_refused_before_any_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site(tmp_path)
    monkeypatch.setattr(_wallet_proof, "look", lambda *_asked: pytest.fail("copies were opened"))
    wallets.make(tmp_path / "wallets/arbiter", "escrow_99", "9" * 64)
    backup(tmp_path / "backups", "9" * 64)
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    sentence = refused(tmp_path, wanted(tmp_path, unknown_signer=True), "other_signer")
    assert "are the arbiter's" in sentence and "escrow_99.keys, byte for byte" in sentence


def test_what_a_change_has_kept_stays_when_its_journal_is_gone(
    tmp_path: Path, eyes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the damaged cache went; the journal cannot be read, and is moved away as the message says."""
    site(tmp_path)
    damage(tmp_path / "wallets/buyer/escrow_1")
    before = (tmp_path / "wallets/buyer/escrow_1").read_bytes()
    with monkeypatch.context() as killed:
        killed.setattr(_wallet_swap, "write_json", stopping_at(_wallet_swap.DONE))
        with pytest.raises(InterruptedError):
            do(wanted(tmp_path, "cache_parked"))
    for journal in (tmp_path / "state").iterdir():
        journal.write_text("{", encoding="ascii")
        with pytest.raises(NotRestored, match="move it away"):
            do(wanted(tmp_path, "cache_parked"))
        journal.unlink()
    damage(tmp_path / "wallets/buyer/escrow_1")
    do(wanted(tmp_path, "cache_parked"))
    kept = tmp_path / "wallets/.marketplace_kept/buyer/escrow_1"
    [left] = [one for one in kept.iterdir() if one.name.endswith(".unfinished")]
    assert (left / "escrow_1").read_bytes() == before and os.listdir(left) == ["escrow_1"]
    wallets.make(tmp_path / "wallets/buyer", "escrow_1", BUYER)
    damage(tmp_path / "wallets/buyer/escrow_1")
    do(wanted(tmp_path, "cache_parked"))
    assert (left / "escrow_1").read_bytes() == before


def cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore that was killed when the damaged cache was parked, and only its end was missing."""
    damage(folder / "wallets/buyer/escrow_1")
    with monkeypatch.context() as killed:
        killed.setattr(_wallet_swap, "write_json", stopping_at(_wallet_swap.DONE))
        with pytest.raises(InterruptedError):
            do(wanted(folder, "cache_parked"))


def test_what_was_begun_is_only_ended_where_nothing_else_is_asked(
    tmp_path: Path, eyes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    site(tmp_path)
    assert not do(wanted(tmp_path, "resumed"))["changed"]
    cut_off(tmp_path, monkeypatch)
    assert _wallet_swap.is_begun(str(tmp_path / "state"), str(tmp_path / "wallets/buyer"), "escrow_1")
    wallets.make(tmp_path / "wallets/buyer", "escrow_1", BUYER)
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    (tmp_path / "wallets/buyer/escrow_1").write_bytes(b"damaged since")
    before = everything(tmp_path / "wallets/buyer")
    result = do(wanted(tmp_path, "resumed"))
    assert result["resumed"] and result["did"][0].startswith("ended what an earlier restore had begun")
    assert everything(tmp_path / "wallets/buyer") == before
    assert not _wallet_swap.is_begun(str(tmp_path / "state"), str(tmp_path / "wallets/buyer"), "escrow_1")


def test_what_is_asked_is_done_after_what_was_begun(tmp_path: Path, eyes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    site(tmp_path)
    backup(tmp_path / "backups")
    cut_off(tmp_path, monkeypatch)
    wallets.make(tmp_path / "wallets/buyer", "escrow_1", BUYER)
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    result = do(wanted(tmp_path))
    assert (tmp_path / "wallets/buyer/escrow_1.keys").read_bytes() == wallets.keys(BUYER)
    assert [line.partition(" ")[0] for line in result["did"]] == ["ended", "put"] and len(result["kept"]) == 2
    assert result["resumed"] and result["changed"]


def test_what_was_begun_is_ended_also_where_the_rest_is_refused(
    tmp_path: Path, eyes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    site(tmp_path)
    backup(tmp_path / "backups", ARBITER)
    cut_off(tmp_path, monkeypatch)
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    with pytest.raises(NotRestored, match=r"are the arbiter's.* had begun was ended before"):
        do(wanted(tmp_path))


def test_a_wallet_that_is_opened_while_its_cache_is_looked_at_is_left_alone(
    tmp_path: Path, eyes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    site(tmp_path)
    damage(tmp_path / "wallets/buyer/escrow_1")
    before = everything(tmp_path / "wallets")
    held = iter([[], [(7, "escrow_1.keys")]])
    monkeypatch.setattr(_wallet_restore, "holders", lambda _inodes: next(held))
    with pytest.raises(NotRestored, match="Process 7 has") as problem:
        do(wanted(tmp_path, "cache_parked"))
    now = everything(tmp_path / "wallets")
    assert problem.value.kind == "in_use" and now == before
