# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules over the Python that runs on a host: standard library, no help from Ansible in the logic, short files."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from rules.collection import PROJECT, place, project_files

OWN = "ansible_collections.monero_marketplace.incident.plugins."
LINES = 400


def imported(path: Path) -> set[str]:
    """What a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else node.module or "")
    return found


def foreign(path: Path, *allowed: str) -> set[str]:
    """Imports that are neither Python's nor our own."""
    return {
        name
        for name in imported(path)
        if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith((OWN, *allowed))
    }


def test_logic_imports_nothing_from_ansible():
    assert {place(path): foreign(path) for path in project_files("plugins/module_utils/*.py") if foreign(path)} == {}


def test_modules_import_only_what_a_host_has():
    files = project_files("plugins/modules/*.py")
    allowed = "ansible.module_utils."
    assert {place(path): foreign(path, allowed) for path in files if foreign(path, allowed)} == {}


def test_plugins_of_the_controller_import_only_ansible():
    files = project_files("plugins/callback/*.py", "plugins/filter/*.py")
    assert {place(path): foreign(path, "ansible") for path in files if foreign(path, "ansible")} == {}


def test_drills_judge_without_the_plugins():
    judges = project_files("tests/drills/*.py", "tests/bench/*.py", "molecule/*.py")
    assert [place(path) for path in judges if any(name.startswith(("plugins", OWN)) for name in imported(path))] == []


def test_an_orphan_of_each_acting_module_is_recognised():
    acting = [path for path in project_files("plugins/modules/*.py") if "acting(" in path.read_text(encoding="utf-8")]
    assert acting
    known = (PROJECT / "plugins/module_utils/_incident_processes.py").read_text(encoding="utf-8")
    assert [path.name for path in acting if f"AnsiballZ_{path.name}" not in known] == []


def test_files_have_one_job():
    lengths = {place(path): len(path.read_text(encoding="utf-8").splitlines()) for path in project_files("*.py")}
    assert {name: length for name, length in lengths.items() if length > LINES} == {}


def test_every_file_names_its_licence():
    told = "SPDX-License-Identifier: GPL-3.0-or-later"
    files = project_files("*.py", "script/*", ".ci/*")
    assert [place(path) for path in files if told not in path.read_text(encoding="utf-8")] == []
