# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Full disks, read-only disks, files of a wrong owner: what the host says about them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _look_disk,
    _look_files,
    _look_mounts,
    _look_storage,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_parse import Declared, project

MOUNTINFO = r"""
1069 993 0:322 / / rw,relatime master:132 - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir=/x/diff,workdir=/x/work
1086 1069 7:10 / /data ro,noatime - ext4 /dev/loop10 ro
1087 1069 7:11 / /with\040space rw,noatime shared:4 - ext4 /dev/loop11 rw
1088 1069 7:12 / /bound ro,noatime - ext4 /dev/loop12 rw
half a line
1094 1069 7:9 / /data rw,noatime shared:160 master:1 - ext4 /dev/loop9 rw,errors=remount-ro
"""
US = os.getuid()


def proc_with(tmp_path: Path, mountinfo: str) -> str:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(mountinfo)
    return str(tmp_path / "proc")


def test_mounts_as_the_kernel_tells_them(tmp_path: Path) -> None:
    table = _look_mounts.mounts(proc_with(tmp_path, MOUNTINFO))
    assert [(one.point, one.read_only) for one in table] == [
        ("/", False), ("/data", True), ("/with space", False), ("/bound", True), ("/data", False),
    ]  # fmt: skip
    assert table[0].upper == "/x/diff" and table[0].device == os.makedev(0, 322)
    assert _look_mounts.mounts(str(tmp_path / "nowhere")) == []


