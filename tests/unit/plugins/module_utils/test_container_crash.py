# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping a container's log or a set of files, and ending containers, killed at each of their effects: the next run completes it."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.crash import killed_at_each_effect
from unit.plugins.module_utils.test_container_stop import Engine

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _container_log as log
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _container_stop, _engine_files, _file_set
from ansible_collections.monero_marketplace.incident.plugins.module_utils._container_stop import Plan, stop

CONTAINER = {
    "Id": "a" * 64,
    "State": {"StartedAt": "2026-11-24T11:00:00Z", "FinishedAt": "2026-11-24T11:30:00Z"},
    "Config": {"Env": []},
}


def nothing(_folder: Path) -> None:
    """Nothing was kept before."""


def test_keeping_a_log(engine: Any, tmp_path: Path) -> None:
    line = "2026-11-24T11:29:59.5Z the last words\n"
    engine.does("docker_logs", f"printf '%s' '{line}'")

    def act(folder: Path) -> dict[str, Any]:
        return log.keep("server", CONTAINER, str(folder / "kept"), timeout=5.0, log_bytes=1000, dry=False)

    def converged(folder: Path, result: dict[str, Any]) -> None:
        content = Path(result["path"]).read_bytes()
        assert gzip.decompress(content).decode() == line
        assert result["sha256"] == hashlib.sha256(content).hexdigest()
        assert sorted(path.suffix for path in (folder / "kept").iterdir()) == [".gz", ".json", ".sha256"]

    effects = killed_at_each_effect(tmp_path, nothing, act, converged, also=[(log, "compress"), (log, "sha256")])
    assert effects > 5


def test_keeping_a_set_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_file_set, "_check_other_disk", lambda _paths, _folder: None)
    contents = {"shop.db": b"SQLite" * 1000, "shop.db-wal": b"frames" * 100}

    def prepare(folder: Path) -> None:
        for name, content in contents.items():
            (folder / name).write_bytes(content)

    def act(folder: Path) -> dict[str, Any]:
        return _file_set.keep([str(folder / name) for name in contents], str(folder / "kept"))

    def converged(folder: Path, result: dict[str, Any]) -> None:
        assert [Path(one["path"]).read_bytes() for one in result["kept"]] == list(contents.values())
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == contents
        assert len(list((folder / "kept").iterdir())) == 4, "two copies, each with its checksum"

    assert killed_at_each_effect(tmp_path, prepare, act, converged, also=[(_file_set, "run"), (_file_set, "seal")]) > 8


@pytest.fixture
def programs() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for program in started:
        program.kill()
        program.wait()


def test_ending_containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: list[subprocess.Popen[bytes]]) -> None:
    monkeypatch.setattr(_engine_files, "lives_in", lambda _pid, _identity: True)
    monkeypatch.setattr(_container_stop, "POLL_SECONDS", 0.01)

    def prepare(folder: Path) -> None:
        files = Engine(folder / "engine")
        for service in ("server", "monerod"):
            programs.append(subprocess.Popen(["sleep", "300"]))
            files.write(service, programs[-1].pid)

    def act(folder: Path) -> list[dict[str, Any]]:
        plan = Plan("marketplace", [["server"], ["monerod"]], {}, str(folder / "state"), through_daemon=False)
        return stop(plan, Engine(folder / "engine").alive(), lambda _line: None, lambda: True)

    def converged(folder: Path, _result: list[dict[str, Any]]) -> None:
        assert Engine(folder / "engine").alive() == []
        assert list((folder / "state").glob("*")) + list((folder / "state").glob(".*")) == []
        assert [program.wait(20) for program in programs[-2:]] == [-15, -15], "by their own signal, never by SIGKILL"

    assert killed_at_each_effect(tmp_path, prepare, act, converged, also=[(os, "kill")]) > 10
