# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names by content: what was built from the same inputs is the same, and is built once."""

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lab.places import cache
from lab.progress import say


def digest(*inputs: str | Path) -> str:
    """Short hash of strings, files and folders; a file counts with its name, its content and whether it can be run."""
    total = hashlib.sha256()
    for item in inputs:
        if isinstance(item, str):
            total.update(b"text\0" + item.encode() + b"\0")
            continue
        for path in _files(item):
            name = path.relative_to(item) if item.is_dir() else Path(path.name)
            run_bit = b"x" if os.access(path, os.X_OK) and path.stat().st_mode & 0o100 else b"-"
            total.update(b"file\0" + str(name).encode() + b"\0" + run_bit + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def _files(item: Path) -> list[Path]:
    if item.is_file():
        return [item]
    return sorted(path for path in item.rglob("*") if path.is_file() and not ignored(path.relative_to(item)))


def ignored(path: Path) -> bool:
    """Left by tools and editors beside the sources: not an input."""
    return any(part in ("__pycache__", ".git", ".mypy_cache", ".ruff_cache") for part in path.parts) or path.suffix in (
        ".pyc",
        ".swp",
    )


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for the time of a build, where the next one finds and removes it if this one is killed."""
    parent = cache() / "building"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as name:
        yield Path(name)


@contextlib.contextmanager
def locked(name: str, waiting_for: str) -> Iterator[None]:
    """Only one process at a time; the kernel lets go of the lock when its holder dies."""
    folder = cache() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"  waiting: {waiting_for}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
