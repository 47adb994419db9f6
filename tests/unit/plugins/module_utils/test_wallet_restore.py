# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One wallet is restored, its signer proven, and nothing that is well is lost; also killed at any moment."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
from pathlib import Path

import pytest
from unit.crash import killed_at_each_effect
from unit.plugins import throwaway_wallets as wallets
from unit.plugins.archives import PASSPHRASE, archive, encrypt, member
from unit.plugins.restores import ARBITER, BUYER, backup, damage, do, everything, opened, refused, site, wanted

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _wallet_archive,
    _wallet_proof,
    _wallet_restore,
    _wallet_swap,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> wallets.Docker:
    return wallets.stand_in(tmp_path / "stand-in", monkeypatch)


@pytest.fixture
def eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_wallet_proof, "look", opened)


def test_a_damaged_cache_is_moved_aside_and_kept(tmp_path: Path, eyes: None) -> None:
    site(tmp_path)
    base = tmp_path / "wallets/buyer/escrow_1"
    damage(base)
    before = everything(tmp_path / "wallets")
    dry = do(wanted(tmp_path, "cache_parked"), dry=True)
    assert dry["changed"] and everything(tmp_path / "wallets") == before
    result = do(wanted(tmp_path, "cache_parked"))
    assert (result["changed"], result["cache"], base.exists()) == (True, "parked", False)
    kept = Path(result["kept"][0]["path"])
    assert kept.read_bytes() == before["buyer/escrow_1"]
    assert result["kept"][0]["sha256"] == hashlib.sha256(kept.read_bytes()).hexdigest()
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    now = everything(tmp_path / "wallets")
    assert {name: now[name] for name in before if name != "buyer/escrow_1"} == {
        name: content for name, content in before.items() if name != "buyer/escrow_1"
    }
    assert not do(wanted(tmp_path, "cache_parked"))["changed"]


def test_a_cache_that_loads_stays(tmp_path: Path, eyes: None) -> None:
    site(tmp_path)
    result = do(wanted(tmp_path, "cache_parked"))
    assert (result["changed"], result["cache"]) == (False, "left")


def test_a_rescan_does_not_help_damaged_keys(tmp_path: Path, eyes: None) -> None:
    site(tmp_path)
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    assert "rescan does not help" in refused(tmp_path, wanted(tmp_path, "cache_parked"), "keys")


def test_keys_come_back_and_the_newest_cache_stays(tmp_path: Path, eyes: None) -> None:
    site(tmp_path)
    backup(tmp_path / "backups", created="2026-11-24T03:15:00Z")
    base = tmp_path / "wallets/buyer/escrow_1"
    damage(Path(f"{base}.keys"))
    os.chown(f"{base}.keys", 10001, 10002)
    before = everything(tmp_path / "wallets")
    result = do(wanted(tmp_path))
    assert Path(f"{base}.keys").read_bytes() == wallets.keys(BUYER)
    assert base.read_bytes() == before["buyer/escrow_1"], "the cache that was there is newer than the archive's"
    state = os.stat(f"{base}.keys")
    assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (10001, 10002, 0o600)
    assert (result["cache"], result["signer"]["proven_by"], result["archive"]["manifest"]) == (
        "left",
        "the other signers",
        True,
    )
    assert Path(result["kept"][0]["path"]).read_bytes() == before["buyer/escrow_1.keys"]
    again = do(wanted(tmp_path))
    assert not again["changed"] and again["kept"] == []


@pytest.mark.parametrize("prefix", ["buyer/", ""])
def test_an_older_cache_never_comes_back(tmp_path: Path, eyes: None, prefix: str) -> None:
    site(tmp_path)
    backup(tmp_path / "backups", prefix=prefix)
    base = tmp_path / "wallets/buyer/escrow_1"
    damage(base)
    damage(Path(f"{base}.keys"))
    result = do(wanted(tmp_path))
    assert (result["cache"], base.exists()) == ("parked", False)
    old = hashlib.sha256(wallets.cache(50)).hexdigest()
    assert old not in {hashlib.sha256(content).hexdigest() for content in everything(tmp_path).values()}
    assert any("fresh exchange" in line for line in result["lost"])


def test_an_older_cache_comes_only_with_proof_and_from_an_archive_with_a_manifest(tmp_path: Path, eyes: None) -> None:
    site(tmp_path)
    base = tmp_path / "wallets/buyer/escrow_1"
    damage(Path(f"{base}.keys"))
    base.unlink()
    backup(tmp_path / "backups")
    assert do(wanted(tmp_path, nothing_signed_since=True), dry=True)["cache"] == "absent"
    (tmp_path / "backups/wallet.tar.gz.gpg").unlink()
    backup(tmp_path / "backups", created="2026-11-24T03:15:00Z")
    assert do(wanted(tmp_path, nothing_signed_since=True))["cache"] == "from_backup"
    assert base.read_bytes() == wallets.cache(50)


