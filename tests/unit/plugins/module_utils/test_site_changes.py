# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits, settings and backups of real folders; null for what cannot be told."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.monero_marketplace.incident.plugins.module_utils._site_changes import (
    commits,
    newest_backup,
    newest_setting,
)
from ansible_collections.monero_marketplace.incident.plugins.modules import site_changes_info


def git(folder: Path, *words: str) -> None:
    identity = dict.fromkeys(
        ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"), "t@example.org"
    )
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, env={**os.environ, **identity})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet")
    for number in range(3):
        (folder / "docker-compose.yml").write_text(f"services: {{a{number}: {{}}}}\n")
        git(folder, "add", "-A")
        git(folder, "commit", "--quiet", "-m", f"change {number} with | and \x1b[31m colour")
    return folder


def test_commits_come_newest_first_and_bounded(project: Path) -> None:
    found = commits(str(project), 2, 5)
    assert [one["subject"][:8] for one in found["commits"]] == ["change 2", "change 1"]
    assert found["edited"] == []
    assert all("\x1b" not in one["subject"] and one["time"] > 1e9 for one in found["commits"])


def test_an_edit_after_the_last_commit_is_named(project: Path) -> None:
    (project / "docker-compose.yml").write_text("services: {}\n")
    assert commits(str(project), 1, 5)["edited"] == ["docker-compose.yml"]


def test_without_a_work_tree_nothing_is_known(tmp_path: Path) -> None:
    assert commits(str(tmp_path), 5, 5) == {"commits": None, "edited": None}
    assert newest_setting(str(tmp_path)) is None


def test_the_setting_written_last(project: Path) -> None:
    (project / ".env").write_text("A=1\n")
    os.utime(project / "docker-compose.yml", (1, 1))
    found = newest_setting(str(project))
    assert found is not None and found["path"].endswith("/.env")


def test_the_newest_backup_is_a_whole_file(tmp_path: Path) -> None:
    for number, name in enumerate(
        ("a.db.gz.gpg", "b.db.gz.gpg", "c.db.gz.gpg.part", "d.gpg.partial", "b.db.gz.gpg.sha256", ".hidden")
    ):
        (tmp_path / name).write_text("x" * (number + 1))
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    (tmp_path / "latest").symlink_to("a.db.gz.gpg")
    found = newest_backup(str(tmp_path), 5)
    assert (found["path"], found["time"], found["bytes"]) == (str(tmp_path / "b.db.gz.gpg"), 1001, 2)


def test_no_folder_and_no_time_are_said(tmp_path: Path) -> None:
    assert newest_backup(str(tmp_path / "none"), 5)["problem"] == "the folder does not exist"
    (tmp_path / "a").write_text("")
    assert "too many" in newest_backup(str(tmp_path), -1)["problem"]


def test_the_module_tells_all_of_it(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"project_dir": str(project), "backup_dirs": [str(tmp_path / "none")]}), pytest.raises(SystemExit):
        site_changes_info.main()
    found = json.loads(capsys.readouterr().out)
    assert not found["changed"] and len(found["commits"]) == 3
    assert found["backups"][0]["time"] is None and found["setting"]["path"].endswith("docker-compose.yml")


def test_a_number_that_makes_no_sense_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with patch_module_args({"project_dir": str(tmp_path), "commits": 0}), pytest.raises(SystemExit):
        site_changes_info.main()
    assert "needs a number above 0" in json.loads(capsys.readouterr().out)["msg"]
