# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archiving a log: no line lost, no pause left behind, whenever it is ended."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _container_log
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _container_log_archive as archive
from ansible_collections.monero_marketplace.incident.plugins.module_utils._container_log import NotKept

ID = "a" * 64


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "x-json.log"
    path.write_bytes(b'{"log":"a line"}\n' * 20_000)
    return path


@pytest.fixture
def docker(engine: Any, tmp_path: Path) -> Any:
    """A docker that pauses: a file stands for the state."""
    mark = tmp_path / "paused"
    engine.does("docker_pause", f"touch {mark}; [ ! -e {tmp_path}/at_pause ] || sh {tmp_path}/at_pause")
    engine.does("docker_unpause", f"[ -e {mark} ] && rm {mark}")
    engine.does("docker_inspect", f"[ -e {mark} ] && echo true || echo false")
    return engine


def container(log: Path, running: bool = True, paused: bool = False) -> dict[str, Any]:
    return {"Id": ID, "LogPath": str(log), "State": {"Running": running, "Paused": paused}}


def run(log: Path, tmp_path: Path, **more: Any) -> dict[str, Any]:
    return archive.archive("server", container(log, **more), str(tmp_path / "kept"), str(tmp_path / "state"), timeout=60.0)


def verbs(docker: Any) -> list[str]:
    return [call.split()[1] for call in docker.calls if call.split()[1] in ("pause", "unpause")]


def journal(tmp_path: Path) -> Path:
    return tmp_path / "state" / archive.JOURNAL


def test_the_log_is_moved_and_the_pause_undone(docker: Any, log: Path, tmp_path: Path) -> None:
    content = log.read_bytes()
    inode = log.stat().st_ino
    done = run(log, tmp_path)
    assert gzip.decompress(Path(done["path"]).read_bytes()) == content
    assert (log.stat().st_size, log.stat().st_ino) == (0, inode)
    assert done["freed_bytes"] == len(content)
    assert verbs(docker) == ["pause", "unpause"]
    assert done["paused_seconds"] > 0
    assert not journal(tmp_path).exists()
    assert sorted(one.suffix for one in (tmp_path / "kept").iterdir()) == [".gz", ".sha256"]


def test_what_is_written_until_the_pause_is_in_the_archive(docker: Any, log: Path, tmp_path: Path) -> None:
    (tmp_path / "at_pause").write_text(f"printf 'the last line before the pause' >> {log}")
    content = log.read_bytes()
    done = run(log, tmp_path)
    assert gzip.decompress(Path(done["path"]).read_bytes()) == content + b"the last line before the pause"


@pytest.mark.parametrize("state", [{"running": False}, {"running": True, "paused": True}])
def test_what_does_not_run_is_not_paused(docker: Any, log: Path, tmp_path: Path, state: dict[str, bool]) -> None:
    done = run(log, tmp_path, **state)
    assert verbs(docker) == [] and done["paused_seconds"] is None
    assert log.stat().st_size == 0


def test_a_rotation_meanwhile_cuts_nothing(docker: Any, log: Path, tmp_path: Path) -> None:
    (tmp_path / "at_pause").write_text(f"mv {log} {log}.1; printf new > {log}")
    with pytest.raises(NotKept, match="rotated"):
        run(log, tmp_path)
    assert log.read_bytes() == b"new"
    assert verbs(docker) == ["pause", "unpause"]
    assert not journal(tmp_path).exists() and not list((tmp_path / "kept").iterdir())


