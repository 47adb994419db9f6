# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes count as left at work."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_processes as processes

PROJECT = "/opt/marketplace/4.5/docker"
COMMANDS = [
    (["docker", "compose", "start", "server"], True),
    (["/usr/bin/docker", "compose", "--ansi", "never", "--progress", "json", "--project-directory", PROJECT, "restart", "server"], True),
    (["docker", "compose", "up", "--detach", "--no-color"], True),
    (["docker", "compose", "up", "-d"], True),
    (["docker-compose", "compose", "stop"], True),
    (["docker-compose", "-p", "marketplace", "down"], True),
    (["docker", "compose", "up"], False),
    (["docker", "compose", "logs", "-f", "server"], False),
    (["docker", "compose", "ps"], False),
    (["docker", "start", "server"], False),
    (["docker", "--context", "compose", "ps"], False),
    (["vi", "compose", "start"], False),
    (["docker"], False),
    ([], False),
]  # fmt: skip


@pytest.mark.parametrize("words, changes", COMMANDS)
def test_compose_commands(words, changes):
    assert (processes.compose_command(words) is not None) is changes


def test_for_which_project(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    other = str(tmp_path)
    up = ["docker", "compose", "start"]
    assert processes.works_on(up, str(project), str(project))
    assert not processes.works_on(up, other, str(project))
    assert processes.works_on(["docker", "compose", f"--project-directory={project}", "start"], other, str(project))
    assert processes.works_on(["docker", "compose", "--project-directory", "project", "start"], other, str(project))
    assert processes.works_on(["docker", "compose", "-f", "project/compose.yml", "start"], other, str(project))
    assert not processes.works_on(["docker", "compose", "-f", "/elsewhere/compose.yml", "start"], str(project), str(project))


@pytest.fixture
def compose(tmp_path: Path):
    """Something that looks like `docker compose restart` at work in a project."""
    project = tmp_path / "project"
    project.mkdir()
    process = subprocess.Popen(
        ["docker", "-c", "read line", "compose"], executable="/bin/sh", stdin=subprocess.PIPE, cwd=project
    )
    yield project, process
    process.kill()
    process.communicate()


def test_left_at_work_is_found_with_its_start(compose, monkeypatch):
    project, process = compose
    words = ["docker", "compose", "restart", "server"]
    real = processes.arguments
    monkeypatch.setattr(processes, "arguments", lambda pid: words if pid == process.pid else real(pid))
    deadline = time.monotonic() + 20
    while not processes.left_at_work(str(project)) and time.monotonic() < deadline:
        os.sched_yield()
    found = processes.left_at_work(str(project))
    assert [(item["pid"], item["command"]) for item in found] == [(process.pid, "docker compose restart server")]
    assert abs(found[0]["started"] - time.time()) < 60
    assert processes.left_at_work("/") == []


def test_whoever_started_us_is_not_left_at_work(monkeypatch):
    monkeypatch.setattr(processes, "arguments", lambda pid: ["docker", "compose", "restart"] if pid == os.getppid() else [])
    assert processes.left_at_work(os.readlink(f"/proc/{os.getppid()}/cwd")) == []


def test_a_zombie_is_gone():
    process = subprocess.Popen(["true"])
    deadline = time.monotonic() + 20
    while processes.start_ticks(process.pid) is not None and time.monotonic() < deadline:
        os.sched_yield()
    assert processes.start_ticks(process.pid) is None
    process.wait()


def test_a_pid_is_the_same_process_only_with_the_same_start():
    assert processes.start_ticks(os.getpid()) == processes.start_ticks(os.getpid())
    assert processes.start_ticks(os.getpid()) != processes.start_ticks(1)
    assert abs(processes.started_at(os.getpid()) - time.time()) < 3600