@pytest.mark.parametrize("said", [{}, {"role": "buyer"}])
def test_the_arbiters_archive_as_the_buyers_is_refused(tmp_path: Path, eyes: None, said: dict) -> None:
    """It has the same address, and says to be the buyer's."""
    site(tmp_path)
    backup(tmp_path / "backups", ARBITER, **said)
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    sentence = refused(tmp_path, wanted(tmp_path, unknown_signer=True), "other_signer")
    assert "are the arbiter's" in sentence and "the address is the same" in sentence


def test_the_pin_decides_where_there_is_one(tmp_path: Path, eyes: None) -> None:
    site(tmp_path)
    backup(tmp_path / "backups", "c" * 64)
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    pin = hashlib.sha256(wallets.keys(BUYER)).hexdigest()
    refused(tmp_path, wanted(tmp_path, pin=pin), "other_signer")
    (tmp_path / "backups/wallet.tar.gz.gpg").unlink()
    backup(tmp_path / "backups")
    assert do(wanted(tmp_path, pin=pin))["signer"]["proven_by"] == "pin"


def test_an_unknown_signer_needs_a_person(tmp_path: Path, eyes: None) -> None:
    site(tmp_path)
    backup(tmp_path / "backups")
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    damage(tmp_path / "wallets/vendor/escrow_1.keys")
    refused(tmp_path, wanted(tmp_path), "unknown_signer")
    assert do(wanted(tmp_path, unknown_signer=True))["signer"]["proven_by"] == "confirmation"


def test_another_escrows_keys_are_no_signers_of_this_one(tmp_path: Path, eyes: None) -> None:
    site(tmp_path)
    foreign = tmp_path / "backups"
    foreign.mkdir()
    archive(foreign, [member("buyer/escrow_1.keys", wallets.keys("d" * 64, address="4Another"))])
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    refused(tmp_path, wanted(tmp_path), "unknown_signer")
    refused(tmp_path, wanted(tmp_path, address=wallets.ADDRESS, unknown_signer=True), "other_signer")


def test_keys_that_are_well_are_not_overwritten(tmp_path: Path, eyes: None) -> None:
    site(tmp_path)
    wallets.make(tmp_path / "wallets/buyer", "escrow_1", "e" * 64)
    backup(tmp_path / "backups")
    assert "another signer's" in refused(tmp_path, wanted(tmp_path, unknown_signer=True), "newer")


def test_a_wallet_that_somebody_has_open_is_left_alone(tmp_path: Path, eyes: None) -> None:
    site(tmp_path)
    damage(tmp_path / "wallets/buyer/escrow_1")
    before = everything(tmp_path / "wallets")
    with open(tmp_path / "wallets/buyer/escrow_1.keys", "rb"):
        assert do(wanted(tmp_path, "cache_parked"), dry=True)["changed"], "a plan is made before it is closed"
        with pytest.raises(NotRestored, match=f"Process {os.getpid()} has .*escrow_1.keys open") as problem:
            do(wanted(tmp_path, "cache_parked"))
    assert problem.value.kind == "in_use" and everything(tmp_path / "wallets") == before
    with open(tmp_path / "wallets/buyer/escrow_2.keys", "rb"):
        assert do(wanted(tmp_path, "cache_parked"))["changed"]


def test_no_space_is_said_before_anything_changes(tmp_path: Path, eyes: None, monkeypatch: pytest.MonkeyPatch) -> None:
    site(tmp_path)
    backup(tmp_path / "backups")
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    before = everything(tmp_path / "wallets/buyer")
    monkeypatch.setattr(_wallet_swap, "FLOOR_BYTES", 1 << 60)
    with pytest.raises(NotRestored, match="free some there") as problem:
        do(wanted(tmp_path))
    assert problem.value.kind == "no_space" and everything(tmp_path / "wallets/buyer") == before


