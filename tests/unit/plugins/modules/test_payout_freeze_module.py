# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of payout_freeze, and what it asks and tells a host, whose docker, nft and systemctl are scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _payout_freeze, _payout_freeze_proof
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _payout_freeze_machine as machine
from ansible_collections.monero_marketplace.incident.plugins.modules import payout_freeze

SITE = {"reason": "an import is needed", "services": ["server"], "wallet_services": ["monero-wallet-rpc-buyer"]}


@pytest.fixture
def run(capsys, tmp_path, monkeypatch, engine, project_dir):
    """Run the module as Ansible does, on a host whose tables are files."""
    journal: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, line, **_more: journal.append(line))
    monkeypatch.setattr(
        payout_freeze, "wish_of", lambda options, real=payout_freeze.wish_of: _with_units(real(options), tmp_path)
    )
    for family in ("bridge", "inet"):
        (tmp_path / family).touch()
    nft = Path(engine.path, "nft")
    nft.write_text(f'#!/bin/sh\necho "nft $*" >> {engine.calls_file}\n[ "$1" = list ] && cat {tmp_path}/loaded 2>/dev/null\n')
    nft.chmod(0o755)
    engine.does("systemctl_daemon-reload", "exit 0")
    engine.does("systemctl_enable", "exit 0")
    engine.does("systemctl_restart", f"touch {tmp_path}/loaded")
    engine.does("systemctl_disable", f"rm -f {tmp_path}/loaded")
    engine.does("docker_update", "exit 0")

    def answer(**arguments: Any) -> dict[str, Any]:
        places = {"project_dir": project_dir, "state_dir": str(tmp_path / "state"), "lease_dir": str(tmp_path / "run")}
        with patch_module_args({**places, **arguments}), pytest.raises(SystemExit):
            payout_freeze.main()
        return {**json.loads(capsys.readouterr().out), "journal": list(journal)}

    return answer


def _with_units(wish: Any, folder: Path) -> Any:
    (folder / "units").mkdir(exist_ok=True)
    return _payout_freeze.Wish(**{**wish.__dict__, "unit_dir": str(folder / "units")})


def told(engine: Any, word: str) -> list[str]:
    return [call for call in engine.calls if word in call]


def test_frozen_by_file_by_unit_and_by_policy(run, engine, tmp_path):
    found = run(**SITE)
    assert found["changed"] and found["freeze"]["by"] == "root" and found["cut"] == "unproven" and not found["not_done"]
    (update,) = told(engine, "docker update")
    assert update.startswith("docker update --restart no ")
    assert list(found["freeze"]["policies"].values()) == [{"service": "server", "name": "unless-stopped", "maximum": 0}]
    order = [
        engine.calls.index(call) for call in (told(engine, "daemon-reload")[0], told(engine, "systemctl restart")[0], update)
    ]
    assert order == sorted(order)
    assert found["journal"][1:] == ["payouts frozen (payouts) by root: an import is needed"]
    assert [one["name"] for one in found["freezes"]] == ["payouts"]


def test_thawed_by_the_same_way_back(run, engine, tmp_path):
    run(**SITE)
    engine.says("docker_inspect", engine.answers.joinpath("docker_inspect").read_text().replace('"unless-stopped"', '"no"'))
    found = run(state="thawed", reason="exchanged", responder="bob")
    assert found["changed"] and found["freezes"] == []
    assert told(engine, "docker update")[-1].startswith("docker update --restart unless-stopped ")
    assert not list((tmp_path / "units").iterdir()) and told(engine, "systemctl disable")
    assert found["journal"][-1] == "payouts thawed (payouts) by bob: exchanged"


def test_which_wallets_were_touched_is_kept_for_who_lifts_it(run):
    touched = [{"role": "buyer", "wallet": "escrow_1"}]
    found = run(**SITE, wallets=touched)
    assert found["freeze"]["wallets"] == found["freezes"][0]["wallets"] == touched
    assert "role" in run(**SITE, wallets=[{"wallet": "escrow_1"}])["msg"]


def test_check_mode_tells_nobody_anything(run, engine, tmp_path):
    found = run(**SITE, _ansible_check_mode=True)
    assert found["changed"] and found["proof"] == [] and not (tmp_path / "state").exists()
    assert not told(engine, "update") and not told(engine, "enable --") and not told(engine, "restart")


def test_docker_that_is_down_keeps_nobody_from_freezing(run, engine, tmp_path):
    engine.does("docker_info", 'echo "Cannot connect to the Docker daemon" >&2; exit 1')
    found = run(**SITE)
    assert found["changed"] and "restart policy of server" in found["not_done"][0]
    assert (tmp_path / "state" / "freezes" / "payouts.json").exists() and told(engine, "systemctl restart")


def test_a_project_that_cannot_be_read_keeps_nobody_from_freezing(run, engine, tmp_path):
    engine.does("docker_compose_config", 'echo "yaml: line 3" >&2; exit 1')
    engine.says("docker_ps", "")
    found = run(**SITE)
    assert "failed" not in found and found["not_done"] and told(engine, "systemctl restart")


def test_a_kernel_that_refuses_the_cut_is_a_failure_and_the_rest_stands(run, engine, tmp_path):
    engine.does("systemctl_restart", "exit 1")
    engine.says("journalctl_--unit", "Could not process rule: Operation not supported\n")
    found = run(**SITE)
    assert found["failed"] and "Operation not supported" in found["msg"] and "stop the server by hand" in found["msg"]
    assert (tmp_path / "state" / "freezes" / "payouts.json").exists() and told(engine, "docker update")


def test_without_nft_the_file_and_the_policies_stand(run, engine, tmp_path, monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda *_words, **_more: None)
    found = run(**SITE)
    assert found["failed"] and "install nftables" in found["msg"]
    assert (tmp_path / "state" / "freezes" / "payouts.json").exists() and told(engine, "docker update")


def test_a_way_that_is_still_open_fails_and_says_which(run, monkeypatch):
    way = {"wallet": "buyer", "address": "172.19.0.6", "port": 18082, "state": "reached", "sentence": "server reaches buyer"}
    monkeypatch.setattr(_payout_freeze_proof, "prove", lambda *_words: [way])
    found = run(**SITE)
    assert found["failed"] and found["msg"].startswith("server reaches buyer although payouts are frozen")
    assert found["proof"] == [way] and found["freeze"]["name"] == "payouts"


def test_another_runs_lease_is_respected(run, tmp_path):
    from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_guard as guard
    from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places
    from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_refusals import Request

    places = Places(state_dir=str(tmp_path / "state"), lease_dir=str(tmp_path / "run"))
    token = guard.acquire(places, Request("alice", "desk", "run-7", "monero_rpc", "freeze"))["token"]
    assert "has the lease" in run(**SITE)["msg"]
    found = run(**SITE, token=token)
    assert (found["freeze"]["by"], found["freeze"]["run_id"]) == ("alice", "run-7")


def test_one_that_is_just_being_restarted_is_told_again(run, engine, tmp_path):
    again = f'[ -e {tmp_path}/asked ] && exit 0; touch {tmp_path}/asked; echo "cannot update a deleted process: unknown" >&2; exit 1'
    engine.does("docker_update", again)
    assert "failed" not in run(**SITE) and len(told(engine, "docker update")) == 2
