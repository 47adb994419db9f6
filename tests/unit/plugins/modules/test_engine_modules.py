# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shells of the modules that end a marketplace cleanly: arguments in, one answer out, nothing without the lease."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_host, _engine_files
from ansible_collections.monero_marketplace.incident.plugins.modules import container_stop, monero_wallet

Run = Callable[..., dict[str, Any]]
STORED = b'{"id":"0","jsonrpc":"2.0","result":{"height":101}}'
NO_WALLET = b'{"error":{"code":-13,"message":"No wallet file"},"id":"0","jsonrpc":"2.0"}'


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, line, **_more: said.append(line))
    return said


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    def answer(module: Any, **arguments: Any) -> dict[str, Any]:
        with patch_module_args({"lease_dir": str(tmp_path / "lease"), **arguments}), pytest.raises(SystemExit):
            module.main()
        return dict(json.loads(capsys.readouterr().out))

    return answer


def wallets(url: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, "url": url, **more} for name in ("buyer", "vendor")]


def test_wallets_are_stored_and_the_journal_says_so(run: Run, site: Any, journal: list[str]) -> None:
    site.answers = [(200, STORED)]
    found = run(monero_wallet, state="stored", wallets=wallets(site.url, user="marketplace", password="hidden"))
    assert found["changed"] and [one["state"] for one in found["wallets"]] == ["stored", "stored"]
    assert [line for line in journal if line.startswith("wallet of")] == [
        "wallet of buyer: stored, height 101",
        "wallet of vendor: stored, height 101",
    ]
    assert "hidden" not in json.dumps(found["wallets"]) and "hidden" not in " ".join(journal)


def test_check_mode_stores_nothing(run: Run, site: Any, journal: list[str]) -> None:
    site.answers = [(200, STORED)]
    found = run(monero_wallet, state="stored", wallets=wallets(site.url), _ansible_check_mode=True)
    assert found["changed"] and [one["state"] for one in found["wallets"]] == ["ready", "ready"]
    assert not [request for request in site.asked if '"store"' in request]


def test_where_no_wallet_is_open_nothing_changes(run: Run, site: Any, journal: list[str]) -> None:
    site.answers = [(200, NO_WALLET)]
    found = run(monero_wallet, state="stored", wallets=wallets(site.url))
    assert not found["changed"] and "failed" not in found


def test_a_wallet_that_is_not_on_disk_fails_with_all_of_them(run: Run, site: Any, journal: list[str]) -> None:
    site.answers = [(401, b"")]
    found = run(monero_wallet, state="stored", wallets=wallets(site.url))
    assert found["failed"] and "buyer: auth_required" in found["msg"] and "vendor: auth_required" in found["msg"]
    assert len(found["wallets"]) == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"token": "7", "wallets": wallets("http://127.0.0.1:1")}, "token 7"),
        ({"wallets": wallets("shop")}, "is no URL"),
        ({"wallets": wallets("http://127.0.0.1:1", login_file="/nonexistent")}, "marketplace_wallet_login_file"),
    ],
)
def test_a_wallet_is_not_stored_with_one_sentence(run: Run, journal: list[str], more: dict[str, Any], words: str) -> None:
    found = run(monero_wallet, state="stored", **more)
    assert found["failed"] and words in found["msg"] and "\n" not in found["msg"]


@pytest.fixture
def dead_engine(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """No daemon, and nothing that lives."""
    engine.does("docker_info", 'echo "{\\"errors\\":[\\"Cannot connect to the Docker daemon\\"]}"; exit 1')
    engine.says("systemctl_show", "Id=docker.service\nLoadState=loaded\nActiveState=failed\n")
    monkeypatch.setattr(_compose_host, "engine_root", lambda: str(tmp_path))
    monkeypatch.setattr(_engine_files, "living", lambda _root: [])
    return engine


def test_nothing_lives_so_nothing_changes(run: Run, dead_engine: Any, project_dir: str, tmp_path: Path) -> None:
    found = run(container_stop, project_dir=project_dir, order=[["server"]], state_dir=str(tmp_path / "state"))
    assert not found["changed"] and (found["stopped"], found["through"]) == ([], "pid")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"token": "7"}, "token 7"),
        ({"timeouts": {"server": "long"}}, "must be seconds"),
        ({"project_dir": "/none"}, "does not"),
    ],
)
def test_nothing_is_stopped_with_one_sentence(
    run: Run, dead_engine: Any, project_dir: str, tmp_path: Path, more: dict[str, Any], words: str
) -> None:
    arguments = {"project_dir": project_dir, "order": [["server"]], "state_dir": str(tmp_path), **more}
    found = run(container_stop, **arguments)
    assert found["failed"] and words in found["msg"] and "\n" not in found["msg"]


def test_nothing_is_stopped_behind_the_back_of_a_daemon_that_hangs(run: Run, engine: Any, project_dir: str) -> None:
    engine.does("docker_info", "sleep 9")
    found = run(container_stop, project_dir=project_dir, order=[["server"]], docker_timeout=0.2)
    assert found["failed"] and "neither answers nor is it down" in found["msg"]
