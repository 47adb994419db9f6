# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of files on another disk: whole and proven, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from unit.crash import killed_at_each_effect

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _container_log, _file_set
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Ran
from ansible_collections.monero_marketplace.incident.plugins.module_utils._container_log import NotKept
from ansible_collections.monero_marketplace.incident.plugins.modules import file_set


@pytest.fixture
def database(tmp_path: Path) -> list[str]:
    (tmp_path / "shop.db").write_bytes(b"SQLite" * 1000)
    (tmp_path / "shop.db-wal").write_bytes(b"frames" * 100)
    return [str(tmp_path / "shop.db"), str(tmp_path / "shop.db-wal")]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """As if it were another disk."""
    monkeypatch.setattr(_file_set, "_check_other_disk", lambda _paths, _folder: None)
    return str(tmp_path / "kept")


def names(folder: str) -> list[str]:
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def test_a_set_is_kept_with_checksums(database: list[str], elsewhere: str) -> None:
    found = _file_set.keep(database, elsewhere)
    assert found["changed"] and [one["source"] for one in found["kept"]] == database
    for one in found["kept"]:
        content = Path(one["source"]).read_bytes()
        assert Path(one["path"]).read_bytes() == content
        assert one["sha256"] == hashlib.sha256(content).hexdigest() and one["bytes"] == len(content) and one["new"]
        assert stat.S_IMODE(os.stat(one["path"]).st_mode) == 0o600
        subprocess.run(["sha256sum", "--check", "--quiet", f"{one['path']}.sha256"], cwd=elsewhere, check=True)
    assert stat.S_IMODE(os.stat(elsewhere).st_mode) == 0o700


def test_the_same_set_is_kept_once(database: list[str], elsewhere: str) -> None:
    first = _file_set.keep(database, elsewhere)
    again = _file_set.keep(database, elsewhere)
    assert not again["changed"] and not any(one["new"] for one in again["kept"])
    assert [one["path"] for one in again["kept"]] == [one["path"] for one in first["kept"]]


def test_check_mode_copies_nothing(database: list[str], elsewhere: str) -> None:
    assert _file_set.keep(database, elsewhere, dry=True)["changed"]
    assert names(elsewhere) == []


def test_a_killed_copy_is_made_anew(database: list[str], elsewhere: str) -> None:
    kept = Path(_file_set.keep(database, elsewhere, dry=True)["kept"][0]["path"])
    kept.parent.mkdir(mode=0o700)
    kept.with_name(f"{kept.name}.partial").write_bytes(b"half")
    _file_set.keep(database, elsewhere)
    assert kept.read_bytes() == Path(database[0]).read_bytes()
    assert not [name for name in names(elsewhere) if name.endswith(".partial")]


