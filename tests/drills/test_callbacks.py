# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same run on every screen, and from every door, says the same."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from drills.fixture import DrillLab
from drills.playbook import BIN, INVENTORY, PROJECT
from drills.terminal import on_terminal

ONCALL = "monero_marketplace.incident.oncall"
LABELS = ("OUTAGE", "cause", "did", "proof", "record")
ESCAPE = re.compile(r"\x1b\[")


def summary_of(text: str) -> dict[str, str]:
    """The summary's lines by their first word, the layout of any callback taken away."""
    plain = re.sub(r'\s*"?msg"?: "?', "\n", text.replace("\\n", "\n")).replace('"', "")
    found = {}
    for line in plain.splitlines():
        words = line.split()
        if words and words[0] in LABELS:
            found[words[0]] = " ".join(words[1:])
    return found


def without_figures(line: str) -> str:
    """Two runs differ in times and hashes, not in what they say."""
    return re.sub(r"[0-9a-f]{8,}|[0-9a-f]+…|\d[\d:.,]*", "#", line)


@pytest.mark.drill(name="outage-callbacks", pool="often")
def test_default_callback_loses_only_the_layout(drill: DrillLab) -> None:
    summaries = []
    for callback in (ONCALL, "default"):
        drill.begin("outage-callbacks")
        drill.break_("containers-exited")
        run = drill.run("outage", callback=callback)
        assert run.status == 0, run.output
        summaries.append(summary_of(run.output))
    ours, default = summaries
    assert set(LABELS) <= set(ours), ours
    assert {label: without_figures(line) for label, line in ours.items()} == {
        label: without_figures(line) for label, line in default.items()
    }


@pytest.mark.drill(name="outage-terminals", pool="often")
@pytest.mark.parametrize(
    ("term", "columns", "coloured"),
    [("xterm-256color", 60, True), ("xterm-256color", 120, True), ("dumb", 80, False)],
    ids=["narrow", "wide", "dumb"],
)
def test_terminals(drill: DrillLab, term: str, columns: int, coloured: bool) -> None:
    argv = [str(BIN / "ansible-playbook"), "-i", str(INVENTORY), "playbooks/outage.yml"]
    environment = drill.controller.environment(drill.controller.artifacts / "terminal.jsonl", ONCALL)
    status, seen = on_terminal(argv, environment | {"TERM": term}, columns, PROJECT)
    assert status == 0, seen
    assert coloured or not ESCAPE.search(seen), f"a dumb terminal was sent colours:\n{seen!r}"
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    wide = [line for text in plain.splitlines() for line in text.split("\r") if len(line) > columns and " " in line.strip()]
    assert not wide, f"lines wider than {columns}: {wide}"
    assert "OUTAGE" in plain, plain


@pytest.mark.drill(name="outage-installed", pool="rotated")
def test_installed_collection(drill: DrillLab, tmp_path: Path) -> None:
    """Built, installed elsewhere, called by its full name, with nothing of the checkout in reach."""
    environment = drill.controller.environment(tmp_path / "record.jsonl", "default")
    collections = tmp_path / "collections"
    galaxy = str(BIN / "ansible-galaxy")
    build = [galaxy, "collection", "build", "--output-path", str(tmp_path), str(PROJECT)]
    subprocess.run(build, env=environment, cwd=tmp_path, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    install = [galaxy, "collection", "install", "--offline", "--no-deps", "-p", str(collections), str(archive)]
    subprocess.run(install, env=environment, cwd=tmp_path, check=True, capture_output=True)
    run = subprocess.run(
        [str(BIN / "ansible-playbook"), "-i", str(INVENTORY), "monero_marketplace.incident.outage"],
        env=environment | {"ANSIBLE_COLLECTIONS_PATH": str(collections)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "OUTAGE" in summary_of(run.stdout), run.stdout


@pytest.mark.drill(name="outage-checkout", pool="rotated")
def test_fresh_checkout(drill: DrillLab, tmp_path: Path) -> None:
    """As AWX does it: a clone in another folder, an empty ANSIBLE_HOME, the inventory given with -i."""
    clone = tmp_path / "project"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True, capture_output=True)
    environment = drill.controller.environment(tmp_path / "record.jsonl", "default")
    run = subprocess.run(
        [str(BIN / "ansible-playbook"), "-i", str(INVENTORY), "playbooks/outage.yml"],
        env=environment | {"ANSIBLE_HOME": str(tmp_path / "home"), "HOME": os.environ["HOME"]},
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "OUTAGE" in summary_of(run.stdout), run.stdout
