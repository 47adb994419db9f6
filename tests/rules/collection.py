# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's files as data, for the tests that hold rules over them."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from ansible.playbook.task import Task as PlaybookTask

PROJECT = Path(__file__).resolve().parents[2]
FQCN = "monero_marketplace.incident"

Task = dict[str, Any]

# Keywords of a task; the one key that is none of them is its module.
KEYWORDS = frozenset(PlaybookTask.fattributes) | {"local_action"}
PARTS = ("block", "rescue", "always")


@functools.cache
def load(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def roles() -> list[Path]:
    """The roles' folders."""
    return sorted(path for path in (PROJECT / "roles").iterdir() if (path / "tasks").is_dir())


def playbooks() -> list[Path]:
    """The playbooks."""
    return sorted((PROJECT / "playbooks").glob("*.yml"))


def task_files() -> list[Path]:
    """Every file of tasks in a role."""
    return sorted((PROJECT / "roles").glob("*/tasks/*.yml"))


def entry_points(role: Path) -> list[str]:
    """What others may name in tasks_from: files without a leading underscore."""
    return sorted(path.stem for path in (role / "tasks").glob("*.yml") if not path.stem.startswith("_"))


def specs(role: Path) -> dict[str, Any]:
    """The role's argument specs by entry point."""
    return dict(load(role / "meta" / "argument_specs.yml")["argument_specs"])


def tasks(listed: Any) -> Iterator[Task]:
    """All tasks of a list, in order, those inside blocks too; the blocks themselves are not tasks."""
    for item in listed or []:
        if "block" in item:
            for part in PARTS:
                yield from tasks(item.get(part))
        else:
            yield item


def tasks_of_play(play: dict[str, Any]) -> Iterator[Task]:
    """All tasks of a play."""
    for part in ("pre_tasks", "tasks", "post_tasks", "handlers"):
        yield from tasks(play.get(part))


def module(task: Task) -> str:
    """The module a task calls."""
    named = [key for key in task if key not in KEYWORDS and not key.startswith("with_")]
    assert len(named) == 1, f"{task.get('name')}: cannot tell the module among {named}"
    return named[0]


def every_task() -> list[tuple[Path, Task]]:
    """All tasks of all roles and playbooks, each with its file."""
    found = [(path, task) for path in task_files() for task in tasks(load(path))]
    for path in playbooks():
        found += [(path, task) for play in load(path) for task in tasks_of_play(play)]
    return found


def keys(data: Any) -> Iterator[str]:
    """All keys at any depth."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield str(key)
            yield from keys(value)
    elif isinstance(data, list):
        for value in data:
            yield from keys(value)


def strings(data: Any) -> Iterator[str]:
    """All texts at any depth."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from strings(value)
    elif isinstance(data, list):
        for value in data:
            yield from strings(value)


def place(path: Path) -> str:
    """A path as a person names it."""
    return str(path.relative_to(PROJECT))


def project_files(*patterns: str) -> list[Path]:
    """Files that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", *patterns],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [PROJECT / name for name in listed.stdout.split("\0") if name and (PROJECT / name).is_file()]