def test_a_copy_that_differs_cuts_nothing(docker: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = archive.compress

    def lossy(source: list[str], target: str, timeout: float) -> None:
        honest([*source[:2], "100", *source[3:]], target, timeout)

    monkeypatch.setattr(archive, "compress", lossy)
    with pytest.raises(NotKept, match="not equal"):
        run(log, tmp_path)
    assert log.stat().st_size > 0 and verbs(docker) == []


def test_no_room_pauses_nothing(docker: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(folder: str, needed: int, what: str) -> None:
        assert needed > 0
        raise NotKept("no room")

    monkeypatch.setattr(archive, "check_room", no_room)
    with pytest.raises(NotKept, match="no room"):
        run(log, tmp_path)
    assert verbs(docker) == [] and not journal(tmp_path).exists()


@pytest.mark.parametrize("copy", [1, 2])
def test_a_disk_that_is_full_after_all_cuts_nothing(
    docker: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copy: int
) -> None:
    """The room was there when it was asked about; somebody else has it by now: while the bulk is copied, or in the pause."""
    honest, asked = _container_log.new_file, []

    def full(path: str) -> int:
        handle = honest(path)
        if path.endswith(".partial"):
            asked.append(path)
        if len(asked) == copy:
            os.close(handle)
            handle = os.open("/dev/full", os.O_WRONLY)
        return handle

    monkeypatch.setattr(_container_log, "new_file", full)
    content = log.read_bytes()
    with pytest.raises(NotKept, match="gzip with 1"):
        run(log, tmp_path)
    assert log.read_bytes() == content, "a log was cut whose copy is not whole"
    assert verbs(docker) == (["pause", "unpause"] if copy == 2 else [])
    assert not journal(tmp_path).exists() and not list((tmp_path / "kept").iterdir())


# Each effect of an archive, in the order of its calls.
STEPS = [("write_json", 1), ("compress", 1), ("_compare", 1), ("write_json", 2), ("_pause", 1), ("compress", 2), ("_compare", 2),
         ("_append", 1), ("seal", 1), ("_unpause", 1), ("write_json", 3)]  # fmt: skip


@pytest.mark.parametrize(("step", "call"), STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step_the_next_run_puts_it_right(
    docker: Any, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, call: int, when: str
) -> None:
    content = log.read_bytes()
    child = os.fork()
    if child == 0:  # in the child, os._exit is the SIGKILL
        real, calls = getattr(archive, step), [0]

        def deadly(*arguments: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] == call and when == "before":
                os._exit(9)
            result = real(*arguments, **options)
            if calls[0] == call:
                os._exit(9)
            return result

        setattr(archive, step, deadly)
        run(log, tmp_path)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    undone = archive.undo_leftovers(str(tmp_path / "state"), 5.0)
    assert not (tmp_path / "paused").exists()
    assert not journal(tmp_path).exists()
    assert all(one["leftover"] and one["service"] == "server" for one in undone)
    if log.stat().st_size:
        assert log.read_bytes() == content
        done = run(log, tmp_path)
        assert gzip.decompress(Path(done["path"]).read_bytes()) == content
    else:
        kept = [one for one in (tmp_path / "kept").iterdir() if one.suffix == ".gz"]
        assert gzip.decompress(kept[0].read_bytes()) == content
    assert not [one for one in (tmp_path / "kept").iterdir() if one.suffix == ".partial"]


def test_a_pause_that_cannot_be_undone_stays_in_the_journal(docker: Any, log: Path, tmp_path: Path) -> None:
    docker.does("docker_unpause", "echo 'cannot' >&2; exit 1")
    with pytest.raises(NotKept, match="unpause"):
        run(log, tmp_path)
    assert archive.paused_by_us(str(tmp_path / "state")) == ID


def test_a_pause_nobody_can_tell_about_stays_in_the_journal(docker: Any, log: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    journal(tmp_path).write_text(json.dumps({"container_id": ID, "service": "server", "drafts": []}))
    docker.does("docker_inspect", "echo 'context deadline exceeded' >&2; exit 1")
    with pytest.raises(NotKept, match="does not say"):
        archive.undo_leftovers(str(tmp_path / "state"), 5.0)
    assert journal(tmp_path).exists()
    docker.does("docker_inspect", "echo 'Error: No such container: a' >&2; exit 1")
    assert archive.undo_leftovers(str(tmp_path / "state"), 5.0) == []
    assert not journal(tmp_path).exists()


def test_nothing_is_undone_without_a_journal(docker: Any, tmp_path: Path) -> None:
    (tmp_path / "paused").touch()  # somebody else's
    assert archive.undo_leftovers(str(tmp_path / "state"), 5.0) == []
    assert (tmp_path / "paused").exists()


def test_an_unreadable_journal_is_a_question_for_a_person(docker: Any, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    journal(tmp_path).write_text("{")
    with pytest.raises(NotKept, match="status=paused"):
        archive.undo_leftovers(str(tmp_path / "state"), 5.0)
    assert archive.paused_by_us(str(tmp_path / "state")) is None


def test_a_journal_removes_only_its_own_drafts(docker: Any, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    precious = tmp_path / "precious"
    precious.touch()
    journal(tmp_path).write_text(json.dumps({"container_id": None, "drafts": [str(precious)]}))
    archive.undo_leftovers(str(tmp_path / "state"), 5.0)
    assert precious.exists()


def test_the_projection_is_near_and_not_below(log: Path) -> None:
    size = log.stat().st_size
    needed = archive.projected_bytes(str(log), size)
    assert len(gzip.compress(log.read_bytes(), 1)) < needed < size + 2 * 1024 * 1024


def test_containers_from_the_engines_own_notes(tmp_path: Path) -> None:
    assert archive.containers_on_disk(str(tmp_path)) == []
    folder = tmp_path / "containers" / ID
    folder.mkdir(parents=True)
    (tmp_path / "containers" / "half").mkdir()
    note = {"ID": ID, "LogPath": "/l", "Config": {"Labels": {"com.docker.compose.project": "p"}}, "State": {"Running": True}}
    (folder / "config.v2.json").write_text(json.dumps(note))
    found = archive.containers_on_disk(str(tmp_path))
    assert found == [{"Id": ID, "LogPath": "/l", "Config": note["Config"], "State": {"Running": False}}]
