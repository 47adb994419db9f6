# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""monero_info against recorded answers of real programs: what it says, what it asks, and how long it takes."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from unit.plugins.rpc_server import recorded_rpc, serving

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _engine_files, _monero_containers
from ansible_collections.monero_marketplace.incident.plugins.modules import monero_info

Run = Callable[..., dict[str, Any]]
READS = {"get_version", "get_height", "get_address", "is_multisig", "get_balance", "get_info", "get_last_block_header"}
SECRET = "the-password-nobody-may-see"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(AnsibleModule, "log", lambda *_line, **_more: None)

    def answer(**arguments: Any) -> dict[str, Any]:
        with patch_module_args({"project_dir": "/nonexistent", "timeout": 1.5, **arguments}), pytest.raises(SystemExit):
            monero_info.main()
        return dict(json.loads(capsys.readouterr().out))

    return answer


def wallet(url: str, **more: Any) -> dict[str, Any]:
    return {"role": "buyer", "url": url, **more}


def test_a_wallet_that_is_ready_beside_its_daemon(run: Run) -> None:
    with serving(recorded_rpc("ready")) as rpc, serving(recorded_rpc("daemon")) as daemon:
        found = run(daemon={"url": daemon.url}, wallets=[wallet(rpc.url, user="u", password=SECRET)])
    assert (found["changed"], found["waiting"]) == (False, "")
    one = found["monero"]["wallets"][0]
    assert (one["state"], one["height"], one["lag"], one["rpc_version"], one["release"]) == (
        "ready",
        146,
        0,
        "1.25",
        "0.18.0.0",
    )
    assert one["multisig"] == {"ready": True, "threshold": 2, "total": 3} and one["import_needed"] is False
    assert one["address"].startswith("4A4Niiyk") and one["login"] == {"given": True, "file_changed_at": None}
    told = found["monero"]["daemon"]
    assert (told["state"], told["height"], told["network"], told["offline"]) == ("synchronized", 146, "fakechain", True)
    assert (told["peers_out"], told["version"], told["target_height"]) == (0, "0.18.0.0-unknown", 0)
    assert set(rpc.methods + daemon.methods) == READS, "it asks nothing else, and nothing that changes anything"
    assert SECRET not in json.dumps(found["monero"])


def test_balances_only_on_request(run: Run) -> None:
    answers = recorded_rpc("ready")
    answers["get_balance"] = {"balance": 777000111, "unlocked_balance": 777000110, "multisig_import_needed": True}
    with serving(answers) as rpc:
        assert "777000" not in json.dumps(run(wallets=[wallet(rpc.url)]))
        found = run(wallets=[wallet(rpc.url)], balances=True)["monero"]["wallets"][0]
    assert (found["balance"], found["unlocked_balance"], found["import_needed"]) == (777000111, 777000110, True)


def test_no_wallet_open_is_alive(run: Run) -> None:
    with serving(recorded_rpc("no_wallet_open")) as rpc:
        found = run(wallets=[wallet(rpc.url, wallet="escrow_1", open="always")])
    one = found["monero"]["wallets"][0]
    assert (one["state"], one["rpc_version"], one["height"]) == ("no_wallet_open", "1.25", None)
    assert found["waiting"] == "buyer: no_wallet_open"
    assert set(rpc.methods) == {"get_version", "get_height"}


def test_below_a_path_of_a_proxy(run: Run) -> None:
    with serving(recorded_rpc("ready")) as rpc:
        for url in (f"{rpc.url}/wallets/buyer/", f"{rpc.url}/json_rpc"):
            assert run(wallets=[wallet(url)])["monero"]["wallets"][0]["state"] == "ready"
    assert set(rpc.paths) == {"/wallets/buyer/json_rpc", "/json_rpc"}


def test_one_that_hangs_costs_its_time_once(run: Run) -> None:
    def hang(_params: Any) -> dict[str, Any]:
        time.sleep(60)
        return {}

    with (
        serving(recorded_rpc("ready")) as well,
        serving({"get_version": hang}) as hung,
        serving(recorded_rpc("daemon")) as daemon,
    ):
        began = time.monotonic()
        found = run(timeout=5, daemon={"url": daemon.url}, wallets=[wallet(hung.url), wallet(well.url), wallet(hung.url)])
        assert time.monotonic() - began < 9.5, "one after the other they would take ten seconds"
    assert [one["state"] for one in found["monero"]["wallets"]] == ["not_responding", "ready", "not_responding"]
    assert "no answer to get_version" in found["monero"]["wallets"][0]["evidence"][0]


def test_a_login_that_cannot_be_read_is_said_where_one_is_wanted(run: Run) -> None:
    with serving(recorded_rpc("ready")) as rpc:
        found = run(wallets=[wallet(rpc.url, login_file="/nonexistent")])
    assert found["monero"]["wallets"][0]["state"] == "ready"
    assert found["monero"]["wallets"][0]["login"] == {"given": False, "file_changed_at": None}


def test_a_service_without_a_container(run: Run, engine: Any) -> None:
    found = run(daemon={"service": "monerod"}, wallets=[{"role": "buyer", "service": "no-such-service"}])
    assert found["monero"]["wallets"][0]["state"] == "container_down"
    assert found["waiting"] == "daemon: container_down; buyer: container_down"


def test_docker_that_says_nothing_leaves_time_for_the_questions(
    run: Run, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.does("docker_ps", "sleep 60")
    monkeypatch.setattr(_monero_containers, "engine_root", lambda: str(tmp_path))
    monkeypatch.setattr(_engine_files, "notes", lambda _root: [])
    with serving(recorded_rpc("ready")) as rpc:
        began = time.monotonic()
        found = run(timeout=5, wallets=[wallet(rpc.url, service="rpc")])
        assert time.monotonic() - began < 30
    one = found["monero"]["wallets"][0]
    assert (one["state"], one["container"]) == ("ready", None)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"wallets": [{"role": "buyer", "url": "shop"}]}, "is no URL"),
        ({"daemon": {"url": "http://u:p@host:1"}}, "carries a login"),
        ({"timeout": 0}, "above 0"),
    ],
)
def test_one_sentence(run: Run, more: dict[str, Any], words: str) -> None:
    found = run(**more)
    assert found["failed"] and words in found["msg"] and "\n" not in found["msg"]


def test_nothing_named_is_nothing_found(run: Run) -> None:
    found = run()["monero"]
    assert (found["wallets"], found["daemon"]["state"]) == ([], "unknown")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of a proxy for 127.0.0.1, signed by nobody."""
    made = tmp_path / "proxy.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", made.with_suffix(".key"), "-out", made],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


def test_behind_a_proxy_with_tls(run: Run, certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    with serving(recorded_rpc("ready"), context) as rpc:
        unproven = run(wallets=[wallet(rpc.url)])["monero"]["wallets"][0]
        assert unproven["state"] == "not_responding" and "certificate" in unproven["evidence"][0]
        assert run(wallets=[wallet(rpc.url)], validate_certs=False)["monero"]["wallets"][0]["state"] == "ready"
