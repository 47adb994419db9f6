# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test sanity, which wants the collection where Galaxy would put it: so on a copy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from levels.check import CACHE, PROJECT, Check

# What is not part of the collection is held by ruff and mypy alone.
OUTSIDE = (
    ".collections",
    "inventories/lab",
    "lab",
    "molecule",
    "script",
    "tests/bench",
    "tests/drills",
    "tests/levels",
    "tests/recorder",
)

# A module may meet any of these on a host.
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
PIP = re.compile(r"pip='([\d.]+)'")


@dataclass(frozen=True)
class Pair:
    """A Python and an ansible-core that belong together, in an environment of their own."""

    name: str
    folder: Path

    @property
    def exists(self) -> bool:
        """Was it installed?"""
        return (self.folder / "bin" / "ansible-test").exists()

    def possible(self) -> bool:
        """Does its Python run here?"""
        return self.exists or bool(_pythons("3.11"))

    @property
    def version(self) -> str:
        """Version of its Python, as ansible-test names it."""
        return next((self.folder / "lib").glob("python3.*")).name.removeprefix("python")


NEWEST = Pair("newest Ansible", PROJECT / ".venv")
OLDEST = Pair("oldest Ansible", PROJECT / ".venv-oldest")


def sanity(pair: Pair, *left_out: str) -> Check:
    """All sanity tests of the pair but those left out, on what git knows."""
    home = CACHE / f"sanity-{pair.folder.name.strip('.')}"
    _prepare_home(home, pair)
    return Check(
        f"ansible-test sanity, {pair.name}",
        # Locally, not in a container; in virtual environments that are kept for the next run.
        [
            *(pair.folder / "bin" / "ansible-test", "sanity", "--venv", "--python", pair.version, "--color", "no"),
            *(word for name in left_out for word in ("--skip-test", name)),
        ],
        env={"HOME": str(home), "PATH": _path(pair)},
        cwd=_copy(home / "tree"),
        telling="ERROR: ",
    )


def _copy(root: Path) -> Path:
    """The project's files at ansible_collections/NAMESPACE/NAME, in a git repository, as ansible-test demands."""
    folder = root / "ansible_collections" / "monero_marketplace" / "incident"
    shutil.rmtree(root, ignore_errors=True)
    folder.mkdir(parents=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--"]
        + [f":!{name}" for name in OUTSIDE],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        source, target = PROJECT / name, folder / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    for command in (["git", "init", "--quiet", "."], ["git", "add", "--all"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def _prepare_home(home: Path, pair: Pair) -> None:
    """A home of its own, that keeps the person's pip settings; and pip from Python itself instead of a download."""
    home.mkdir(parents=True, exist_ok=True)
    for name in (".config/pip", ".pip", ".cache/pip"):
        own, kept = home / name, Path.home() / name
        if kept.exists() and not own.is_symlink():
            own.parent.mkdir(parents=True, exist_ok=True)
            own.symlink_to(kept)
    source = next((pair.folder / "lib").glob("python3.*/site-packages/ansible_test/_internal/python_requirements.py"))
    version = PIP.search(source.read_text(encoding="utf-8"))
    assert version, f"{source} no longer says which pip it wants"
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / f"get_pip_{version[1].replace('.', '_')}.py").write_text("import ensurepip\nensurepip.bootstrap()\n")


def _path(pair: Pair) -> str:
    """PATH with Pythons that really run: ansible-test takes every pythonX.Y it finds for a working one."""
    pythons = CACHE / "pythons"
    shutil.rmtree(pythons, ignore_errors=True)
    pythons.mkdir(parents=True)
    for version, path in _pythons(*PYTHONS).items():
        (pythons / f"python{version}").symlink_to(path)
    system = [folder for folder in os.environ["PATH"].split(os.pathsep) if not _has_launchers(Path(folder))]
    return os.pathsep.join([str(pair.folder / "bin"), str(pythons), *system])


def _pythons(*versions: str) -> dict[str, str]:
    """Where each of these versions really runs from, as script/bootstrap finds them."""
    found = subprocess.run(
        ["bash", "-c", '. script/common.sh; pythons "$@"', "pythons", *versions],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(line.split(" ", 1) for line in found.stdout.splitlines())


def _has_launchers(folder: Path) -> bool:
    # pyenv's and asdf's folders name every version, whether it runs or not.
    return folder.name == "shims"
