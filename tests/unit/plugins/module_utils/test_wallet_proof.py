# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of wallets are opened by a throw-away; whose they are is told by their secret, which nobody gets to see."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from unit.plugins import throwaway_wallets as wallets

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_files, _wallet_proof
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_proof import Copy, NoProof, Place, Seen

SECRET = "5ec2e7" * 8


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> wallets.Docker:
    return wallets.stand_in(tmp_path / "stand-in", monkeypatch)


def place(tmp_path: Path, timeout: float = 20.0) -> Place:
    return Place("image", str(tmp_path / "scratch"), timeout)


def judged(tmp_path: Path, base: Path, *, password: str = "", pin: str = "", others: dict[str, Path] | None = None) -> dict:
    files = _wallet_files.read(str(base.parent), base.name)
    assert files.copy is not None
    copies = {"": files.copy, **{role: Copy(f"{path}.keys") for role, path in (others or {}).items()}}
    seen = _wallet_proof.look(copies, password, place(tmp_path))
    return _wallet_files.judged(files, pin, seen[""], {role: one for role, one in seen.items() if role})


def test_a_sound_wallet_of_a_signer_of_its_own(tmp_path: Path, docker: wallets.Docker) -> None:
    base = wallets.make(tmp_path / "buyer", "escrow_1", SECRET)
    arbiter = wallets.make(tmp_path / "arbiter", "escrow_1", "a" * 64)
    found = judged(tmp_path, base, others={"arbiter": arbiter})
    assert (found["state"], found["address"], found["cache_file"]["loads"]) == ("sound", wallets.ADDRESS, True)
    assert found["signer"] == {"same_as": None, "differs_from": ["arbiter"]}
    assert not docker.runs


def test_the_arbiters_keys_in_the_buyers_place_are_recognised_behind_the_same_address(
    tmp_path: Path, docker: wallets.Docker
) -> None:
    base = wallets.make(tmp_path / "buyer", "escrow_1", "a" * 64)
    arbiter = wallets.make(tmp_path / "arbiter", "escrow_1", "a" * 64)
    found = judged(tmp_path, base, others={"arbiter": arbiter})
    assert found["signer"]["same_as"] == "arbiter"
    assert "one share is there twice" in " ".join(found["evidence"])


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda base: base.write_bytes(b"\0garbage"), "cache_damaged"),
        (lambda base: base.unlink(), "cache_missing"),
        (lambda base: Path(f"{base}.keys").write_bytes(Path(f"{base}.keys").read_bytes()[:50]), "keys_damaged"),
        (lambda base: Path(f"{base}.keys").write_bytes(b""), "keys_damaged"),
        (lambda base: Path(f"{base}.keys").write_bytes(bytes(8) + b"\x03\0\0\0"), "keys_damaged"),
    ],
)
def test_damage_is_told_apart(tmp_path: Path, docker: wallets.Docker, change, state: str) -> None:
    base = wallets.make(tmp_path / "buyer", "escrow_1", SECRET)
    change(base)
    assert judged(tmp_path, base)["state"] == state


def test_a_wrong_password_is_damage_only_where_something_says_so(tmp_path: Path, docker: wallets.Docker) -> None:
    base = wallets.make(tmp_path / "buyer", "escrow_1", SECRET, password="theirs")
    vendor = wallets.make(tmp_path / "vendor", "escrow_1", "b" * 64, password="given")
    digest = _wallet_files.read(str(base.parent), base.name).keys
    assert digest is not None
    assert judged(tmp_path, base, password="given")["state"] == "unknown"
    assert judged(tmp_path, base, password="given", pin=digest.sha256)["state"] == "wrong_password"
    assert judged(tmp_path, base, password="given", pin="0" * 64)["state"] == "unknown"
    differs = judged(tmp_path, base, password="given", pin="0" * 64)["evidence"]
    assert "damaged, or its password was changed" in differs[0]
    assert judged(tmp_path, base, password="given", others={"vendor": vendor})["state"] == "keys_damaged"
    files, refused, opens = _wallet_files.read(str(base.parent), "escrow_1"), Seen("refused"), {"vendor": Seen("open")}
    assert _wallet_files.judged(files, "0" * 64, refused, opens, own_password={"vendor"})["state"] == "unknown"


def test_files_that_are_gone(tmp_path: Path) -> None:
    base = wallets.make(tmp_path / "buyer", "escrow_1", SECRET)
    Path(f"{base}.keys").unlink()
    assert _wallet_files.judged(_wallet_files.read(str(base.parent), "escrow_1"), "", None, {})["state"] == "keys_missing"
    base.unlink()
    assert _wallet_files.judged(_wallet_files.read(str(base.parent), "escrow_1"), "", None, {})["state"] == "missing"


def test_neither_secret_nor_password_leaves_it(tmp_path: Path, docker: wallets.Docker) -> None:
    base = wallets.make(tmp_path / "buyer", "escrow_1", SECRET, password="hunter2")
    seen = _wallet_proof.look({"": Copy(f"{base}.keys", str(base))}, "hunter2", place(tmp_path))
    said = json.dumps([vars(one) for one in seen.values()]) + repr(seen) + json.dumps(docker.calls)
    assert SECRET not in said and "hunter2" not in said
    again = _wallet_proof.look({"": Copy(f"{base}.keys")}, "hunter2", place(tmp_path))
    assert again[""].signer != seen[""].signer, "a hash that is the same in each look could be kept and searched for"


