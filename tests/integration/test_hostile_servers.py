# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that ask a daemon, a wallet and Prometheus, run by Ansible against a server that answers in the worst ways there are.

Each ends in its state within its time, and no answer costs more than a bounded amount of memory: measured at the process that Ansible
starts, by an interpreter that stands in front of Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from integration.hostile_server import BEHAVIOURS, serving

from rules.collection import FQCN, PROJECT

TIMEOUT = 1.5
# What else a module needs: Python's start, unpacking; much of it on a machine that is busy.
BESIDE = 8.0
MEBIBYTE = 1024**2
MOST_BYTES = 60 * MEBIBYTE
SILENT = {"hang", "hang_in_body", "drip_headers", "drip_body", "drip_to_the_end"}
LOGINS = {"login", "other_login"}
# The answers are all the same to nobody, but the reason is said in the words of each.
SAYS = {
    "hang": "no answer to get_version within", "two_gigabytes": "longer than", "html": "not JSON", "too_many": "429", "broken": "500",
    "redirect": "302", "wrong_types": "holds no height", "huge_numbers": "holds no height", "nan": "holds no height",
    "gzip_bomb": "not what an RPC says", "no_http": "not what an RPC says", "deep": "get_version",
}  # fmt: skip

MEASURE = """#!{python}
import json, os, subprocess, sys, time
began = time.monotonic()
child = subprocess.Popen([{python!r}, *sys.argv[1:]], stdout=subprocess.PIPE)
said = child.stdout.read()
_pid, status, used = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(status)
sys.stdout.buffer.write(said)
sys.stdout.flush()
if b'"changed"' in said:
    with open({note!r}, "a") as file:
        file.write(json.dumps([used.ru_maxrss * 1024, time.monotonic() - began, said.decode()]) + "\\n")
sys.exit(child.returncode)
"""


def playbook(url: str) -> list[dict[str, Any]]:
    there = f"{url}/{{{{ inventory_hostname }}}}"
    wallet = {"role": "buyer", "url": there}
    login = {"role": "vendor", "url": there, "user": "marketplace", "password": "the-password-nobody-may-see"}
    return [
        {
            "hosts": "all", "gather_facts": False, "strategy": "free",
            "tasks": [
                {
                    f"{FQCN}.monero_info": {
                        "daemon": {"url": there}, "wallets": [wallet, login], "timeout": TIMEOUT, "project_dir": "/nonexistent",
                    }
                },
                # Beside a daemon that is well: with one that is silent too, the daemon is the cause.
                {
                    f"{FQCN}.monero_info": {
                        "daemon": {"url": f"{url}/well"}, "wallets": [wallet], "timeout": TIMEOUT, "project_dir": "/nonexistent",
                    },
                    "when": f"inventory_hostname in {sorted(SILENT)}",
                },
                {
                    f"{FQCN}.prometheus_query": {
                        "url": there, "alerts": True, "queries": [{"name": "up", "query": "up"}], "timeout": TIMEOUT,
                    }
                },
            ],
        }
    ]  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, tuple[float, float, dict[str, Any]]]]:
    """By behaviour and module: peak memory in bytes, seconds, and the answer."""
    folder = tmp_path_factory.mktemp("hostile")
    hosts: dict[str, Any] = {}
    for name in ("well", *BEHAVIOURS):
        interpreter = folder / f"python-{name}"
        interpreter.write_text(MEASURE.format(python=sys.executable, note=str(folder / f"{name}.jsonl")))
        interpreter.chmod(0o755)
        hosts[name] = {"ansible_connection": "local", "ansible_python_interpreter": str(interpreter)}
    (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    with serving() as url:
        (folder / "play.yml").write_text(json.dumps(playbook(url)))
        ran = subprocess.run(
            [Path(sys.executable).parent / "ansible-playbook", "-vvv", "-f", "6", "-i", folder / "hosts.json", folder / "play.yml"],
            cwd=PROJECT, env={**os.environ, "ANSIBLE_HOME": str(folder / "home"), "NO_COLOR": "1"},
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert "the-password-nobody-may-see" not in ran.stdout + ran.stderr
    told: dict[str, dict[str, tuple[float, float, dict[str, Any]]]] = {}
    for name in hosts:
        for line in (folder / f"{name}.jsonl").read_text().splitlines():
            memory, seconds, text = json.loads(line)
            answer = json.loads(text[text.index("{") :])
            asked = "prometheus" if "monero" not in answer else "alone" if "monero" in told.get(name, {}) else "monero"
            told.setdefault(name, {})[asked] = (memory, seconds, answer)
    return told


def test_what_is_well_is_seen_as_such(found: Any) -> None:
    monero = found["well"]["monero"][2]["monero"]
    assert [one["state"] for one in monero["wallets"]] == ["ready", "ready"]
    # Its last block is from 1970.
    assert (monero["daemon"]["state"], monero["daemon"]["height"]) == ("stale", 100)
    prometheus = found["well"]["prometheus"][2]
    assert (prometheus["answered"], prometheus["problem"], prometheus["alerts"]) == (True, None, [])


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_wallet_and_a_daemon_end_in_their_state(found: Any, name: str) -> None:
    monero = found[name]["monero"][2]["monero"]
    states = {one["state"] for one in monero["wallets"]}
    assert monero["daemon"]["state"] == ("auth_required" if name in LOGINS else "not_responding")
    assert states == {"auth_required" if name in LOGINS else "daemon_unreachable" if name in SILENT else "not_responding"}
    if name in SILENT:
        assert found[name]["alone"][2]["monero"]["wallets"][0]["state"] == "not_responding"
    assert all(one["evidence"] for one in [monero["daemon"], *monero["wallets"]])
    assert SAYS.get(name, "") in "; ".join(monero["wallets"][0]["evidence"])
    assert all(one["height"] is None for one in monero["wallets"])


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_prometheus_is_not_believed(found: Any, name: str) -> None:
    told = found[name]["prometheus"][2]
    assert told["problem"] and told["alerts"] is None and told["results"]["up"]["samples"] == []
    if name in SILENT:
        assert told["problem"].endswith("no answer in time") and not told["answered"]


@pytest.mark.parametrize("module", ["monero", "prometheus"])
@pytest.mark.parametrize("name", BEHAVIOURS)
def test_time_and_memory_are_bounded(found: Any, name: str, module: str) -> None:
    memory, seconds, _told = found[name][module]
    assert seconds < TIMEOUT + BESIDE
    assert memory - found["well"][module][0] < MOST_BYTES
