# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same playbook through each door: a plain clone, an installed archive, a checkout as AWX makes it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from rules.collection import FQCN, PROJECT, load, project_files

TOOLS = Path(sys.executable).parent
LINK = Path(".collections/ansible_collections/monero_marketplace/incident")
NO_MARKETPLACE = "No host is in the group 'marketplace'"
NOBODY = 65534
AS_NOBODY = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
# Writes nowhere all the same; may read, because this very Python may live in root's home.
MAY_READ = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
# A port where nothing listens: the run goes through open, escalate and close, and needs no lab.
NOBODY_HOME = {"marketplace": {"hosts": {"market-9": {"ansible_host": "127.0.0.1", "ansible_port": 1}}}}


@dataclass(frozen=True)
class Door:
    """A way in: where the command is typed, by whom, and how the playbook is named."""

    folder: Path
    playbook: str
    env: dict[str, str]
    before: Sequence[str] = ()

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """ansible-playbook, with what it says."""
        return command(["ansible-playbook", self.playbook, *arguments], self.folder, self.env, self.before)


def command(
    argv: Sequence[str | Path], folder: Path, env: dict[str, str], before: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run one of the environment's tools with none of the caller's Ansible settings."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    return subprocess.run(
        [*before, TOOLS / argv[0], *argv[1:]], cwd=folder, env=clean | {"NO_COLOR": "1"} | env,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def said(run: subprocess.CompletedProcess[str]) -> str:
    """What it said, wherever its lines were broken."""
    return " ".join((run.stdout + run.stderr).split())


def checkout(folder: Path) -> Path:
    """What a clone of the present state holds."""
    for path in project_files():
        copy = folder / path.relative_to(PROJECT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    (folder / LINK).parent.mkdir(parents=True)
    (folder / LINK).symlink_to((PROJECT / LINK).readlink())
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkout(tmp_path_factory.mktemp("clone"))


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that others can enter, as they cannot pytest's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def inventories(public: Path) -> dict[str, Path]:
    """One that names nobody, one whose host does not answer."""
    texts = {"empty": {"marketplace": {"hosts": {}}}, "silent": NOBODY_HOME}
    for name, text in texts.items():
        (public / f"{name}.yml").write_text(json.dumps(text))
    return {name: public / f"{name}.yml" for name in texts}


@pytest.fixture(params=["clone", "clone, in full", "installed", "AWX"])
def door(request: pytest.FixtureRequest, clone: Path, public: Path) -> Door:
    """Each door, with a home in which nothing was ever installed."""
    home = public / "home"
    home.mkdir()
    env = {"HOME": str(home), "ANSIBLE_HOME": str(home / ".ansible")}
    if request.param == "clone":
        return Door(clone, "playbooks/outage.yml", env)
    if request.param == "clone, in full":
        return Door(clone, f"{FQCN}.outage", env)
    if request.param == "installed":
        return installed(clone, public, env)
    return checked_out_by_awx(public, env)


def installed(clone: Path, folder: Path, env: dict[str, str]) -> Door:
    """Built, installed, and called from a folder that knows nothing of the clone."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    built = command(["ansible-galaxy", "collection", "build", "--output-path", folder, clone], elsewhere, env)
    assert built.returncode == 0, built.stderr
    archive = next(folder.glob("*.tar.gz"))
    arguments = ["--offline", "--no-deps", "--collections-path", folder / "installed", archive]
    done = command(["ansible-galaxy", "collection", "install", *arguments], elsewhere, env)
    assert done.returncode == 0, done.stderr
    return Door(elsewhere, f"{FQCN}.outage", {**env, "ANSIBLE_COLLECTIONS_PATH": str(folder / "installed")})


def checked_out_by_awx(folder: Path, env: dict[str, str]) -> Door:
    """Another user's read-only checkout, an empty home, the inventory from outside, output as AWX wants it."""
    project, home = checkout(folder / "project"), folder / "home"
    env = {**env, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_LOCAL_TEMP": str(home / "tmp")}
    if os.geteuid() != 0:
        return Door(project, "playbooks/outage.yml", env)
    shutil.chown(home, NOBODY, NOBODY)
    return Door(project, "playbooks/outage.yml", env, before=somebody_else())


def somebody_else() -> Sequence[str]:
    """A prefix that makes root another user who can run this Python. In a container root may not hand on capabilities."""
    for before in ((*AS_NOBODY, *MAY_READ), AS_NOBODY):
        if subprocess.run([*before, sys.executable, "-c", ""], capture_output=True, check=False).returncode == 0:
            return before
    pytest.skip("nobody but root can run this Python here")


def test_git_keeps_the_link():
    tracked = subprocess.run(["git", "ls-files", "--stage", LINK], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert tracked.stdout.startswith("120000 ")
    assert (PROJECT / LINK).resolve() == PROJECT


def test_a_group_without_hosts_is_an_error(door, inventories):
    run = door.run("-i", inventories["empty"])
    assert run.returncode not in (0, 1), run.stdout + run.stderr
    assert NO_MARKETPLACE in said(run)


@pytest.mark.parametrize("limit", ["localhost", "market-1"])
def test_a_limit_does_not_hide_it(clone, tmp_path, inventories, limit):
    door = Door(clone, "playbooks/outage.yml", {"HOME": str(tmp_path), "ANSIBLE_HOME": str(tmp_path)})
    for words in ([], ["-i", inventories["empty"]]):
        run = door.run(*words, "--limit", limit)
        assert run.returncode != 0, said(run)
        assert said(run).count(NO_MARKETPLACE) == 1


def test_a_host_that_is_silent_ends_in_one_sentence(door, inventories):
    run = door.run("-i", inventories["silent"], "--timeout", "5")
    assert run.returncode == 2, run.stdout + run.stderr
    assert "OUTAGE market-9" in said(run)
    assert "Traceback" not in run.stdout + run.stderr
    assert "couldn't resolve" not in run.stdout + run.stderr


def test_a_fresh_clone_says_how_to_begin(clone, tmp_path):
    run = Door(clone, "playbooks/outage.yml", {"HOME": str(tmp_path), "ANSIBLE_HOME": str(tmp_path)}).run()
    assert run.returncode != 0
    assert "copy inventories/example to inventories/production" in said(run)


def test_the_example_inventory_is_one(clone, tmp_path):
    asked = command(
        ["ansible-inventory", "-i", "inventories/example", "--list"],
        clone,
        {"HOME": str(tmp_path), "ANSIBLE_HOME": str(tmp_path)},
    )
    assert json.loads(asked.stdout)["marketplace"]["hosts"]


def test_the_installed_ansible_meets_the_dependencies():
    needed = load(PROJECT / "galaxy.yml")["dependencies"]
    listed = command(["ansible-galaxy", "collection", "list", "--format", "json"], PROJECT, {})
    found = {name: one["version"] for path in json.loads(listed.stdout).values() for name, one in path.items()}
    if "community.docker" not in found:
        pytest.skip("this environment has ansible-core alone")
    for name, range_ in needed.items():
        assert range_.startswith(">=")
        assert version(found[name]) >= version(range_.removeprefix(">=")), name


def version(text: str) -> tuple[int, ...]:
    """A version that compares by numbers."""
    return tuple(int(part) for part in text.split("."))
