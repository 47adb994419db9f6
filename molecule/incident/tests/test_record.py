# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record and the host after role incident, read with nothing but Python's own json and hashlib."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def folder(host: Any) -> Path:
    """The one incident on the desk."""
    desk = Path(host.ansible.get_variables()["incident_desk_dir"])
    found = sorted(desk.glob("INC-*"))
    assert len(found) == 1, f"one run acted, so there is one incident, not {found}"
    return found[0]


@pytest.fixture
def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "timeline.jsonl").read_text(encoding="utf-8").splitlines()]


def test_it_is_named_by_the_minute_of_its_opening(folder):
    assert re.fullmatch(r"INC-\d{8}-\d{4}", folder.name)


def test_the_run_that_acted_wrote_three_lines_and_the_others_none(entries):
    assert [entry["event"] for entry in entries] == ["intent", "note", "outcome"]
    assert len({entry["run_id"] for entry in entries}) == 1
    assert {entry["responder"] for entry in entries} == {"molecule"}


def test_each_line_carries_the_hash_of_the_one_before(folder, entries):
    previous = hashlib.sha256(f"marketplace_incident {folder.name}".encode()).hexdigest()
    for entry in entries:
        assert entry["previous"] == previous
        said = {key: value for key, value in entry.items() if key != "hash"}
        previous = hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
        assert entry["hash"] == previous
    assert json.loads((folder / "incident.json").read_text(encoding="utf-8"))["head"] == previous


def test_text_stays_text(entries):
    text = next(entry["text"] for entry in entries if entry["event"] == "note")
    assert "{{ 7 * 7 }}" in text
    assert "\x1b" not in text
    assert "\n" not in text


def test_a_hold_for_another_playbook_is_placed_once_and_binds_nobody_here(host, folder):
    hold = host.file("/var/lib/marketplace_incident/holds/molecule.json")
    assert (hold.user, hold.mode) == ("root", 0o600)
    said = json.loads(hold.content_string)
    assert (said["by"], said["playbooks"]) == ("molecule", ["rollback"])
    assert "{{ 7 * 7 }}" in said["reason"] and "\x1b" not in said["reason"]
    (log,) = sorted(folder.parent.glob("OPS-*"))
    lines = [json.loads(line) for line in (log / "timeline.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["hold"], "it belongs to no incident: none was open"


def test_the_host_remembers_the_record(host, folder, entries):
    (desk,) = json.loads(host.file("/var/lib/marketplace_incident/records.json").content_string)["desks"].values()
    known = desk[folder.name]
    assert (known["entries"], known["head"]) == (len(entries), entries[-1]["hash"])


def test_nobody_else_can_read_the_desk(folder):
    for path in (folder.parent, folder, *folder.iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_host_is_given_back(host):
    assert not host.file("/run/marketplace_incident/lease.json").exists
    assert not host.file("/run/to_be_done").exists


def test_what_binds_belongs_to_root(host):
    for path in ("/run/marketplace_incident", "/var/lib/marketplace_incident"):
        assert (host.file(path).user, host.file(path).mode) == ("root", 0o700)


def test_the_journal_of_the_host_knows_the_head(host, entries):
    assert entries[-1]["hash"] in host.check_output("journalctl --since=-10min --no-pager")
