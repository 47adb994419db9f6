# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping a log: complete, private, once."""

from __future__ import annotations

import gzip
import hashlib
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _container_log as log

CONTAINER = {
    "Id": "a" * 64,
    "State": {"StartedAt": "2026-11-24T11:00:00Z", "FinishedAt": "2026-11-24T11:30:00Z"},
    "Config": {"Env": ["DATABASE_PASSWORD=hunter2hunter2"]},
}
LINES = "2026-11-24T11:29:59.5Z the last words {{ x }}\n"


@pytest.fixture
def docker(engine: Any) -> Any:
    engine.does("docker_logs", f"printf '%s' '{LINES}'; echo '2026-11-24T11:29:58.5Z an error' >&2")
    return engine


def keep(folder: Path, **more: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"timeout": 5.0, "log_bytes": 1000, "dry": False, **more}
    return log.keep("server", CONTAINER, str(folder), **options)


def test_log_and_settings_are_kept_complete_and_private(docker: Any, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    kept = keep(folder)
    content = Path(kept["path"]).read_bytes()
    assert gzip.decompress(content).decode() in (
        LINES + "2026-11-24T11:29:58.5Z an error\n",
        "2026-11-24T11:29:58.5Z an error\n" + LINES,
    )
    assert kept["sha256"] == hashlib.sha256(content).hexdigest()
    assert kept["bytes"] == len(content) and kept["new"] and kept["note"] is None
    assert subprocess.run(["sha256sum", "-c", "--quiet", f"{kept['path']}.sha256"], cwd=folder, check=False).returncode == 0
    settings = json.loads(Path(kept["path"].replace(".log.gz", ".inspect.json")).read_text())
    assert settings["Config"]["Env"] == ["DATABASE_PASSWORD=<redacted>"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()} == {0o600}
    assert any("--timestamps" in call for call in docker.calls)


def test_the_same_state_is_kept_once(docker: Any, tmp_path: Path) -> None:
    first = keep(tmp_path / "kept")
    before = {one.name: one.stat().st_mtime_ns for one in (tmp_path / "kept").iterdir()}
    second = keep(tmp_path / "kept")
    assert second == {**first, "new": False}
    assert {one.name: one.stat().st_mtime_ns for one in (tmp_path / "kept").iterdir()} == before


def test_new_lines_are_kept_anew(engine: Any, tmp_path: Path) -> None:
    engine.does("docker_logs", "echo '2026-11-24T11:40:00Z one'")
    first = keep(tmp_path / "kept")
    engine.does("docker_logs", "echo '2026-11-24T11:50:00Z two'")
    assert keep(tmp_path / "kept")["path"] != first["path"]


def test_what_a_killed_run_left_is_replaced(docker: Any, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir(mode=0o700)
    name = log.base_name("server", CONTAINER, "2026-11-24T11:30:00Z")
    for leftover in (f"{name}.log.gz.partial", f"{name}.log.gz.sha256", f"{name}.inspect.json"):
        (folder / leftover).write_text("half")
    kept = keep(folder)
    assert kept["new"] and kept["sha256"] == hashlib.sha256(Path(kept["path"]).read_bytes()).hexdigest()
    assert not list(folder.glob("*.partial"))


def test_check_mode_touches_nothing(docker: Any, tmp_path: Path) -> None:
    kept = keep(tmp_path / "kept", dry=True)
    assert kept["new"] and kept["sha256"] is None
    assert not (tmp_path / "kept").exists()


def test_a_large_log_is_kept_since_the_last_start_and_says_so(docker: Any, tmp_path: Path) -> None:
    kept = keep(tmp_path / "kept", log_bytes=log.WHOLE_BELOW_BYTES + 1)
    assert "since its last start" in kept["note"]
    assert any("--since 2026-11-24T11:00:00Z" in call for call in docker.calls)


def test_no_room_is_found_before_anything_is_written(docker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "free_bytes", lambda _folder: log.FLOOR_BYTES + 10)
    with pytest.raises(log.NotKept, match="docker_health_keep_dir"):
        keep(tmp_path / "kept", log_bytes=1000)
    assert not (tmp_path / "kept").exists()


def test_a_disk_that_fills_up_meanwhile_stops_the_copy(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([log.FLOOR_BYTES * 10])
    monkeypatch.setattr(log, "free_bytes", lambda _folder: next(free, 0))
    engine.does("docker_logs", '[ "$2" = --tail ] || sleep 30')
    with pytest.raises(log.NotKept, match="are left"):
        keep(tmp_path / "kept")
    assert not list((tmp_path / "kept").glob("*.gz*"))


@pytest.mark.parametrize(
    ("script", "timeout", "words"), [("exit 1", 5.0, "ended with 1"), ('[ "$2" = --tail ] || sleep 30', 0.05, "longer than")]
)
def test_a_log_that_cannot_be_read_leaves_no_half_copy(
    engine: Any, tmp_path: Path, script: str, timeout: float, words: str
) -> None:
    engine.does("docker_logs", script)
    with pytest.raises(log.NotKept, match=words):
        keep(tmp_path / "kept", timeout=timeout)
    assert not list((tmp_path / "kept").glob("*.gz*"))


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(OSError):
        log.new_file(str(tmp_path / "link"))
    assert not target.exists()


def test_names_of_files_stay_names() -> None:
    assert log.base_name("../etc/x", CONTAINER, "2026-11-24T11:30:00.123Z") == f"_etc_x-{'a' * 12}-20261124113000"
    assert "/" not in log.base_name("a/b", CONTAINER, "")


def test_memory_does_not_grow_with_the_log(engine: Any, tmp_path: Path) -> None:
    engine.does("docker_logs", '[ "$2" = --tail ] || head -c 60000000 /dev/zero')
    script = (
        "import resource, sys, json\n"
        "from ansible.plugins.loader import init_plugin_loader\n"
        f"init_plugin_loader([{str(Path(__file__).resolve().parents[4] / '.collections')!r}])\n"
        "from ansible_collections.monero_marketplace.incident.plugins.module_utils import _container_log as log\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"log.keep('server', {CONTAINER!r}, {str(tmp_path / 'kept')!r}, timeout=60.0, log_bytes=60000000, dry=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(ran.stdout.split()[-1]) < 8_000  # KiB
