# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules around the backups of the database, and the host's own timers: hourly backups, and the proof that they can be restored."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from unit.plugins.archives import PASSPHRASE
from unit.plugins.backups import wallets
from unit.plugins.databases import database, restored, rows
from unit.plugins.modules.backup_runs import Run, answer_of, systemctl, timed

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_metrics, _gpg
from ansible_collections.monero_marketplace.incident.plugins.modules import backup_create, backup_info, backup_timer


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, _line, **_more: None)
    monkeypatch.setattr(_gpg, "_LOCKED", [*_gpg._LOCKED[:-1], "65536"])
    database(tmp_path / "data" / "marketplace.db")
    return {
        "kind": "database", "site": "market-1", "path": str(tmp_path / "data" / "marketplace.db"), "minimum_age": 0,
        "directory": str(tmp_path / "backups"), "passphrase": PASSPHRASE,
        "state_dir": str(tmp_path / "state"), "lease_dir": str(tmp_path / "lease"),
    }  # fmt: skip


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return answer_of(capsys)


@pytest.fixture
def timer(site: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    systemctl(tmp_path, monkeypatch)
    places = {"tree": str(tmp_path / "tree"), "settings_dir": str(tmp_path / "etc"), "units_dir": str(tmp_path / "units")}
    return {**site, **places, "textfile_dir": str(tmp_path)}


def full(site: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    told = {name: site[name] for name in ("kind", "directory", "passphrase", "site")}
    return {**told, "verify": "full", "scratch_dir": str(tmp_path / "scratch")}


def test_made_once_then_fresh_then_found(run: Run, site: dict[str, Any], tmp_path: Path) -> None:
    planned = run(backup_create, site, _ansible_check_mode=True)
    assert planned["changed"] and planned["backups"][0]["state"] == "would_be_made" and not (tmp_path / "backups").exists()
    first = run(backup_create, site)
    assert first["changed"] and first["backups"][0]["state"] == "made"
    again = run(backup_create, site, minimum_age=900)
    assert not again["changed"] and again["backups"][0]["path"] == first["backups"][0]["path"]
    found = run(backup_info, full(site, tmp_path))
    assert found["newest_good"] == {"database": first["backups"][0]["path"]} and found["backups"][0]["content"] == "ok"
    assert run(backup_info, full(site, tmp_path), site="market-2")["newest_good"] == {}


def test_what_cannot_work_is_one_sentence(run: Run, site: dict[str, Any], tmp_path: Path) -> None:
    for change, sentence in (
        ({"passphrase": ""}, "encrypted only"),
        ({"path": str(tmp_path / "none.db")}, "is not there"),
        ({"path": None}, "path"),
        ({"wallets": [{"role": "../etc", "service": "x", "directory": "/x"}]}, "cannot be the role"),
    ):
        found = run(backup_create, {**site, **change})
        assert found["failed"] and sentence in found["msg"] and "\n" not in found["msg"]


def test_the_heights_of_the_wallets_are_noted_as_far_as_they_are_known(run: Run, site: dict[str, Any], tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    told = [{"role": role, "service": f"no-{role}", "directory": str(tmp_path / role)} for role in ("buyer", "vendor")]
    found = run(backup_create, site, wallets=told)["backups"][0]
    assert found["state"] == "made" and found["manifest"]["wallets"] == {"buyer": {"escrow_1": None}, "vendor": {}}


def test_the_timer_makes_the_same_backup_and_another_one_proves_it(run: Run, timer: dict[str, Any], tmp_path: Path) -> None:
    wallets(tmp_path / "buyer", "escrow_1")
    told = [{"role": "buyer", "service": "no-buyer", "directory": str(tmp_path / "buyer")}]
    assert run(backup_timer, timer)["changed"] and not run(backup_timer, timer)["changed"]
    unit = (tmp_path / "units" / "marketplace-backup-database.timer").read_text()
    assert "OnCalendar=hourly\n" in unit and "FixedRandomDelay=true\n" in unit
    ran = timed(tmp_path, "database")
    assert (ran.returncode, ran.stderr) == (0, "") and "database: made" in ran.stdout
    image = restored(str(tmp_path / "backups" / "latest.db.gz.gpg"), tmp_path / "out.db")
    assert rows(image) == 50
    image.close()
    metrics = (tmp_path / "marketplace_backup_database.prom").read_text()
    assert 'marketplace_backup_last_run_success{kind="database",role="database"} 1' in metrics

    kept = str(tmp_path / "wallets")
    assert run(backup_create, {**site_of(timer), "kind": "wallet", "wallets": told, "directory": kept, "path": None})["changed"]
    prove = {**timer, "kind": "prove", "wallets": told, "wallets_directory": kept}
    assert run(backup_timer, prove)["changed"]
    ran = timed(tmp_path, "prove")
    assert (ran.returncode, ran.stderr) == (0, "") and "database: good" in ran.stdout and "buyer: good" in ran.stdout
    proof = dict(
        line.rsplit(" ", 1) for line in (tmp_path / "marketplace_backup_prove.prom").read_text().splitlines() if line[0] != "#"
    )
    for labels in ('{kind="database",role="database"}', '{kind="wallet",role="buyer"}'):
        assert proof[f"marketplace_backup_proven_last_run_success{labels}"] == "1"
        assert 0 <= float(proof[f"marketplace_backup_proven_rto_seconds{labels}"]) < 60
        assert 0 <= float(proof[f"marketplace_backup_proven_rpo_seconds{labels}"]) < 60
    assert sorted(os.listdir(tmp_path / "data")) == ["marketplace.db"]
    # An archive that cannot be restored fails the unit, and the time of the last proof stays.
    for archive in (tmp_path / "backups").glob("marketplace-db-*.gpg"):
        archive.write_bytes(archive.read_bytes()[:-20])
    ran = timed(tmp_path, "prove")
    assert ran.returncode == 1 and "FAILED database:" in ran.stdout
    after = (tmp_path / "marketplace_backup_prove.prom").read_text()
    labels = '{kind="database",role="database"}'
    assert f"marketplace_backup_proven_last_run_success{labels} 0" in after
    assert f"proven_timestamp_seconds{labels} {proof[f'marketplace_backup_proven_timestamp_seconds{labels}']}" in after
    assert f"proven_rto_seconds{labels}" not in after


def site_of(timer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in timer.items() if name not in ("tree", "settings_dir", "units_dir", "textfile_dir")}


def test_two_timers_share_the_code_and_go_one_by_one(run: Run, timer: dict[str, Any], tmp_path: Path) -> None:
    run(backup_timer, timer, key="the key of the database")
    run(backup_timer, timer, kind="prove")
    secret = {path.name: path for path in (tmp_path / "etc").iterdir() if stat.S_IMODE(path.stat().st_mode) == 0o600}
    assert set(secret) == {
        f"backup-{task}.{ending}" for task in ("database", "prove") for ending in ("json", "key", "passphrase")
    }
    assert "the key of the database" not in secret["backup-database.json"].read_text()
    assert run(backup_timer, timer, state="absent")["changed"]
    assert sorted(os.listdir(tmp_path / "units")) == ["marketplace-backup-prove.service", "marketplace-backup-prove.timer"]
    assert list((tmp_path / "tree").rglob("_database_backup.py"))
    assert run(backup_timer, timer, kind="prove", state="absent")["changed"]
    assert not (tmp_path / "tree").exists() and not (tmp_path / "etc").exists() and os.listdir(tmp_path / "units") == []


@pytest.mark.parametrize("missing", ["path", "directory", "passphrase"])
def test_a_timer_that_could_not_work_is_not_installed(run: Run, timer: dict[str, Any], missing: str, tmp_path: Path) -> None:
    for kind in ("database", "prove"):
        found = run(backup_timer, {**timer, "kind": kind, missing: "" if missing == "passphrase" else None})
        assert found["failed"] and "set them in the inventory" in found["msg"] and not (tmp_path / "units").exists()


def test_a_damaged_database_fails_the_unit_and_publishes_nothing(run: Run, timer: dict[str, Any], tmp_path: Path) -> None:
    run(backup_timer, timer)
    (tmp_path / "data" / "marketplace.db").write_bytes(b"something else " * 1000)
    ran = timed(tmp_path, "database")
    assert ran.returncode == 1 and "FAILED database:" in ran.stdout
    assert list((tmp_path / "backups").glob("*.gpg")) == []
    (tmp_path / "state" / "holds").mkdir(parents=True)
    hold = {"reason": "evidence", "by": "alice", "playbooks": ["backup"]}
    (tmp_path / "state" / "holds" / "evidence.json").write_text(json.dumps(hold))
    assert timed(tmp_path, "database").returncode == 75


def test_what_no_metric_is_known_of_has_no_line() -> None:
    failed = {"role": "database", "state": "failed", "age_seconds": None, "bytes": None}
    made: Callable[..., str] = _backup_metrics.made
    text = made("database", [failed], "", 1000.0)
    assert [line for line in text.splitlines() if line[0] != "#"] == [
        'marketplace_backup_last_run_success{kind="database",role="database"} 0'
    ]
    before = 'marketplace_backup_last_success_timestamp_seconds{kind="database",role="database"} 900\n'
    assert before in made("database", [failed], before, 1000.0)
