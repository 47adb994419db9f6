#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory of the labs that LAB names, market-1 without it: one, several with commas between them, patterns with *, or all.

Reads what script/lab wrote, and nothing else: an inventory must be quick, and a lab that is broken still belongs to it.
"""

import json
import os
import shlex
import sys
from pathlib import Path

# A host that stops answering in the middle of a run is given up as one that never answered: after a time, not after TCP's.
SSH_ARGS = (
    "-C -o ControlMaster=auto -o ControlPersist=60s -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=4"
)


def labs_folder() -> Path:
    """Where script/lab keeps a folder for each lab."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("MARKETPLACE_LAB_HOME") or cache / "marketplace_lab") / "labs"


def states() -> list[dict]:
    """What is known about each lab that is up."""
    # One by default, as script/lab has it: a playbook must not repair a lab that somebody else has broken on purpose.
    wanted = (os.environ.get("LAB") or "market-1").split(",")
    files = {file for name in wanted for file in labs_folder().glob(f"{'*' if name == 'all' else name}/state.json")}
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(files)]


def host_variables(state: dict) -> dict:
    """How Ansible reaches the lab's host, which desk belongs to it, and in what its site differs from the group's."""
    ssh_folder = Path(state["ssh_key"]).parent
    known = f"-o UserKnownHostsFile={shlex.quote(state['known_hosts'])} -o StrictHostKeyChecking=yes"
    return {
        "ansible_host": state["address"],
        "ansible_port": state["ports"]["ssh"],
        "ansible_user": state["ssh_user"],
        "ansible_ssh_private_key_file": state["ssh_key"],
        "ansible_ssh_common_args": f"{known} -o IdentitiesOnly=yes",
        "ansible_ssh_args": SSH_ARGS,
        # Beside the key: a lab that went takes its connection with it, and no two labs share one.
        "ansible_control_path": str(ssh_folder / "ansible"),
        "ansible_pipelining": True,
        "ansible_python_interpreter": "/usr/bin/python3",
        "incident_desk_dir": state["desk"],
        **state.get("site", {}),
    }


def inventory() -> dict:
    """All of it, in the shape Ansible reads from a script."""
    hosts = {state["name"]: host_variables(state) for state in states()}
    return {"marketplace": {"hosts": list(hosts)}, "_meta": {"hostvars": hosts}}


def main() -> None:
    """Answer --list and --host NAME."""
    everything = inventory()
    one = sys.argv[2] if sys.argv[1:2] == ["--host"] else None
    answer = everything["_meta"]["hostvars"].get(one, {}) if one else everything
    sys.stdout.write(json.dumps(answer, indent=2) + "\n")


if __name__ == "__main__":
    main()
