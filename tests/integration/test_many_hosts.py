# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hosts in one run, by the real role: who is well, who needs a person, who never answered, who was lost on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rules.collection import PROJECT

# Between its two movements a host named "lost" is gone; one named "silent" was never there.
PLAY = """
- name: Several hosts
  hosts: all
  gather_facts: false
  tasks:
    - name: Respond
      block:
        - name: Open
          ansible.builtin.include_role: {name: monero_marketplace.incident.incident, tasks_from: open}
        - name: Step | Something on the way
          ansible.builtin.ping:
      rescue:
        - name: Escalate
          ansible.builtin.include_role: {name: monero_marketplace.incident.incident, tasks_from: escalate}
      always:
        - name: Close
          ansible.builtin.include_role: {name: monero_marketplace.incident.incident, tasks_from: close}
          vars: {incident_playbook: outage, incident_findings: "{{ findings }}", incident_proof: {sentences: [proven]}}
"""
WELL = {"settled": True}
BROKEN = {"settled": False, "causes": ["the image is gone"], "escalate": [{"sentence": "load it"}], "page": "Database Team"}
NOBODY_HOME = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


def command(site: Path, callback: str, hosts: dict[str, dict[str, object]]) -> subprocess.CompletedProcess[str]:
    folder = site / f"{callback.rpartition('.')[2]}-{len(hosts)}"
    folder.mkdir()
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "incident_desk_dir": str(folder / "desk"),
        "incident_state_dir": str(folder / "state"),
        "incident_lease_dir": str(folder / "lease"),
        "findings": WELL,
    }
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": known}}))
    (folder / "play.yml").write_text(PLAY)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / ".collections"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_STDOUT_CALLBACK": callback,
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "ANSIBLE_ALLOW_EMBEDDED_TEMPLATES": "false",
        "NO_COLOR": "1",
    }
    tool = Path(sys.executable).parent / "ansible-playbook"
    return subprocess.run(
        [tool, "-i", folder / "hosts.json", folder / "play.yml"],
        cwd=folder, env=clean | settings, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


# Whoever is first must not have to survive for the total to be said.
MANY: dict[str, dict[str, object]] = {
    # Its address changes when it has been opened, which is what a host that dies in the middle looks like from here.
    "lost": {
        "ansible_connection": "{{ 'ssh' if __incident_host is defined else 'local' }}",
        "ansible_host": "127.0.0.1",
        "ansible_port": 1,
    },
    "broken": {"findings": BROKEN},
    "silent": NOBODY_HOME,
    "well-1": {},
    "well-2": {},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.CompletedProcess[str]]:
    site = tmp_path_factory.mktemp("site")
    oncall, default = "monero_marketplace.incident.oncall", "ansible.builtin.default"
    wanted = {
        "many": (oncall, MANY),
        "default": (default, MANY),
        "well": (oncall, {"well-1": {}, "well-2": {}}),
        "bad": (oncall, {"broken": {"findings": BROKEN}, "silent": NOBODY_HOME, "worse": {"findings": BROKEN}}),
        "one": (oncall, {"well-1": {}}),
    }
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(wanted, pool.map(lambda one: command(site, *one), wanted.values()), strict=True))


TOTAL = [
    "TOTAL 5 hosts · 2 healthy · 1 needs a person · 1 unreachable · 1 without a result",
    "first  broken · NOT RESTORED, page Database Team · the image is gone",
    "then   lost · NO RESULT · lost during the run; playbooks/status.yml shows what is recorded",
    "then   silent · UNREACHABLE · silent (127.0.0.1) is there but takes no ssh (connection refused).",
]


def test_a_well_host_is_one_line_and_the_others_say_everything(runs):
    lines = runs["many"].stdout.split("\n")
    assert {"OUTAGE well-1 · HEALTHY", "OUTAGE well-2 · HEALTHY"} <= set(lines)
    assert "OUTAGE broken · NOT RESTORED, page Database Team" in lines
    assert "cause  the image is gone" in lines
    assert "OUTAGE silent · UNREACHABLE, nothing changed" in lines


def test_the_total_is_last_names_everybody_and_stands_once(runs):
    said = runs["many"].stdout
    assert "\n".join(TOTAL) in said
    assert said.count("TOTAL") == 1
    assert said.index("TOTAL") > max(said.index(line) for line in ("OUTAGE well-1", "OUTAGE broken", "OUTAGE silent"))


def test_the_default_callback_shows_the_same(runs):
    said = runs["default"].stdout
    for line in TOTAL:
        assert said.count(line) == 1, said


def test_the_exit_status_is_zero_only_if_nobody_needs_a_person(runs):
    assert {name: run.returncode == 0 for name, run in runs.items()} == {
        "many": False,
        "default": False,
        "bad": False,
        "well": True,
        "one": True,
    }
    last = runs["well"].stdout.rstrip().split("\n")[-3:]
    assert sorted(last[:2]) == ["OUTAGE well-1 · HEALTHY", "OUTAGE well-2 · HEALTHY"]
    assert last[2] == "TOTAL 2 hosts · 2 healthy"


def test_the_total_is_said_even_if_no_host_is_well(runs):
    assert runs["bad"].stdout.count("TOTAL 3 hosts · 2 need a person · 1 unreachable") == 1


def test_one_host_has_its_whole_summary_and_no_total(runs):
    assert "OUTAGE well-1 · HEALTHY\nproof  proven" in runs["one"].stdout
    assert "TOTAL" not in runs["one"].stdout


def test_what_never_answered_is_said_in_one_sentence(runs):
    assert "Traceback" not in runs["many"].stdout + runs["many"].stderr
    assert "Task failed" not in runs["many"].stdout, "ssh's own words are for -v"
