# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's inventory script, run as Ansible runs it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "inventories/lab/labs.py"


def write_state(home: Path, name: str, port: int, **more: object) -> None:
    folder = home / "labs" / name
    folder.mkdir(parents=True)
    state = {
        "name": name,
        "address": "127.0.0.1",
        "ports": {"ssh": port},
        "ssh_user": "deploy",
        "ssh_key": str(folder / "ssh/id_ed25519"),
        "known_hosts": str(folder / "ssh/known hosts"),
        "desk": str(folder / "desk"),
        **more,
    }
    (folder / "state.json").write_text(json.dumps(state))


def ask(home: Path, *arguments: str, **environment: str) -> Any:
    plain = {key: value for key, value in os.environ.items() if key != "LAB"}
    asked = subprocess.run(
        [SCRIPT, *arguments],
        env={**plain, "MARKETPLACE_LAB_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(asked.stdout)


@pytest.fixture
def two_labs(tmp_path: Path) -> Path:
    write_state(tmp_path, "market-1", 20100)
    write_state(tmp_path, "market-2", 20110)
    (tmp_path / "labs/market-3").mkdir()  # killed before it was complete
    return tmp_path


def test_no_lab_gives_an_empty_group(tmp_path: Path) -> None:
    assert ask(tmp_path, "--list") == {"marketplace": {"hosts": []}, "_meta": {"hostvars": {}}}


def test_all_is_every_complete_lab(two_labs: Path) -> None:
    assert ask(two_labs, "--list", LAB="all")["marketplace"]["hosts"] == ["market-1", "market-2"]


def test_without_a_name_only_the_default_lab_is_touched(two_labs: Path) -> None:
    assert ask(two_labs, "--list")["marketplace"]["hosts"] == ["market-1"]


def test_lab_in_the_environment_leaves_only_that_one(two_labs: Path) -> None:
    assert ask(two_labs, "--list", LAB="market-2")["marketplace"]["hosts"] == ["market-2"]


@pytest.mark.parametrize("names", ["market-1,market-2", "market-*", "market-2,market-*"])
def test_several_may_be_named_and_each_is_there_once(two_labs: Path, names: str) -> None:
    assert ask(two_labs, "--list", LAB=names)["marketplace"]["hosts"] == ["market-1", "market-2"]


def test_a_light_host_is_only_there_when_asked_for_and_brings_its_own_site(two_labs: Path) -> None:
    write_state(two_labs, "market-1-light-01", 20130, site={"marketplace_prometheus_url": ""})
    assert ask(two_labs, "--list", LAB="market-1")["marketplace"]["hosts"] == ["market-1"]
    found = ask(two_labs, "--list", LAB="market-1,market-1-light-*")
    assert found["marketplace"]["hosts"] == ["market-1", "market-1-light-01"]
    assert found["_meta"]["hostvars"]["market-1-light-01"]["marketplace_prometheus_url"] == ""
    assert "marketplace_prometheus_url" not in found["_meta"]["hostvars"]["market-1"]


def test_a_host_has_its_own_port_desk_and_known_hosts(two_labs: Path) -> None:
    host = ask(two_labs, "--host", "market-2", LAB="market-2")
    assert host["ansible_port"] == 20110
    assert host["incident_desk_dir"] == str(two_labs / "labs/market-2/desk")
    assert f"UserKnownHostsFile='{two_labs}/labs/market-2/ssh/known hosts'" in host["ansible_ssh_common_args"]