def test_the_throw_away_has_no_network_and_pulls_nothing(tmp_path: Path, docker: wallets.Docker) -> None:
    base = wallets.make(tmp_path / "buyer", "escrow_1", SECRET)
    _wallet_proof.look({"": Copy(f"{base}.keys")}, "", place(tmp_path))
    started = next(call for call in docker.calls if call[0] == "run")
    for pair in (["--network", "none"], ["--pull", "never"], ["--cap-drop", "ALL"], ["--log-driver", "none"]):
        assert pair in [started[at : at + 2] for at in range(len(started))]
    assert {"--rm", "--read-only", "--offline"} <= set(started)


def test_nothing_is_left_and_the_originals_are_as_they_were(tmp_path: Path, docker: wallets.Docker) -> None:
    base = wallets.make(tmp_path / "buyer", "escrow_1", SECRET)
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in base.parent.iterdir()}
    _wallet_proof.look({"": Copy(f"{base}.keys", str(base))}, "", place(tmp_path))
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in base.parent.iterdir()} == before
    assert os.listdir(tmp_path / "scratch") == ["lock"]


def test_one_that_hangs_dies_or_does_not_start_is_a_sentence_and_leaves_nothing(tmp_path: Path, docker: wallets.Docker) -> None:
    base = wallets.make(tmp_path / "buyer", "escrow_1", SECRET)
    for mood, timeout, words in (
        ("hangs", 5.0, "no answer to open_wallet"),
        ("dies", 30.0, "died of a copy"),
        ("absent", 30.0, "No such image"),
    ):
        docker.mood(mood)
        began = time.monotonic()
        with pytest.raises(NoProof, match=words):
            _wallet_proof.look({"": Copy(f"{base}.keys")}, "", place(tmp_path, timeout))
        assert time.monotonic() - began < 25
        assert os.listdir(tmp_path / "scratch") == ["lock"], mood
        assert not docker.runs, mood


def test_a_cache_that_kills_it_is_damaged(tmp_path: Path, docker: wallets.Docker) -> None:
    base = wallets.make(tmp_path / "buyer", "escrow_1", SECRET)
    arbiter = wallets.make(tmp_path / "arbiter", "escrow_1", "a" * 64)
    docker.mood("dies of the cache")
    found = judged(tmp_path, base, others={"arbiter": arbiter})
    assert (found["state"], found["signer"]["differs_from"]) == ("cache_damaged", ["arbiter"])


def test_what_a_killed_look_left_the_next_one_removes(tmp_path: Path, docker: wallets.Docker) -> None:
    base = wallets.make(tmp_path / "buyer", "escrow_1", SECRET)
    docker.mood("hangs")
    child = os.fork()
    if child == 0:
        _wallet_proof.look({"": Copy(f"{base}.keys")}, "", place(tmp_path, 60.0))
        os._exit(0)
    deadline = time.monotonic() + 20
    while not docker.runs:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert (tmp_path / "scratch/work/wallets/w0.keys").exists()
    docker.mood("")
    assert _wallet_proof.look({"": Copy(f"{base}.keys")}, "", place(tmp_path))[""].keys == "open"
    assert os.listdir(tmp_path / "scratch") == ["lock"] and not docker.runs


def test_no_room_for_copies_is_said_before_anything_is_copied(
    tmp_path: Path, docker: wallets.Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = wallets.make(tmp_path / "buyer", "escrow_1", SECRET)
    monkeypatch.setattr(_wallet_proof, "FLOOR_BYTES", 1 << 60)
    with pytest.raises(NoProof, match="name a scratch_dir with more room"):
        _wallet_proof.look({"": Copy(f"{base}.keys")}, "", place(tmp_path))
    assert os.listdir(tmp_path / "scratch") == ["lock"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", ".hidden", "a\nb"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(_wallet_files.NotAWallet):
        _wallet_files.read(str(tmp_path), name)


def test_links_and_devices_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "one.keys").symlink_to("/etc/shadow")
    with pytest.raises(_wallet_files.NotAWallet, match=r"one\.keys is a link"):
        _wallet_files.read(str(tmp_path), "one")
    os.mkfifo(tmp_path / "two.keys")
    with pytest.raises(_wallet_files.NotAWallet, match="no regular file"):
        _wallet_files.read(str(tmp_path), "two")


def test_leftovers_are_named_and_other_wallets_are_not(tmp_path: Path) -> None:
    base = wallets.make(tmp_path, "escrow_1", SECRET)
    for name in ("escrow_1.new", "escrow_1.unportable", "escrow_12.new", "escrow_1.b.keys"):
        (tmp_path / name).write_bytes(b"x")
    assert _wallet_files.read(str(tmp_path), base.name).leftovers == ("escrow_1.new", "escrow_1.unportable")
