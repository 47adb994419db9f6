# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""triage.yml on several hosts at once: nothing that is calm may bury what is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from rules.collection import PROJECT

PLAY = """
- name: Several hosts
  hosts: all
  gather_facts: false
  tasks:
    - name: Triage
      ansible.builtin.include_role: {name: monero_marketplace.incident.triage}
"""
SILENT = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


def test_hosts_where_nothing_can_be_seen_say_everything_and_are_in_the_total(tmp_path: Path) -> None:
    # No Compose project is here, so nothing can be seen of any service.
    known = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "incident_desk_dir": str(tmp_path / "desk"),
        "incident_state_dir": str(tmp_path / "state"),
        "incident_lease_dir": str(tmp_path / "lease"),
        "marketplace_compose_dir": str(tmp_path / "nothing"),
        "marketplace_prometheus_url": "",
        "marketplace_alertmanager_url": "",
        "triage_timeout": 1,
    }
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": {"silent": SILENT, "blind": {}}, "vars": known}}))
    (tmp_path / "play.yml").write_text(PLAY)
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / ".collections"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_STDOUT_CALLBACK": "monero_marketplace.incident.oncall",
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "NO_COLOR": "1",
    }
    run = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", tmp_path / "hosts.json", tmp_path / "play.yml"],
        cwd=tmp_path, env={key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")} | settings,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode != 0, run.stdout
    assert "TRIAGE blind · P1 proposed" in run.stdout and "\nnext " in run.stdout, run.stdout
    assert run.stdout.count("TOTAL 2 hosts · 2 P1\nfirst  silent · P1 · nothing can be seen") == 1, run.stdout
    assert "then   blind · P1 · nothing can be seen" in run.stdout, run.stdout