def test_of_two_mounts_at_one_point_the_upper_one_counts(tmp_path: Path) -> None:
    table = _look_mounts.mounts(proc_with(tmp_path, MOUNTINFO))
    here = _look_mounts.mount_at("/data", table)
    assert here is not None and here.source == "/dev/loop9"
    assert _look_mounts.mount_at("/nowhere", table) is None


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ("[ 1.5] EXT4-fs (loop10): re-mounted 01b9 ro.\n[ 2.0] eth0: up", "EXT4-fs (loop10): re-mounted 01b9 ro."),
        ("[ 1.5] EXT4-fs error (device loop10): bad\n[ 2.5] EXT4-fs (loop10): Remounting filesystem read-only",
         "EXT4-fs (loop10): Remounting filesystem read-only"),
        ("1795521202.5 market kernel: EXT4-fs error (device loop10): \x1b[31mbad", "market kernel: EXT4-fs error (device loop10): bad"),
        ("[ 1.5] EXT4-fs (loop10): re-mounted 01b9 r/w.", None),
        ("[ 1.5] EXT4-fs error (device loop101): another device", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_kernels_word_on_a_device(log: str, why: str | None) -> None:
    assert _look_mounts.why_read_only(log, "/dev/loop10") == why


def make_files(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / str(number)).touch()


def test_the_folder_with_the_most_entries(tmp_path: Path) -> None:
    make_files(tmp_path / "a/b", 10)
    make_files(tmp_path / "a/c/cache", 300)
    assert _look_disk.crowded_folder(str(tmp_path)) == {"path": f"{tmp_path}/a/c/cache", "entries": 300, "complete": True}


def test_many_folders_of_few_files_are_one_crowd(tmp_path: Path) -> None:
    make_files(tmp_path / "other", 5)
    for number in range(40):
        make_files(tmp_path / f"sessions/{number:02d}", 5)
    found = _look_disk.crowded_folder(str(tmp_path))
    assert found is not None and (found["path"], found["entries"]) == (f"{tmp_path}/sessions", 240)


def test_a_walk_without_time_says_that_it_is_incomplete(tmp_path: Path) -> None:
    make_files(tmp_path / "a", 3)
    found = _look_disk.crowded_folder(str(tmp_path), seconds=-1)
    assert found is not None and not found["complete"]
    assert _look_disk.crowded_folder(str(tmp_path / "nowhere")) is None


def test_a_folder_in_a_containers_own_layer() -> None:
    nginx: dict[str, Any] = {
        "GraphDriver": {"Data": {"UpperDir": "/o/abc/diff"}},
        "Config": {"Labels": {"com.docker.compose.service": "nginx"}},
    }
    assert _look_disk.in_container("/o/abc/diff/var/cache", [{}, nginx]) == ("nginx", "/var/cache")
    assert _look_disk.in_container("/o/abc/different", [nginx]) is None
    assert _look_disk.in_container("/o/abc/diff/var", [{"GraphDriver": {"Data": None}}]) is None


def test_a_deleted_file_that_is_held_open(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with path.open("ab") as log:
        log.write(b"x" * 300_000)
        log.flush()
        os.fsync(log.fileno())
        path.unlink()
        mount = str(tmp_path)
        found = _look_disk.deleted_files([mount], [], least=200_000)
        ours = next(one for one in found if one["pid"] == os.getpid())
        assert (ours["path"], ours["fd"], ours["appends"], ours["mount"]) == (str(path), log.fileno(), True, mount)
        assert ours["bytes"] >= 300_000
        assert not [one for one in _look_disk.deleted_files([mount], []) if one["pid"] == os.getpid()], "too small to matter"
        assert _look_disk.deleted_files([], [], least=1) == [], "on no disk that is asked about"
    assert not [one for one in _look_disk.deleted_files([mount], [], least=1) if one["path"] == str(path)]


@pytest.mark.parametrize(
    ("user", "wanted"),
    [("10001:10002", (10001, 10002)), ("10001", (10001, None)), ("nginx", None), ("10001:www", None), ("", None), (None, None)],
)
def test_only_numbers_name_a_user_outside_of_the_image(user: str | None, wanted: object) -> None:
    assert _look_files.numeric_user(user) == wanted


STRANGER = (US + 4711, None)


def closed(folder: Path, user: tuple[int, int | None] = STRANGER, database: str = "") -> dict[str, dict[str, Any]]:
    found = _look_files.closed_files(user, [{"source": str(folder), "writable": True}], database)
    return {os.path.basename(one["path"]): one for one in found}


def test_the_database_must_be_writable_with_its_sidecars(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    database = tmp_path / "shop.db"
    for name in ("shop.db", "shop.db-wal", "shop.db-shm", "notes.txt"):
        (tmp_path / name).touch(0o644)
    (tmp_path / "shop.db-wal").chmod(0o666)
    found = closed(tmp_path, database=str(database))
    assert sorted(found) == ["shop.db", "shop.db-shm"], "others may read notes.txt, which is all that is known to be needed"
    one = found["shop.db"]
    assert one["found"] == f"{US}:{os.getgid()} 0644"
    assert (one["owner"], one["group"], one["mode"], one["needed"]) == (STRANGER[0], None, "u+rw", True)


def test_a_file_that_cannot_be_read_is_told_but_not_claimed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "backup.gpg").touch(0o600)
    (tmp_path / "lost+found").mkdir(mode=0o700)
    found = closed(tmp_path)
    assert [(name, one["needed"]) for name, one in found.items()] == [("backup.gpg", False)]


def test_a_folder_that_was_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "blocks").mkdir()
    tmp_path.chmod(0o555)
    found = closed(tmp_path, user=(US, None))
    assert [(one["path"], one["mode"]) for one in found.values()] == ([(str(tmp_path), "u+rwx")] if US else [])
    assert closed(tmp_path) == {}, "nothing in it belongs to this user, so it need not write there"


def test_what_is_read_only_by_design_is_no_finding(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(0o600)
    assert _look_files.closed_files(STRANGER, [{"source": str(tmp_path), "writable": False}], "") == []
    gone = [{"source": str(tmp_path / "gone"), "writable": True}]
    assert _look_files.closed_files(STRANGER, gone, "") == []


def test_folders_of_a_service_by_its_container_else_by_its_declaration() -> None:
    declared = Declared("server", "x", binds=[{"source": "/data", "writable": True}])
    mounts = [
        {"Type": "bind", "Source": "/data", "RW": False},
        {"Type": "volume", "Source": "/var/lib/docker/volumes/a/_data", "RW": True},
        {"Type": "tmpfs", "Source": "", "RW": True},
    ]
    assert _look_storage.binds_of(declared, []) == declared.binds
    assert [one["writable"] for one in _look_storage.binds_of(declared, [{"Mounts": mounts}])] == [False, True]


def test_what_the_compose_file_says_about_users_and_folders(recorded: Any) -> None:
    services = project(recorded("compose_config.json")).services
    assert services["server"].user == "10001:10001"
    assert {"source": "/data", "writable": True} in services["server"].binds


def test_a_read_only_disk_matters_to_those_who_write_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = _look_mounts.mounts(proc_with(tmp_path, MOUNTINFO.replace("7:9 / /data", "7:9 / /backups")))
    monkeypatch.setattr(_look_storage, "mount_of", lambda path: path)
    monkeypatch.setattr(_look_storage, "read_kernel_log", lambda _timeout: "[ 1.5] EXT4-fs (loop10): re-mounted 01b9 ro.")
    disk = [{"mount": mount} for mount in ("/var/lib/docker", "/data", "/bound")]
    binds = {
        "server": [{"source": "/data", "writable": True}],
        "reader": [{"source": "/data", "writable": False}, {"source": "/bound", "writable": False}],
    }
    found = _look_storage._read_only(disk, table, binds, "", 1.0)
    assert [(one["mount"], one["services"]) for one in found] == [("/data", ["server"])]
    assert found[0]["why"] == "EXT4-fs (loop10): re-mounted 01b9 ro."


def test_a_healthy_host_is_asked_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_arguments: object, **_options: object) -> None:
        raise AssertionError("asked though nothing is wrong")

    for owner, name in ((_look_disk, "crowded_folder"), (_look_disk, "deleted_files"), (_look_files, "closed_files")):
        monkeypatch.setattr(owner, name, never)
    monkeypatch.setattr(_look_storage, "read_kernel_log", never)
    disk = [{"mount": "/", "used_percent": 79.0, "inodes_used_percent": None}]
    found = _look_storage.look(disk, {"a": Declared("a", "x")}, {}, sick=False, database="", timeout=1.0, state_dir="/nowhere")
    assert found == {"crowded": [], "deleted": [], "read_only": [], "closed": {}, "users": {}, "stale": {}, "mended": []}


def running(pid: int, **more: Any) -> dict[str, Any]:
    mounts = [
        {"Destination": "/bound", "Source": "/data/x", "RW": True},
        {"Destination": "/data", "Source": "/data", "RW": True},
    ]
    return {"State": {"Running": True, "Pid": pid}, "Mounts": mounts, **more}


def test_a_container_that_was_started_on_a_read_only_disk(tmp_path: Path) -> None:
    line = "1 2 7:10 /x /bound ro,noatime - ext4 /dev/loop10 rw\n"
    for pid, text in ((1, line), (2, line.replace("loop10 rw", "loop10 ro")), (3, line.replace(" ro,", " rw,"))):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "mountinfo").write_text(text)
    by_service = {"wallet": [running(1)], "all-read-only": [running(2)], "well": [running(3)], "gone": [running(4)]}
    assert _look_storage._stale(by_service, str(tmp_path)) == {"wallet": ["/data/x"]}
    meant = [{"Destination": "/bound", "Source": "/data/x", "RW": False}]
    assert _look_storage._stale({"reader": [running(1, Mounts=meant)]}, str(tmp_path)) == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            '{"attempts": [{"action": "remount own:server,database", "at": 990}]}',
            [(None, 990), ("server", 990), ("database", 990)],
        ),
        ('{"attempts": [{"action": "own:server", "at": -9000}, {"action": "start:server", "at": 990}]}', []),
        ('{"attempts": [{"action": "remount"}]}', []),
        ("half a", []),
        ("[]", []),
    ],
)
def test_what_earlier_runs_began_to_mend(tmp_path: Path, text: str, found: list[tuple[str | None, float]]) -> None:
    (tmp_path / "attempts.json").write_text(text)
    assert [(one["service"], one["at"]) for one in _look_storage._mended(str(tmp_path), 1000.0)] == found
    assert _look_storage._mended(str(tmp_path / "nowhere"), 1000.0) == []


def test_files_of_a_user_whom_another_one_shares_them_with(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "shop.db").touch(0o600)
    users = {"server": STRANGER[0], "archiver": STRANGER[0] + 1, "reader": STRANGER[0] + 2, "root": 0}
    declared = {name: Declared(name, "x", user=str(uid)) for name, uid in users.items()}
    binds = {name: [{"source": str(tmp_path), "writable": name != "reader"}] for name in users}
    found = _look_storage._closed(declared, {}, binds, str(tmp_path / "shop.db"))
    assert found["server"][0]["others"] == ["archiver"], "root may do anything anyway"
