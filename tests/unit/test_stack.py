# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's marketplace is what drills rely on: the project's shape, and the parts of the server that tell the truth."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from drills.ledger import committed, expected
from lab import faults
from lab.stack.project import UNTRACKED, write_project
from lab.stack.server.marketplace.ledger import Ledger
from lab.stack.server.marketplace.pool import NoConnectionError, Pool
from lab.stack.server.marketplace.seed import create
from lab.stack.server.marketplace.settings import SettingError, Settings
from lab.stack.server.marketplace.writer import Writer

PROJECT: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "lab/stack/compose.yml").read_text(encoding="utf-8"))
SERVICES = PROJECT["services"]

WANTED_SERVICES = {
    "server", "database", "nginx", "monerod",
    "monero-wallet-rpc-buyer", "monero-wallet-rpc-vendor", "monero-wallet-rpc-arbiter",
    "prometheus", "alertmanager", "blackbox-exporter", "node-exporter",
}  # fmt: skip

HANDBOOK_FAULTS = {
    "containers-exited", "crash-loop", "disk-full", "docker-stopped", "hung", "image-missing", "paused", "stack-down",
    "unhealthy",
}  # fmt: skip


@pytest.fixture
def database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    path = str(tmp_path / "marketplace.db")
    assert create(path, 200) == 0
    capsys.readouterr()
    yield path


def test_project_has_the_handbooks_services() -> None:
    assert set(SERVICES) == WANTED_SERVICES


@pytest.mark.parametrize("name", sorted(WANTED_SERVICES))
def test_every_service_is_watched_and_comes_back(name: str) -> None:
    service = SERVICES[name]
    assert service["pull_policy"] == "never", "no registry is needed, and none is asked in an outage"
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True
    assert service["stop_grace_period"]
    assert service["healthcheck"]["test"]
    assert service["healthcheck"]["interval"] in ("3s", "6s")
    assert "container_name" not in service
    assert "logging" not in service, "logs grow without bounds here, as they do where nobody thought of it"


def test_every_published_port_is_the_handbooks() -> None:
    published = {port.split(":")[0] for service in SERVICES.values() for port in service.get("ports", ())}
    assert published == {"80", "443", "8080", "9090", "9093"}


def test_no_secret_is_in_the_project() -> None:
    text = json.dumps(PROJECT)
    assert "rpc-login" not in text.replace("s/^rpc-login=/user=/", "")
    assert PROJECT["secrets"]["wallet_rpc_login"]["file"] == "./secrets/wallet_rpc_login"


def test_site_certificate_is_trusted_by_whoever_trusts_its_authority(tmp_path: Path) -> None:
    write_project(tmp_path / "project", tmp_path / "authority")
    certificate = tmp_path / "project/nginx/tls/site.crt"
    checked = ["openssl", "verify", "-x509_strict", "-CAfile", tmp_path / "authority/ca.crt", "-purpose", "sslserver"]
    for name in (["-verify_ip", "127.0.0.1"], ["-verify_hostname", "nginx"]):
        subprocess.run([*checked, *name, certificate], check=True, capture_output=True)
    assert not (tmp_path / "project/nginx/tls/ca.key").exists(), "the proxy has no use for the authority's key"


def test_each_project_has_a_session_key_of_its_own(tmp_path: Path) -> None:
    settings = []
    for name in ("one", "other"):
        write_project(tmp_path / name, tmp_path / "authority")
        file = tmp_path / name / ".env"
        assert file.stat().st_mode & 0o777 == 0o600
        settings.append(file.read_text().split("SESSION_KEY=")[1])
    assert settings[0] != settings[1]
    assert all(len(one.strip()) >= 32 for one in settings)
    assert all((tmp_path / "one" / name).is_file() for name in UNTRACKED), "what the lab keeps a copy of is there"


def test_each_fault_says_what_a_user_sees() -> None:
    assert set(faults.names()) >= HANDBOOK_FAULTS
    for name in faults.names():
        assert faults.summary(name) and "\n" not in faults.summary(name)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"POOL_SIZE": "ten"}, "POOL_SIZE must be a whole number from 1 to 200, found 'ten'"),
        ({"POOL_SIZE": "0"}, "POOL_SIZE must be a whole number from 1 to 200, found '0'"),
        ({"WRITER_RATE": "-1"}, "WRITER_RATE must be a whole number from 0 to 1000, found '-1'"),
        ({"WALLETS": "buyer"}, "WALLETS must be a list of role=http://host:port, found 'buyer'"),
        ({"WALLET_LOGIN_FILE": "/nowhere"}, "WALLET_LOGIN_FILE /nowhere cannot be read: No such file or directory"),
        ({"SESSION_KEY": "x", "BUGS": "repay none"}, "BUGS must be a choice of recreate, repay, found 'none'"),
        ({}, "SESSION_KEY is not set, and is needed to sign the sessions of customers"),
    ],
)
def test_wrong_setting_is_named(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingError) as refused:
        Settings.read(environment)
    assert str(refused.value) == words


def test_seeding_again_changes_nothing(database: str) -> None:
    before = Path(database).read_bytes()
    assert create(database, 500) == 0
    assert Path(database).read_bytes() == before


def test_seeded_database_is_sound(database: str) -> None:
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("SELECT count(*) FROM orders").fetchone() == (200,)
    connection.close()


def test_pool_runs_out_with_the_handbooks_words(database: str) -> None:
    pool = Pool(database, size=2, wait_seconds=0.01)
    first = pool.acquire()
    with pool.connection():
        assert pool.in_use == 2
        with pytest.raises(NoConnectionError, match="Failed to get DB connection: 2 of 2 in use"):
            pool.acquire()
    pool.release(first)
    assert (pool.in_use, pool.waiting) == (0, 0)
    pool.close()


def test_missing_database_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        Pool(str(tmp_path / "none.db"), size=1)
    assert not (tmp_path / "none.db").exists()


def test_torn_line_stays_alone(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(b'{"id":"1-1","phase":"intent","changes":[]}\n{"id":"1-1","pha')
    ledger = Ledger(str(tmp_path))
    ledger.committed(ledger.intend([]))
    ledger.close()
    lines = file.read_bytes().splitlines()
    assert len(lines) == 4
    assert [json.loads(line)["phase"] for line in lines[2:]] == ["intent", "committed"]


def test_ledger_tells_what_the_database_holds(database: str, tmp_path: Path) -> None:
    writer = Writer(database, str(tmp_path), rate=1000)
    writer.start()
    lines: list[dict[str, Any]] = []
    while len(lines) < 400:
        lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_bytes().split(b"\n")[:-1]]
    writer.stop()
    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_bytes().splitlines()]
    counts = committed(lines)
    assert set(counts) == {"insert", "update", "delete"}
    connection = sqlite3.connect(database)
    rows = {
        reference: tuple(row)
        for reference, *row in connection.execute(
            "SELECT reference, status, revision, total_piconero,"
            " (SELECT count(*) FROM order_items WHERE order_id = orders.id) FROM orders"
        )
    }
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    assert len(rows) == 200 + counts["insert"] - counts["delete"]
    assert {key: states for key, states in expected(lines).items() if rows.get(key) not in states} == {}
