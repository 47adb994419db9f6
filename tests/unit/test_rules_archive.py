# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules over the collection's metadata and its built archive, opened as Galaxy would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from rules.collection import PROJECT, load, project_files

MODULES = sorted(path.stem for path in (PROJECT / "plugins" / "modules").glob("*.py"))
# All that ansible-core reads in plugins/.
PLUGIN_KINDS = {"action", "callback", "doc_fragments", "filter", "lookup", "module_utils", "modules", "test"}
ALLOWED = re.compile(
    r"(?:MANIFEST\.json|FILES\.json|LICENSE|README\.md|CHANGELOG\.md|changelogs/\w+\.yaml|meta/[\w-]+\.yml|docs/\w+\.md"
    r"|inventories/example/[\w/]+\.yml|playbooks/\w+\.yml|roles/\w+/README\.md|roles/\w+/\w+/\w+\.yml|plugins/\w+/\w+\.py)"
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> list[tarfile.TarInfo]:
    """What a build of the files that git knows holds."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for path in project_files():
        copy = source / path.relative_to(PROJECT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    link = source / ".collections/ansible_collections/monero_marketplace/incident"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../..")
    # Waste of a developer's folder, which must not be shipped either.
    for waste in (
        ".venv/bin/python",
        ".cache/x",
        "tests/output/x",
        "inventories/production/hosts.yml",
        "collections/x",
        "old.tar.gz",
    ):
        (source / waste).parent.mkdir(parents=True, exist_ok=True)
        (source / waste).write_text("waste")
    subprocess.run(
        [Path(sys.executable).parent / "ansible-galaxy", "collection", "build", "--output-path", target, source],
        env=os.environ | {"ANSIBLE_HOME": str(target / "home")}, check=True, capture_output=True,
    )  # fmt: skip
    with tarfile.open(next(target.glob("*.tar.gz"))) as built:
        return built.getmembers()


def test_the_archive_holds_only_the_collection(archive):
    assert [member.name for member in archive if not member.isdir() and not ALLOWED.fullmatch(member.name)] == []


def test_the_archive_holds_no_link(archive):
    assert [member.name for member in archive if not (member.isfile() or member.isdir())] == []


def test_the_archive_holds_the_collection(archive):
    names = {member.name for member in archive}
    wanted = [*project_files("plugins/*.py", "roles/*.yml", "playbooks/*.yml", "meta/*.yml"), PROJECT / "LICENSE"]
    assert {str(path.relative_to(PROJECT)) for path in wanted} - names == set()


def test_plugins_holds_only_what_ansible_knows():
    kinds = {path.name for path in (PROJECT / "plugins").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert kinds - PLUGIN_KINDS == set()


def test_module_utils_are_private():
    names = [path.name for path in project_files("plugins/module_utils/*.py")]
    assert [name for name in names if not name.startswith("_")] == []


def test_the_action_group_names_every_module():
    assert load(PROJECT / "meta" / "runtime.yml")["action_groups"]["incident"] == MODULES


def test_versions_agree():
    galaxy = load(PROJECT / "galaxy.yml")
    assert load(PROJECT / "meta" / "runtime.yml")["requires_ansible"] == ">=2.19.0"
    added = {
        (path.name, found)
        for path in project_files("plugins/*.py", "roles/*/meta/argument_specs.yml")
        for found in re.findall(r"version_added: [\"']?([\d.]+)", path.read_text(encoding="utf-8"))
    }
    newest = tuple(map(int, galaxy["version"].split(".")))
    assert added
    assert [pair for pair in added if tuple(map(int, pair[1].split("."))) > newest] == []


def test_every_module_documents_itself():
    for path in project_files("plugins/modules/*.py"):
        text = path.read_text(encoding="utf-8")
        blocks = {
            name: yaml.safe_load(found[1]) for name in ("DOCUMENTATION", "RETURN", "EXAMPLES") if (found := _block(text, name))
        }
        assert set(blocks) == {"DOCUMENTATION", "RETURN", "EXAMPLES"}, path.name
        assert blocks["DOCUMENTATION"]["module"] == path.stem
        assert blocks["DOCUMENTATION"]["version_added"]


def test_every_module_states_its_attributes():
    shared = "monero_marketplace.incident.attributes"
    for path in project_files("plugins/modules/*.py"):
        found = _block(path.read_text(encoding="utf-8"), "DOCUMENTATION")
        assert found, path.name
        documented = yaml.safe_load(found[1])
        fragments = set(documented["extends_documentation_fragment"])
        assert {shared, f"{shared}.actiongroup_incident"} <= fragments, path.name
        own = set(documented.get("attributes", {}))
        assert f"{shared}.info_module" in fragments or {"check_mode", "diff_mode", "idempotent"} <= own, path.name


def _block(text: str, name: str) -> re.Match[str] | None:
    return re.search(rf'^{name} = r?"""(.*?)"""', text, re.MULTILINE | re.DOTALL)
