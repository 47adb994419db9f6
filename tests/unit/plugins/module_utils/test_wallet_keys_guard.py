# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""While the guard stands the wallets' own user opens and writes keys and cannot remove them; afterwards all is as it was."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from unit.crash import killed_at_each_effect

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_keys_guard as keys_guard
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import IncidentError

USER = 10001


@pytest.fixture(autouse=True)
def wallet_rpc(monkeypatch: pytest.MonkeyPatch) -> None:
    """One runs as that user, with its own group."""
    monkeypatch.setattr(keys_guard, "groups_of_users", lambda _directory, _uid: {USER})


# What monero-wallet-rpc does with keys and caches, and what an application may do to them.
AS_USER = """
import os, sys
os.setgroups([]); os.setgid(10001); os.setuid(10001)
os.chdir(sys.argv[1])
os.close(os.open("escrow_1.keys", os.O_RDWR | os.O_CREAT))
open("escrow_1.new", "w").close(); os.rename("escrow_1.new", "escrow_1")
open("mine.keys", "w").close(); os.unlink("mine.keys")
for what in (lambda: os.unlink("escrow_1.keys"), lambda: os.rename("escrow_1.keys", "x"), lambda: os.rename("escrow_1", "escrow_1.keys")):
    try:
        what()
    except PermissionError:
        print("refused")
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners are changed")


def wallets(folder: Path) -> Path:
    place = folder / "buyer"
    place.mkdir()
    for name in ("escrow_1", "escrow_1.keys", "escrow_2.keys"):
        (place / name).write_text(name, encoding="utf-8")
        (place / name).chmod(0o600)
        os.chown(place / name, USER, USER)
    os.chown(place, USER, USER)
    place.chmod(0o755)
    return place


def modes(place: Path) -> dict[str, tuple[int, int, int]]:
    found = {path.name: path.lstat() for path in [place, *place.iterdir()]}
    return {name: (one.st_uid, one.st_gid, stat.S_IMODE(one.st_mode)) for name, one in found.items()}


def reachable(folder: Path) -> None:
    for parent in [folder, *folder.parents]:
        if parent != Path("/") and str(parent).startswith("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)


@needs_root
def test_keys_are_used_and_not_removed(tmp_path: Path) -> None:
    place = wallets(tmp_path)
    before = modes(place)
    done = keys_guard.guard([str(place)], str(tmp_path / "state"))
    assert (len(done.changed), done.problems) == (3, [])
    reachable(tmp_path)
    said = subprocess.run([sys.executable, "-c", AS_USER, str(place)], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["refused"] * 3
    assert keys_guard.guard([str(place)], str(tmp_path / "state")).changed == []
    assert len(keys_guard.release(str(tmp_path / "state")).changed) == 3
    assert {name: mode for name, mode in modes(place).items() if name in before and name != "escrow_1"} == {
        name: mode for name, mode in before.items() if name != "escrow_1"
    }
    assert keys_guard.release(str(tmp_path / "state")).changed == []


@needs_root
def test_without_the_guard_they_could_be_removed(tmp_path: Path) -> None:
    place = wallets(tmp_path)
    reachable(tmp_path)
    said = subprocess.run([sys.executable, "-c", AS_USER, str(place)], capture_output=True, text=True, check=False)
    assert said.stdout == ""


@needs_root
def test_keys_that_came_meanwhile_are_guarded_by_the_next_call(tmp_path: Path) -> None:
    place = wallets(tmp_path)
    keys_guard.guard([str(place)], str(tmp_path / "state"))
    (place / "escrow_3.keys").write_text("new", encoding="utf-8")
    os.chown(place / "escrow_3.keys", USER, USER)
    assert keys_guard.guard([str(place)], str(tmp_path / "state")).changed == [str(place / "escrow_3.keys")]
    keys_guard.release(str(tmp_path / "state"))
    assert {mode[0] for mode in modes(place).values()} == {USER}


@needs_root
def test_killed_anywhere_the_owners_of_before_come_back(tmp_path: Path) -> None:
    def act(folder: Path) -> keys_guard.Done:
        return keys_guard.guard([str(folder / "buyer")], str(folder / "state"))

    def converged(folder: Path, _done: keys_guard.Done) -> None:
        assert modes(folder / "buyer")["escrow_1.keys"] == (0, USER, 0o660)
        keys_guard.release(str(folder / "state"))
        assert modes(folder / "buyer")["escrow_1.keys"] == (USER, USER, 0o600)
        assert modes(folder / "buyer")["buyer"] == (USER, USER, 0o755)

    assert killed_at_each_effect(tmp_path, wallets, act, converged, also=[(os, "fchown")]) > 8


@needs_root
def test_killed_while_it_is_released_the_next_call_ends_it(tmp_path: Path) -> None:
    def prepare(folder: Path) -> None:
        wallets(folder)
        keys_guard.guard([str(folder / "buyer")], str(folder / "state"))

    def converged(folder: Path, _done: keys_guard.Done) -> None:
        assert {name: mode[0] for name, mode in modes(folder / "buyer").items()}["escrow_1.keys"] == USER
        assert modes(folder / "buyer")["buyer"] == (USER, USER, 0o755)

    def act(folder: Path) -> keys_guard.Done:
        return keys_guard.release(str(folder / "state"))

    assert killed_at_each_effect(tmp_path, prepare, act, converged, also=[(os, "fchown")]) > 5


@needs_root
def test_a_folder_of_roots_is_said_to_be_unguarded(tmp_path: Path) -> None:
    place = tmp_path / "buyer"
    place.mkdir()
    done = keys_guard.guard([str(place)], str(tmp_path / "state"))
    assert done.changed == []
    assert "not guarded" in done.problems[0]


@needs_root
def test_a_link_is_refused(tmp_path: Path) -> None:
    place = wallets(tmp_path)
    os.symlink("/etc/passwd", place / "evil.keys")
    with pytest.raises(IncidentError, match="neither a file"):
        keys_guard.guard([str(place)], str(tmp_path / "state"))


def test_in_check_mode_nothing_changes(tmp_path: Path) -> None:
    place = tmp_path / "buyer"
    place.mkdir()
    (place / "escrow_1.keys").touch()
    if os.geteuid() == 0:
        os.chown(place, USER, USER)
    before = modes(place)
    assert keys_guard.guard([str(place)], str(tmp_path / "state"), write=False).changed
    assert modes(place) == before
    assert not (tmp_path / "state").exists()


@needs_root
@pytest.mark.parametrize("gid", [0, 100])
def test_a_folder_of_another_group_is_guarded_by_one_of_the_wallet_rpcs_own(tmp_path: Path, gid: int) -> None:
    place = wallets(tmp_path)
    for path in (place, place / "escrow_1.keys"):
        os.chown(path, USER, gid)
    before = modes(place)
    assert keys_guard.guard([str(place)], str(tmp_path / "state")).problems == []
    assert modes(place)["buyer"][:2] == modes(place)["escrow_1.keys"][:2] == (0, USER)
    reachable(tmp_path)
    said = subprocess.run([sys.executable, "-c", AS_USER, str(place)], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["refused"] * 3
    assert keys_guard.guard([str(place)], str(tmp_path / "state")).changed == []
    keys_guard.release(str(tmp_path / "state"))
    assert modes(place)["escrow_1.keys"] == before["escrow_1.keys"] and modes(place)["buyer"][1] == gid


@needs_root
@pytest.mark.parametrize(("groups", "why"), [(None, "no container runs"), ({4242}, "deploy")])
def test_where_no_group_fits_they_are_left_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: set[int] | None, why: str
) -> None:
    place = wallets(tmp_path)
    before = modes(place)
    deploy = pwd.struct_passwd(("deploy", "x", 1000, 4242, "", "/", "/bin/sh"))
    monkeypatch.setattr(keys_guard.pwd, "getpwall", lambda: [deploy])
    done = keys_guard.guard([str(place)], str(tmp_path / "state"), groups_of=lambda _directory, _uid: groups)
    assert done.changed == [] and modes(place) == before and why in done.problems[0] and "not guarded" in done.problems[0]


@needs_root
def test_the_groups_are_those_of_the_process_in_a_container_that_sees_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    place = wallets(tmp_path)
    reachable(tmp_path)
    code = "import os, sys; os.setgroups([4242, 77]); os.setgid(4343); os.setuid(10001); print('ready', flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        assert keys_guard.groups_of_users(str(place), USER) is None, "it is in no container"
        real = keys_guard._told
        inside = {
            (str(child.pid), "cgroup"): f"0::/docker/{'a' * 64}\n",
            (str(child.pid), "mountinfo"): f"1 2 0:3 / {tmp_path} rw\n",
        }
        monkeypatch.setattr(keys_guard, "_told", lambda pid, name: inside.get((pid, name)) or real(pid, name))
        assert keys_guard.groups_of_users(str(place), USER) == {4242, 77, 4343}
        assert keys_guard.groups_of_users("/usr", USER) is None and keys_guard.groups_of_users(str(place), 10002) is None
    finally:
        child.kill()
        child.communicate()


@needs_root
def test_no_right_of_a_file_becomes_roots(tmp_path: Path) -> None:
    place = wallets(tmp_path)
    for name, mode in (("program.keys", 0o4755), ("group.keys", 0o2755)):
        (place / name).write_text("ELF", encoding="utf-8")
        os.chown(place / name, USER, USER)
        (place / name).chmod(mode)
    (place / "strangers.keys").write_text("x", encoding="utf-8")
    os.chown(place / "strangers.keys", 12345, 12345)
    os.link(place / "escrow_1", place / "linked.keys")
    done = keys_guard.guard([str(place)], str(tmp_path / "state"))
    unguarded = {"program.keys", "group.keys", "strangers.keys", "linked.keys"}
    assert {Path(one.split()[0]).name for one in done.problems} == unguarded
    assert {name for name in os.listdir(place) if (place / name).stat().st_uid == 0} == {"escrow_1.keys", "escrow_2.keys"}
    assert not keys_guard.guard([str(place)], str(tmp_path / "state")).changed
    keys_guard.release(str(tmp_path / "state"))
    assert (place / "escrow_1.keys").stat().st_uid == USER


@needs_root
def test_rights_that_a_file_gets_in_between_are_not_kept(tmp_path: Path) -> None:
    """Between the look and the change its owner may do what he likes."""
    place = wallets(tmp_path)
    (place / "escrow_1.keys").chmod(0o4755)
    keys_guard._set(str(place / "escrow_1.keys"), 0, USER, 0o660)
    assert stat.S_IMODE((place / "escrow_1.keys").stat().st_mode) == 0o660
    os.chown(place / "escrow_1.keys", USER, USER)
    (place / "escrow_1.keys").chmod(0o4755)
    keys_guard._set(str(place / "escrow_1.keys"), 0, USER, 0o4755)
    assert stat.S_IMODE((place / "escrow_1.keys").stat().st_mode) == 0o755
