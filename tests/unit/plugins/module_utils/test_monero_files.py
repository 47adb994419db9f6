# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wallet's files, and who holds them: with real locks of real processes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _engine_files, _monero_files

HOLD = "import fcntl, sys; f = open(sys.argv[2], 'r+'); getattr(fcntl, sys.argv[1])(f, fcntl.LOCK_EX); print('held', flush=True); input()"


@contextmanager
def held(path: Path, how: str) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, how, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        yield holder.pid
        holder.communicate(b"\n")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("escrow_1.keys", "escrow_1", "escrow_2.keys", "escrow_2", "escrow_1.address.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("how", ["flock", "lockf"])
def test_a_lock_names_its_process(directory: Path, how: str) -> None:
    """Builds of Monero differ in which of the two kinds of lock they take."""
    with held(directory / "escrow_2.keys", how) as pid:
        found = _monero_files.look(str(directory), "")
        assert found is not None
        assert (found["open_wallet"], found["wallet"]) == ("escrow_2", "escrow_2")
        assert found["lock"] == {"pid": pid, "command": os.path.basename(sys.executable), "container": None, "ours": None}
        assert found["keys"]["sha256"] == hashlib.sha256(b"escrow_2.keys").hexdigest()
    after = _monero_files.look(str(directory), "")
    assert after is not None and (after["open_wallet"], after["lock"], after["keys"]) == (None, None, None)


def test_a_lock_of_another_container_is_nobody_s_open_wallet(directory: Path) -> None:
    with held(directory / "escrow_1.keys", "flock"):
        found = _monero_files.look(str(directory), "escrow_1", container_id="a" * 64)
    assert found is not None and found["open_wallet"] is None and found["lock"]["ours"] is False


def test_a_lock_on_another_wallet_keeps_nobody_from_the_wanted_one(directory: Path) -> None:
    with held(directory / "escrow_2.keys", "flock"):
        found = _monero_files.look(str(directory), "escrow_1", container_id="a" * 64)
        any_of_them = _monero_files.look(str(directory), "", container_id="a" * 64)
    assert found is not None and found["lock"] is None and found["locked"] == ["escrow_2"]
    assert any_of_them is not None and any_of_them["lock"]["ours"] is False


def test_a_wallet_that_was_opened_twice_is_open_without_its_lock(directory: Path) -> None:
    """As 0.18.0.0 leaves it: closing the first descriptor gave up the process's only lock."""
    twice = "import fcntl, sys; a = open(sys.argv[1], 'r+'); b = open(sys.argv[1], 'r+'); fcntl.lockf(b, fcntl.LOCK_EX); a.close(); "
    with subprocess.Popen(
        [sys.executable, "-c", twice + "print(flush=True); input()", str(directory / "escrow_1.keys")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as holder:  # fmt: skip
        assert holder.stdout and holder.stdout.readline() == b"\n"
        assert (_monero_files.look(str(directory), "escrow_1") or {})["open_wallet"] is None
        found = _monero_files.look(str(directory), "escrow_1", pids=[holder.pid])
        holder.communicate(b"\n")
    assert found is not None and found["open_wallet"] == "escrow_1" and found["lock"] is None


def test_the_wanted_wallet_is_shown_while_another_is_open(directory: Path) -> None:
    with held(directory / "escrow_2.keys", "lockf"):
        found = _monero_files.look(str(directory), "escrow_1")
    assert found is not None and (found["open_wallet"], found["wallet"], found["lock"]) == ("escrow_2", "escrow_1", None)
    assert found["address_file"] and found["cache"]["size"] == 8


def test_what_was_left_over_is_named(directory: Path) -> None:
    (directory / "escrow_1.new").touch()
    (directory / "monero-wallet-rpc.18082.login").touch()
    (directory / "escrow_1").unlink()
    found = _monero_files.look(str(directory), "escrow_1")
    assert found is not None and found["leftovers"] == ["escrow_1.new"] and found["cache"]["exists"] is False
    assert found["login_files"] == [str(directory / "monero-wallet-rpc.18082.login")]


def test_a_link_is_no_wallet_and_no_directory_is_unknown(directory: Path) -> None:
    (directory / "escrow_3.keys").symlink_to("/etc/passwd")
    found = _monero_files.look(str(directory), "escrow_3")
    assert found is not None and found["keys"]["exists"] is False and found["keys"]["sha256"] is None
    assert _monero_files.look("/nonexistent", "escrow_1") is None


def test_lines_of_the_kernel() -> None:
    text = (
        "1: FLOCK  ADVISORY  WRITE 97 07:06:36 0 EOF\n"
        "3: POSIX  ADVISORY  WRITE 2236 fd:1c:24 0 EOF\n"
        "3: -> POSIX  ADVISORY  WRITE 5 fd:1c:24 0 EOF\n"
        "11: OFDLCK ADVISORY  READ -1 00:146:5 0 EOF\n"
        "12: LEASE  ACTIVE    READ 5 00:1:2 0 EOF\nnonsense\n"
    )
    assert [(lock.pid, lock.device, lock.inode) for lock in _monero_files.locks(text)] == [
        (97, (7, 6), 36),
        (2236, (0xFD, 0x1C), 24),
        (-1, (0, 0x146), 5),
    ]


def test_a_container_of_no_project_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "containers" / ("b" * 64)).mkdir(parents=True)
    (tmp_path / "containers" / ("b" * 64) / "config.v2.json").write_text('{"ID": "x", "Name": "/wallet-check"}')
    assert _engine_files.name_of(str(tmp_path), "b" * 64) == "wallet-check"
    assert _engine_files.name_of(str(tmp_path), "c" * 64) == ""
