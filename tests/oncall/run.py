# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small playbooks with everything a run can do, and real runs of them."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
OVERWRITTEN = "\r\x1b[K"
SUMMARY = """OUTAGE market-1 · RESTORED 02:14:09 UTC, repair 16 s, customers down 7 m 20 s (first bad probe 02:06:49)
cause  server killed by the kernel's OOM killer 02:06:47 (limit 2 GiB); nginx upstream dead
did    started server; reloaded nginx · 6 services untouched
record INC-20261123-0213 · P1 · next update due 02:28 · undo: none needed"""

OUTAGE = """
- name: Nothing to show in here
  hosts: all
  gather_facts: false
  tasks:
    - name: Check that the inventory names a marketplace
      ansible.builtin.assert: {that: true, quiet: true}

- name: Complete service outage
  hosts: all
  gather_facts: false
  vars:
    summary: |-
      %(summary)s
  tasks:
    - name: Respond
      block:
        - name: Diagnose
          ansible.builtin.include_role: {name: stub, tasks_from: diagnose}
        - name: Act
          ansible.builtin.include_role: {name: stub, tasks_from: act}
        - name: Never
          ansible.builtin.include_role: {name: stub, tasks_from: act}
          when: false
      rescue:
        - name: Escalate
          ansible.builtin.include_role: {name: stub, tasks_from: escalate}
      always:
        - name: Close
          ansible.builtin.include_role: {name: stub, tasks_from: close}
"""
ROLE = {
    "diagnose": """
- name: Diagnose | Look at the services
  ansible.builtin.set_fact: {seen: true}
- name: Look | Services and endpoints
  stub_wait: {path: "{{ count }}"}
  register: looked
  until: looked.up
  retries: 9
  delay: 1
- name: Look | A secret
  ansible.builtin.command: {argv: [echo, hunter2]}
  no_log: true
  changed_when: true
- name: Look | Something that may fail
  ansible.builtin.fail: {msg: hidden failure}
  ignore_errors: true
""",
    "act": """
- name: Act | start server, nginx
  ansible.builtin.include_tasks: start.yml
""",
    "start": """
- name: Start | What had stopped
  ansible.builtin.set_fact: {started: true}
  changed_when: true
- name: Start | Break
  ansible.builtin.command: {argv: [ls, /no/such/path]}
  when: broken | default(false) | bool
""",
    "escalate": """
- name: Escalate | Keep what stopped the run
  ansible.builtin.set_fact: {failure: "{{ ansible_failed_result | monero_marketplace.incident.incident_words }}"}
""",
    "close": """
- name: Close | Summary
  ansible.builtin.assert:
    that: failure is not defined
    success_msg: "{{ summary }}"
    fail_msg: "{{ summary.replace('RESTORED', 'NOT RESTORED') }}\\nwhy    {{ failure | default('') }}"
""",
}
# Answers what it waits for, and is up at the third look.
STUB_WAIT = """
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={"path": {}})
with open(module.params["path"], "a+") as file:
    file.write("x")
    file.seek(0)
    looks = len(file.read())
module.exit_json(up=looks > 2, waiting="nginx: starting" + chr(27) + "[2J")
"""

# Each host ends in another way, and none has a summary.
ENDS = """
- name: Nobody is left
  hosts: nobody
  gather_facts: false
  tasks: []

- name: Ends
  hosts: all
  gather_facts: false
  tasks:
    - name: Speak
      ansible.builtin.debug: {msg: [one, two]}
      run_once: true
    - name: Items
      ansible.builtin.command: {argv: [ls, "{{ item }}"]}
      loop: [/, /no/such/item]
      when: inventory_hostname == 'items'
    - name: Hide
      ansible.builtin.command: {argv: [ls, /hunter2]}
      no_log: true
      when: inventory_hostname == 'hide'
    - name: Refuse
      ansible.builtin.fail: {msg: "The host is held."}
      when: inventory_hostname == 'refuse'
    - name: Undefined
      ansible.builtin.command: {argv: ["{{ nothing_such }}"]}
      when: inventory_hostname == 'undefined'
    - name: Wait in vain
      ansible.builtin.command: {argv: ["false"]}
      register: nothing
      until: nothing is success
      retries: 1
      delay: 0
      when: inventory_hostname == 'vain'
    - name: Lost
      ansible.builtin.ping:
      vars: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 1}
      when: inventory_hostname == 'lost'
"""


@dataclass
class Run:
    """One ansible-playbook at work, through a pipe or at a terminal of so many columns."""

    site: Path
    name: str
    play: str = "outage.yml"
    hosts: str = "market-1,"
    extra: tuple[str, ...] = ()
    columns: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    status: int = -1
    said: str = ""

    def start(self) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE")}
        for key in ("NO_COLOR", "COLUMNS", "LINES", "TERM"):
            inherited.pop(key, None)
        environment = {
            **inherited,
            "ANSIBLE_CONFIG": str(self.site / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.site / "home"),
            "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / ".collections"),
            "ANSIBLE_STDOUT_CALLBACK": "monero_marketplace.incident.oncall",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            **({"COLUMNS": str(self.columns), "LINES": "24"} if self.columns else {}),
            **self.variables,
        }
        facts = f"ansible_python_interpreter={sys.executable} count={self.site / self.name}"
        command = [str(PLAYBOOK), "-i", self.hosts, "-c", "local", "-e", facts, *self.extra, str(self.site / self.play)]
        self._ours, theirs = pty.openpty() if self.columns else os.pipe()
        self._process = subprocess.Popen(
            command, env=environment, cwd=self.site, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    def finish(self) -> None:
        said = b""
        while select.select([self._ours], [], [], 120)[0]:
            try:
                more = os.read(self._ours, 65536)
            except OSError:  # Linux's end of a terminal that nobody has open any more
                break
            if not more:
                break
            said += more
        os.close(self._ours)
        self.status = self._process.wait(timeout=60)
        self.said = said.decode().replace("\r\n", "\n")

    @property
    def final(self) -> str:
        """What stays on the screen: lines that were overwritten in place are gone, seconds are N.

        How long a change took is left out: a busy machine takes seconds for what is done at once.
        """
        lines = [line.rsplit(OVERWRITTEN, 1)[-1] for line in self.said.split("\n")]
        shown = re.sub(r" \(\d+ s\)", "", ESCAPE.sub("", "\n".join(lines)))
        return re.sub(r"(waited|waiting) \d+ s", r"\1 N s", shown)


def write(site: Path) -> None:
    tasks = site / "roles" / "stub" / "tasks"
    tasks.mkdir(parents=True)
    for name, content in ROLE.items():
        (tasks / f"{name}.yml").write_text(content)
    (site / "library").mkdir()
    (site / "library" / "stub_wait.py").write_text(STUB_WAIT)
    (site / "outage.yml").write_text(OUTAGE % {"summary": SUMMARY.replace("\n", "\n      ")})
    (site / "ends.yml").write_text(ENDS)
