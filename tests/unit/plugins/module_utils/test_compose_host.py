# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host itself knows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_host as host

KILLED = "e98f7df9ea85c9a540e407aa7749d003fa7f2cb363f2d85b8e897b7c4caa6eaf"
OUTER = "07ef75ada4013b3d93c7f712a3736c93768014df8efaaaaa96cd6566ec7b3304"


def test_units_as_systemd_tells_them(recorded: Callable[[str], str]) -> None:
    assert host.unit_states(recorded("systemctl_show.txt")) == {"docker": "active", "socket": "active"}
    absent = "Id=docker.service\nLoadState=not-found\nActiveState=inactive\n"
    assert host.unit_states(absent) == {"docker": None, "socket": None}
    assert host.unit_states("") == {"docker": None, "socket": None}


@pytest.mark.parametrize(
    ("docker", "socket", "awakened"),
    [
        ("inactive", "active", True),
        ("failed", "active", True),
        ("inactive", "inactive", False),
        ("active", "active", False),
        ("activating", "active", False),
        (None, None, False),
    ],
)
def test_a_question_that_would_start_the_daemon(docker: str | None, socket: str | None, awakened: bool) -> None:
    assert host.would_be_awakened({"docker": docker, "socket": socket}) is awakened


def test_the_kernels_line_names_the_container(recorded: Callable[[str], str]) -> None:
    kills = host.memory_kills(recorded("dmesg_out_of_memory.txt"), booted_at=1000.0)
    assert len(kills) == 1
    assert kills[0]["containers"] == sorted([OUTER, KILLED])
    assert kills[0]["at"] == pytest.approx(4566.487868)
    assert host.memory_evidence(kills, KILLED, 4560.0, 4567.0)
    assert host.memory_evidence(kills, "0" * 64, 4560.0, 4567.0) is None


def test_a_line_about_an_earlier_or_later_run_proves_nothing(recorded: Callable[[str], str]) -> None:
    kills = host.memory_kills(recorded("dmesg_out_of_memory.txt"), booted_at=1000.0)
    assert host.memory_evidence(kills, KILLED, 4600.0, 4700.0) is None
    assert host.memory_evidence(kills, KILLED, 4000.0, 4500.0) is None
    assert host.memory_evidence(kills, KILLED, 4560.0, None)
    # It runs again, so the time at which it ended is that of the run before.
    assert host.memory_evidence(kills, KILLED, 4560.0, 4100.0)


def test_the_journals_line_and_old_kernels() -> None:
    line = f"1795521202.5 market kernel: oom-kill:constraint=X,oom_memcg=/system.slice/docker-{KILLED}.scope,task=python3"
    assert host.memory_kills(line, 0.0)[0]["at"] == 1795521202.5
    old = f"[   12.0] Task in /docker/{KILLED} killed as a result of limit of /docker/{KILLED}"
    assert host.memory_kills(old, 0.0)[0]["containers"] == [KILLED]
    assert host.memory_kills("[   12.0] Out of memory: Killed process 1 (x)", 0.0) == []


@pytest.mark.parametrize(
    ("cgroup", "container"),
    [
        (f"5:memory:/docker/{OUTER}/docker/{KILLED}\n", KILLED),
        (f"0::/system.slice/docker-{KILLED}.scope\n", KILLED),
        (f"0::/user.slice/user-1000.slice/user@1000.service/docker-{KILLED}.scope/init\n", KILLED),
        ("0::/init.scope\n", None),
        ("", None),
    ],
)
def test_the_container_of_a_process(cgroup: str, container: str | None) -> None:
    assert host.container_of(cgroup) == container


def test_stopped_processes_by_container(tmp_path: Path) -> None:
    def process(pid: int, state: str, command: str, cgroup: str) -> None:
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "stat").write_text(f"{pid} ({command}) {state} 1 1 1\n")
        (folder / "cgroup").write_text(cgroup)

    process(7, "T", "a (strange) T name", f"0::/docker/{KILLED}\n")
    process(5, "T", "server", f"0::/docker/{KILLED}\n")
    process(8, "S", "sleeps", f"0::/docker/{KILLED}\n")
    process(9, "t", "traced", f"0::/docker/{KILLED}\n")
    process(10, "T", "somebody's shell", "0::/user.slice\n")
    (tmp_path / "11").mkdir()
    assert host.stopped_processes(str(tmp_path)) == {
        KILLED: [{"pid": 5, "command": "server"}, {"pid": 7, "command": "a (strange) T name"}]
    }


def test_a_really_stopped_process_is_seen() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        stat = Path(f"/proc/{child.pid}/stat").read_text()
        assert stat.rpartition(")")[2].split()[0] == "T"
    finally:
        child.kill()
        child.wait()


def test_file_systems(tmp_path: Path) -> None:
    found = host.filesystem(str(tmp_path), "site")
    assert 0 < found["used_percent"] <= 100
    assert found["available_bytes"] < found["size_bytes"]
    assert os.path.ismount(found["mount"])
    missing = host.filesystem(str(tmp_path / "absent"), "site")
    assert missing["used_percent"] is None and missing["mount"] is None


def test_the_engines_folder_while_it_does_not_answer(tmp_path: Path) -> None:
    settings = tmp_path / "daemon.json"
    assert host.engine_root("/d", str(settings)) == "/d"
    settings.write_text(json.dumps({"data-root": "/srv/docker"}))
    assert host.engine_root("/d", str(settings)) == "/srv/docker"
    settings.write_text("{")
    assert host.engine_root("/d", str(settings)) == "/d"
    settings.write_text('{"data-root": 5}')
    assert host.engine_root("/d", str(settings)) == "/d"


def test_log_sizes(tmp_path: Path) -> None:
    log = tmp_path / "x-json.log"
    log.write_bytes(b"12345")
    assert host.log_bytes(str(log)) == 5
    assert host.log_bytes(str(tmp_path / "absent")) is None
    assert host.log_bytes(None) is None


def test_containers_that_outlived_their_daemon(tmp_path: Path) -> None:
    commands = {
        "10": b"/usr/bin/containerd-shim-runc-v2\0-namespace\0moby\0-id\0abc\0",
        "11": b"/usr/bin/containerd-shim-runc-v2\0-namespace\0k8s.io\0-id\0def\0",
        "12": b"python3\0-m\0marketplace\0",
        "self": b"",
    }
    for pid, command in commands.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_bytes(command)
    assert host.live_containers(str(tmp_path)) == 1