HOSTILE = {
    "leads_out": [member("buyer/../../../etc/passwd", b"x")],
    "absolute": [member("/etc/cron.d/x", b"x")],
    "link": [member("buyer/escrow_1.keys", type=tarfile.SYMTYPE, linkname="/etc/shadow")],
    "hard link": [member("buyer/escrow_1.keys", type=tarfile.LNKTYPE, linkname="buyer/other")],
    "device": [member("buyer/escrow_1.keys", type=tarfile.BLKTYPE)],
    "setuid": [member("buyer/escrow_1.keys", b"x", mode=0o4755)],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_archive_changes_nothing(tmp_path: Path, eyes: None, members: list) -> None:
    site(tmp_path)
    (tmp_path / "backups").mkdir()
    archive(tmp_path / "backups", members)
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    refused(tmp_path, wanted(tmp_path), "unsafe")


def test_other_bad_archives_change_nothing(tmp_path: Path, eyes: None) -> None:
    site(tmp_path)
    path = backup(tmp_path / "backups", site="market-2")
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    assert "was made on market-2" in refused(tmp_path, wanted(tmp_path), "other_site")
    refused(tmp_path, wanted(tmp_path, key=Key("another")), "wrong_passphrase")
    path.write_bytes(path.read_bytes()[:-40])
    refused(tmp_path, wanted(tmp_path), "damaged")
    path.unlink()
    refused(tmp_path, wanted(tmp_path), "missing")
    encrypt(path, b"no tar at all")
    refused(tmp_path, wanted(tmp_path), "damaged")
    path.unlink()
    backup(tmp_path / "backups", prefix="arbiter/")
    refused(tmp_path, wanted(tmp_path), "other_role")
    refused(tmp_path, wanted(tmp_path, wallet="escrow_2", role="arbiter"), "not_in_archive")
    path.unlink()
    backup(tmp_path / "backups", wallets=[{"name": "escrow_1", "keys_sha256": "0" * 64, "cache_sha256": None}])
    refused(tmp_path, wanted(tmp_path), "damaged")


@pytest.mark.parametrize("state", ["cache_parked", "keys_from_backup"])
def test_killed_at_each_effect_nothing_is_lost_and_a_rerun_heals(
    tmp_path: Path, eyes: None, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    # Read once: gpg and all processes of this machine are asked in the other tests.
    unpacked = _wallet_archive.extract(str(backup(tmp_path / "made")), str(tmp_path / "unpacked"), Key(PASSPHRASE), "buyer")

    def extracted(_archive: str, into: str, _key: Key, _role: str) -> _wallet_archive.Listing:
        shutil.copytree(tmp_path / "unpacked", into)
        return unpacked

    monkeypatch.setattr(_wallet_archive, "extract", extracted)
    monkeypatch.setattr(_wallet_restore, "holders", lambda _inodes: [])
    damaged = {"escrow_1": b"\0torn cache", "escrow_1.keys": wallets.keys(BUYER)}
    if state == "keys_from_backup":
        damaged["escrow_1.keys"] = b"\0torn keys"

    def prepare(folder: Path) -> None:
        site(folder)
        (folder / "backups").symlink_to(tmp_path / "made")
        for name, content in damaged.items():
            (folder / "wallets/buyer" / name).write_bytes(content)

    def converged(folder: Path, result: dict) -> None:
        buyer = folder / "wallets/buyer"
        assert (buyer / "escrow_1.keys").read_bytes() == wallets.keys(BUYER)
        assert not (buyer / "escrow_1").exists()
        kept = everything(folder / "wallets/.marketplace_kept/buyer")
        assert damaged["escrow_1"] in kept.values()
        assert state == "cache_parked" or damaged["escrow_1.keys"] in kept.values()
        assert not [name for name in kept if "/new/" in name] and wallets.cache(50) not in kept.values()
        assert sorted(os.listdir(buyer)) == ["escrow_1.keys", "escrow_2", "escrow_2.keys"]
        assert [name for name in os.listdir(folder / "state") if name.startswith("backup_restore")] == []
        assert not do(wanted(folder, state))["changed"]
        assert {path.parent.name for path in (folder / "wallets/.marketplace_kept").rglob("kept.json")} == {
            path.name for path in (folder / "wallets/.marketplace_kept/buyer/escrow_1").iterdir()
        }
        assert result["kept"] or not result["changed"]

    assert killed_at_each_effect(tmp_path, prepare, lambda folder: do(wanted(folder, state)), converged) > 10


@pytest.mark.parametrize("done", [True, False])
def test_what_the_wallet_wrote_after_a_kill_is_not_removed(
    tmp_path: Path, eyes: None, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    """Killed at the very end, the journal still says to drop the damaged cache; in its place there is a new one by now."""
    site(tmp_path)
    base = tmp_path / "wallets/buyer/escrow_1"
    damage(base)
    with monkeypatch.context() as killed:
        killed.setattr(_wallet_swap, "forget", lambda _path: None)
        kept = Path(do(wanted(tmp_path, "cache_parked"))["kept"][0]["path"])
    if not done:
        (kept.parent / "kept.json").unlink()
    base.write_bytes(wallets.cache(200))
    result = do(wanted(tmp_path, "cache_parked"))
    assert result["resumed"] and base.read_bytes() == wallets.cache(200)
    assert os.listdir(tmp_path / "state") == []


def test_with_the_throw_away_itself(tmp_path: Path, docker: wallets.Docker) -> None:
    site(tmp_path)
    backup(tmp_path / "backups", ARBITER)
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    refused(tmp_path, wanted(tmp_path), "other_signer")
    (tmp_path / "backups/wallet.tar.gz.gpg").unlink()
    backup(tmp_path / "backups")
    assert do(wanted(tmp_path))["signer"]["proven_by"] == "the other signers"
    assert not docker.runs
    docker.mood("absent")
    damage(tmp_path / "wallets/buyer/escrow_1.keys")
    assert "could not be proven" in refused(tmp_path, wanted(tmp_path), "no_proof")