def test_what_changes_meanwhile_is_not_kept(database: list[str], elsewhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def copy_while_written(argv: list[str], _timeout: float) -> Ran:
        subprocess.run(argv, check=True)
        with open(argv[-2], "ab") as file:
            file.write(b"more")
        return Ran(tuple(argv), 0)

    monkeypatch.setattr(_file_set, "run", copy_while_written)
    with pytest.raises(NotKept, match="not equal"):
        _file_set.keep(database, elsewhere)
    assert names(elsewhere) == [], "no half of a set under a name that says whole"


def test_a_disk_without_room_is_refused_before_anything_is_written(
    database: list[str], elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_container_log, "free_bytes", lambda _folder: 1024)
    with pytest.raises(NotKept, match="docker_health_keep_dir"):
        _file_set.keep(database, elsewhere)
    assert names(elsewhere) == []


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(
    database: list[str], elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(argv: list[str], _timeout: float) -> Ran:
        Path(argv[-1]).write_bytes(b"half")
        return Ran(tuple(argv), 1, err=b"cp: error writing: No space left on device")

    monkeypatch.setattr(_file_set, "run", full)
    with pytest.raises(NotKept, match="No space left"):
        _file_set.keep(database, elsewhere)
    assert names(elsewhere) == []


def test_the_same_disk_saves_nothing(database: list[str], tmp_path: Path) -> None:
    with pytest.raises(NotKept, match="same file system"):
        _file_set.keep(database, str(tmp_path / "kept" / "deep"))


@pytest.mark.parametrize("what", ["missing", "link", "folder"])
def test_only_files_that_are_there(what: str, tmp_path: Path, elsewhere: str) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").mkdir()
    with pytest.raises(NotKept, match=what):
        _file_set.keep([str(tmp_path / what)], elsewhere)


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    def answer(**arguments: Any) -> dict[str, Any]:
        with patch_module_args({"lease_dir": str(tmp_path / "lease"), **arguments}), pytest.raises(SystemExit):
            file_set.main()
        return dict(json.loads(capsys.readouterr().out))

    yield answer


def test_the_module_says_what_it_kept_or_why_not(run: Run, database: list[str], elsewhere: str, tmp_path: Path) -> None:
    assert run(paths=database, keep_dir=elsewhere, _ansible_check_mode=True)["changed"] and names(elsewhere) == []
    assert len(run(paths=database, keep_dir=elsewhere)["kept"]) == 2
    assert not run(paths=database, keep_dir=elsewhere)["changed"]
    refused = run(paths=[str(tmp_path / "missing")], keep_dir=elsewhere)
    assert refused["failed"] and "not there" in refused["msg"]


def test_without_the_lease_nothing_is_copied(run: Run, database: list[str], elsewhere: str) -> None:
    refused = run(paths=database, keep_dir=elsewhere, token="of another run")
    assert refused["failed"] and names(elsewhere) == []


def test_on_the_same_disk_only_where_that_is_allowed(database: list[str], tmp_path: Path) -> None:
    with pytest.raises(NotKept, match="same file system"):
        _file_set.keep(database, str(tmp_path / "kept"))
    assert _file_set.keep(database, str(tmp_path / "kept"), other_disk=False)["changed"]


def test_what_is_in_the_way_gets_another_name_where_it_lies(database: list[str], tmp_path: Path) -> None:
    content = Path(database[0]).read_bytes()
    [one] = _file_set.set_aside([database[0]])["kept"]
    assert not os.path.exists(database[0]) and os.path.dirname(one["path"]) == str(tmp_path)
    assert Path(one["path"]).read_bytes() == content
    assert one["sha256"] == hashlib.sha256(content).hexdigest() and one["bytes"] == len(content) and one["new"]


def test_a_folder_is_set_aside_whole(tmp_path: Path) -> None:
    (tmp_path / "lmdb").mkdir()
    (tmp_path / "lmdb/data.mdb").write_bytes(b"x" * 100)
    [one] = _file_set.set_aside([str(tmp_path / "lmdb")])["kept"]
    assert not (tmp_path / "lmdb").exists() and (Path(one["path"]) / "data.mdb").stat().st_size == 100
    assert one["sha256"] is None and one["bytes"] == 100


def test_set_aside_once_is_enough(database: list[str]) -> None:
    first = _file_set.set_aside([database[0]])
    again = _file_set.set_aside([database[0]])
    assert first["changed"] and not again["changed"] and again["kept"][0]["path"] == first["kept"][0]["path"]


def test_a_plan_sets_nothing_aside(database: list[str]) -> None:
    assert _file_set.set_aside([database[0]], dry=True)["changed"] and os.path.exists(database[0])


def test_what_was_never_there_or_is_a_link_is_not_set_aside(database: list[str], tmp_path: Path) -> None:
    with pytest.raises(NotKept, match="is not there"):
        _file_set.set_aside([str(tmp_path / "nothing")])
    (tmp_path / "link").symlink_to(database[0])
    with pytest.raises(NotKept, match="neither a file nor a folder"):
        _file_set.set_aside([str(tmp_path / "link")])


def test_killed_at_any_effect_it_is_there_under_one_of_its_names(tmp_path: Path) -> None:
    def prepare(folder: Path) -> None:
        (folder / "a.login").write_text("rpc:password")

    def act(folder: Path) -> dict[str, Any]:
        return _file_set.set_aside([str(folder / "a.login")])

    def converged(folder: Path, _result: dict[str, Any]) -> None:
        assert not (folder / "a.login").exists()
        assert [one.read_text() for one in folder.iterdir()] == ["rpc:password"]

    assert killed_at_each_effect(tmp_path, prepare, act, converged) >= 2
