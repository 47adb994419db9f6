# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of wallets: all that was there at one moment, proven before anybody sees it, and none lost by a new one."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import stat
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.crash import killed_at_each_effect
from unit.plugins.backups import ADDRESS, ANSWERS, job, made, opened, order, unpacked, wallet_rpc, wallets

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _backup_shelf,
    _backup_work,
    _gpg,
    _wallet_backup,
    _wallet_pack,
    _wallet_source,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._gpg import Key
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_backup import backed_up


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase is made slow to guess on purpose; here that would only cost time."""
    monkeypatch.setattr(_gpg, "_LOCKED", [*_gpg._LOCKED[:-1], "65536"])


def test_an_archive_holds_every_wallet_of_the_folder_and_says_what_it_holds(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1", "escrow_2")
    with wallet_rpc(ANSWERS) as (rpc, asked), opened(tmp_path / "buyer" / "escrow_1.keys"):
        found = made(order(tmp_path), job(tmp_path, rpc=rpc))[0]
    inside = unpacked(found["path"])
    assert next(iter(inside)) == "manifest.json"
    manifest = json.loads(inside.pop("manifest.json"))
    assert inside == {f"buyer/{one.name}": one.read_bytes() for one in (tmp_path / "buyer").iterdir()}
    assert (manifest["site"], manifest["role"], manifest["kind"], manifest["format"]) == ("market-1", "buyer", "wallet", 1)
    assert (manifest["recipient"], manifest["key_generation"]) == ("passphrase", "1")
    assert manifest["tools"]["monero_wallet_rpc"] == "1.26" and manifest["tools"]["gpg"].startswith("2.")
    first, second = manifest["wallets"]
    assert first == {
        "name": "escrow_1", "primary_address": ADDRESS, "height": 101, "restore_height": 57, "highest_subaddress_index": 7,
        "multisig": {"threshold": 2, "total": 3}, "consistent": "stored",
        "keys_sha256": hashlib.sha256(inside["buyer/escrow_1.keys"]).hexdigest(), "keys_bytes": len(inside["buyer/escrow_1.keys"]),
        "cache_sha256": hashlib.sha256(inside["buyer/escrow_1"]).hexdigest(), "cache_bytes": len(inside["buyer/escrow_1"]),
    }  # fmt: skip
    assert (second["consistent"], second["primary_address"], second["height"]) == ("at_rest", None, None)
    assert set(asked) <= set(ANSWERS) and "store" in asked
    assert b"987654321" not in Path(found["path"] + ".manifest.json").read_bytes()


def test_what_lies_beside_an_archive(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    found = made(order(tmp_path), job(tmp_path))[0]
    path = Path(found["path"])
    assert found["verified"] == "decrypted" and found["state"] == "made"
    assert (
        subprocess.run(
            ["sha256sum", "--check", f"{path.name}.sha256"], cwd=path.parent, capture_output=True, check=False
        ).returncode
        == 0
    )
    assert json.loads(unpacked(str(path))["manifest.json"]) == json.loads(Path(f"{path}.manifest.json").read_text())
    latest = path.parent / "latest-buyer.tar.gz.gpg"
    assert os.readlink(latest) == path.name
    modes = {
        one.name: stat.S_IMODE(one.lstat().st_mode) for one in path.parent.iterdir() if one.is_file() and not one.is_symlink()
    }
    assert set(modes.values()) == {0o600} and len(modes) == 3
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700 and os.listdir(path.parent / ".work") == []


def test_each_role_has_an_archive_of_its_own_and_one_that_fails_takes_no_other_with_it(tmp_path: Path) -> None:
    for role in ("buyer", "vendor"):
        wallets(tmp_path / role, "escrow_1")
    found = backed_up(order(tmp_path), [job(tmp_path), job(tmp_path, "arbiter"), job(tmp_path, "vendor")])
    assert [one["state"] for one in found] == ["made", "failed", "made"]
    assert "arbiter" in found[1]["problem"] and str(tmp_path / "arbiter") in found[1]["problem"]
    for one in (found[0], found[2]):
        assert {name.split("/")[0] for name in unpacked(one["path"])} == {"manifest.json", one["role"]}


def test_a_stopped_wallet_is_consistent_as_it_lies(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    assert made(order(tmp_path), job(tmp_path))[0]["wallets"][0]["consistent"] == "stopped"


def test_an_open_wallet_that_cannot_be_stored_is_backed_up_and_said_to_be_older(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    answers = {**ANSWERS, "store": {"error": {"code": -1, "message": "disk full"}}}
    with wallet_rpc(answers) as (rpc, _asked), opened(tmp_path / "buyer" / "escrow_1.keys"):
        found = made(order(tmp_path), job(tmp_path, rpc=rpc))[0]
    assert found["wallets"][0]["consistent"] == "unstored" and "disk full" in found["notes"][0]


def test_what_was_learnt_of_a_wallet_is_kept_while_its_keys_are_the_same(tmp_path: Path) -> None:
    folder = wallets(tmp_path / "buyer", "escrow_1", "escrow_2")
    always = order(tmp_path, minimum_age=0.0)
    with wallet_rpc(ANSWERS) as (rpc, _asked):
        with opened(folder / "escrow_1.keys"):
            made(always, job(tmp_path, rpc=rpc))
        with opened(folder / "escrow_2.keys"):
            both = made(always, job(tmp_path, rpc=rpc))[0]["wallets"]
        (folder / "escrow_1.keys").write_bytes(b"another signer's")
        after = made(always, job(tmp_path, rpc=rpc))[0]["wallets"]
    assert [one["primary_address"] for one in both] == [ADDRESS, ADDRESS]
    assert [one["consistent"] for one in both] == ["at_rest", "stored"]
    assert [one["primary_address"] for one in after] == [None, ADDRESS]


@pytest.mark.parametrize("beside", ["{", "[]", '{"wallets": 7}', '{"wallets": [7, {}]}'])
def test_a_note_that_cannot_be_understood_is_none(tmp_path: Path, beside: str) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    Path(made(order(tmp_path), job(tmp_path))[0]["path"] + ".manifest.json").write_text(beside)
    assert made(order(tmp_path), job(tmp_path))[0]["state"] == "made"


def test_a_file_that_is_written_meanwhile_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = wallets(tmp_path / "buyer", "escrow_1") / "escrow_1"
    monkeypatch.setattr(_wallet_backup, "PAUSE_SECONDS", 0.01)
    real, times = _wallet_pack.pack, []

    def packed(*given: Any) -> None:
        if len(times) < 2:
            times.append(cache.write_bytes(os.urandom(5000)))
        real(*given)

    monkeypatch.setattr(_wallet_pack, "pack", packed)
    found = made(order(tmp_path), job(tmp_path))[0]
    assert len(times) == 2 and unpacked(found["path"])["buyer/escrow_1"] == cache.read_bytes()


def test_a_file_that_never_rests_is_named_and_nothing_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = wallets(tmp_path / "buyer", "escrow_1") / "escrow_1"
    monkeypatch.setattr(_wallet_backup, "PAUSE_SECONDS", 0.0)
    real = _wallet_pack.pack

    def packed(*given: Any) -> None:
        real(*given[:-3], given[-3], *given[-2:])
        cache.write_bytes(os.urandom(5000))
        for one in given[3]:
            _wallet_source.still(one)

    monkeypatch.setattr(_wallet_pack, "pack", packed)
    found = backed_up(order(tmp_path), [job(tmp_path)])[0]
    assert found["state"] == "failed" and str(cache) in found["problem"]
    assert os.listdir(tmp_path / "backups") == [".work"] and os.listdir(tmp_path / "backups" / ".work") == []


@pytest.mark.parametrize("trick", ["symlink", "fifo"])
def test_what_is_no_regular_file_is_not_read(tmp_path: Path, trick: str) -> None:
    cache = wallets(tmp_path / "buyer", "escrow_1") / "escrow_1"
    cache.unlink()
    if trick == "symlink":
        cache.symlink_to("/etc/shadow")
    else:
        os.mkfifo(cache)
    found = backed_up(order(tmp_path), [job(tmp_path)])[0]
    assert found["state"] == "failed" and str(cache) in found["problem"]


def test_a_young_backup_of_the_same_is_not_repeated(tmp_path: Path) -> None:
    folder = wallets(tmp_path / "buyer", "escrow_1")
    first = made(order(tmp_path), job(tmp_path))[0]
    again = made(order(tmp_path), job(tmp_path))[0]
    assert (again["state"], again["path"], again["sha256"]) == ("fresh", first["path"], first["sha256"])
    assert made(order(tmp_path, key_generation="2"), job(tmp_path))[0]["state"] == "made"
    wallets(folder, "escrow_2")
    assert made(order(tmp_path, key_generation="2"), job(tmp_path))[0]["state"] == "made"
    with wallet_rpc(ANSWERS) as (rpc, _asked):
        assert made(order(tmp_path, key_generation="2"), job(tmp_path, rpc=rpc))[0]["state"] == "made"
    newest = Path(made(order(tmp_path, key_generation="2"), job(tmp_path))[0]["path"])
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    assert made(order(tmp_path, key_generation="2"), job(tmp_path))[0]["state"] == "made"


def test_without_a_key_nothing_is_written(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    with pytest.raises(IncidentError, match="encrypted only"):
        backed_up(order(tmp_path, key=Key()), [job(tmp_path)])
    assert not (tmp_path / "backups").exists()


def test_without_room_nothing_is_written(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    found = backed_up(order(tmp_path, floor=2**60), [job(tmp_path)])[0]
    assert found["state"] == "failed" and "free some there" in found["problem"]
    assert os.listdir(tmp_path / "backups") == [".work"]


def test_what_cannot_be_opened_again_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    real = _gpg.sealed

    def spoiled(stream: Any, key: Key) -> None:
        real(stream, key)
        draft = next((tmp_path / "backups" / ".work").iterdir())
        raw = bytearray(draft.read_bytes())
        raw[len(raw) // 2] ^= 1
        draft.write_bytes(raw)

    monkeypatch.setattr(_gpg, "sealed", spoiled)
    found = backed_up(order(tmp_path), [job(tmp_path)])[0]
    assert found["state"] == "failed" and os.listdir(tmp_path / "backups") == [".work"]


def test_a_key_locks_what_only_its_secret_part_opens(tmp_path: Path, keyring: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = wallets(tmp_path / "buyer", "escrow_1")
    wanted = order(tmp_path, key=Key(recipient=keyring), minimum_age=0.0)
    found = made(wanted, job(tmp_path))[0]
    assert found["verified"] == "decrypted"
    plain = subprocess.run(["gpg", "--batch", "--quiet", "--decrypt", found["path"]], capture_output=True, check=True).stdout
    assert (folder / "escrow_1.keys").read_bytes() in gzip.decompress(plain)
    public = subprocess.run(["gpg", "--batch", "--export", keyring], capture_output=True, check=True).stdout
    (tmp_path / "p").mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(tmp_path / "p"))
    subprocess.run(["gpg", "--batch", "--quiet", "--import"], input=public, capture_output=True, check=True)
    found = made(wanted, job(tmp_path))[0]
    subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=True)
    assert (found["verified"], found["state"]) == ("checksum", "made")


def test_a_recipient_without_a_key_here_is_not_looked_for_elsewhere(tmp_path: Path, keyring: str) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    stranger = backed_up(order(tmp_path, key=Key(recipient="nobody@example.org")), [job(tmp_path)])[0]
    assert stranger["state"] == "failed"
    assert "'nobody@example.org'" in stranger["problem"] and "no such key" in stranger["problem"]
    # Whoever answers for the mail domain would otherwise say to which key the wallets are encrypted.
    socket = subprocess.run(["gpgconf", "--list-dirs", "dirmngr-socket"], capture_output=True, text=True, check=True)
    assert not Path(socket.stdout.strip()).exists(), "gpg has started its network helper"


def test_without_gpg_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = backed_up(order(tmp_path), [job(tmp_path)])[0]
    assert found["state"] == "failed" and "apt-get install gnupg" in found["problem"]


def test_a_disk_that_fills_up_meanwhile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    (tmp_path / "gpg").write_text("#!/bin/sh\nread line\nexit 2\n")
    (tmp_path / "gpg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    free = iter([2**40])
    monkeypatch.setattr(_backup_work, "free_bytes", lambda _folder: next(free, 0))
    found = backed_up(order(tmp_path), [job(tmp_path)])[0]
    assert found["state"] == "failed" and "found no space left in" in found["problem"]
    assert os.listdir(tmp_path / "backups" / ".work") == []


def test_who_has_lost_the_lease_publishes_nothing(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    found = backed_up(order(tmp_path, allowed=lambda: False), [job(tmp_path)])[0]
    assert found["state"] == "failed" and os.listdir(tmp_path / "backups") == [".work"]


def test_a_long_backup_keeps_its_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    monkeypatch.setattr(_backup_work, "RENEW_SECONDS", 0.01)
    asked = threading.Event()
    real = _wallet_pack.pack

    def slow(*given: Any) -> None:
        asked.clear()
        assert asked.wait(60), "nobody renewed it while the archive was made"
        real(*given)

    monkeypatch.setattr(_wallet_pack, "pack", slow)
    made(order(tmp_path, allowed=lambda: asked.set() is None), job(tmp_path))


def test_another_signers_keys_are_told(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    found = made(order(tmp_path), replace(job(tmp_path), wallet="escrow_1", signer="0" * 64))[0]
    assert "are not the signer's" in found["notes"][0]


def test_in_check_mode_nothing_is_written(tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    assert backed_up(order(tmp_path), [job(tmp_path)], dry=True)[0]["state"] == "would_be_made"
    assert not (tmp_path / "backups").exists()


def test_a_large_wallet_takes_little_memory(tmp_path: Path) -> None:
    (wallets(tmp_path / "buyer", "escrow_1") / "escrow_1").write_bytes(os.urandom(1024 * 1024) * 48)
    program = (
        "import resource, sys\n"
        "from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_backup as b, _gpg\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "order = b.Order('m', sys.argv[1] + '/backups', _gpg.Key('secret'), floor=0)\n"
        "assert b.backed_up(order, [b.Job('buyer', sys.argv[1] + '/buyer', None)])[0]['state'] == 'made'\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    collections = str(Path(_gpg.__file__).parents[5])
    ran = subprocess.run(
        ["python3", "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": collections},
    )
    assert int(ran.stdout) < 20 * 1024


@pytest.mark.usefixtures("no_gap")
def test_killed_anywhere_the_next_run_has_a_whole_backup(tmp_path: Path) -> None:
    def prepare(folder: Path) -> None:
        wallets(folder / "buyer", "escrow_1")
        made(order(folder), job(folder))
        for one in (folder / "backups").iterdir():
            # As if it had been made long ago, so that it is due to go.
            name = one.name.replace("-202", "-190", 1) if one.name.startswith("marketplace") else one.name
            one.rename(one.with_name(name))
        (folder / "backups" / "latest-buyer.tar.gz.gpg").unlink()
        (folder / "old").write_text("\n".join(sorted(os.listdir(folder / "backups"))))

    def act(folder: Path) -> list[dict[str, Any]]:
        return backed_up(order(folder, keep_good=1), [job(folder)])

    def converged(folder: Path, found: list[dict[str, Any]]) -> None:
        assert found[0]["state"] in ("made", "fresh") and found[0]["problem"] == ""
        backups = folder / "backups"
        there = sorted(one.name for one in backups.iterdir() if one.is_file() and not one.is_symlink())
        whole = os.path.basename(found[0]["path"])
        assert there == sorted([whole, f"{whole}.manifest.json", f"{whole}.sha256"])
        assert os.readlink(backups / "latest-buyer.tar.gz.gpg") == whole
        assert unpacked(found[0]["path"])["buyer/escrow_1.keys"] == (folder / "buyer" / "escrow_1.keys").read_bytes()
        assert os.listdir(backups / ".work") == []

    also = [(_wallet_pack, "pack"), (_wallet_pack, "proven"), (_backup_shelf, "put"), (_backup_shelf, "point")]
    assert killed_at_each_effect(tmp_path, prepare, act, converged, also) > 15


def test_the_version_is_the_collections() -> None:
    galaxy = (Path(__file__).parents[4] / "galaxy.yml").read_text()
    assert f"\nversion: {_backup_work.COLLECTION}\n" in galaxy
