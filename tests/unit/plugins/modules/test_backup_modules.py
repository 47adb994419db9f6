# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules around the backups of wallets, and the host's own timer, which makes them without Ansible."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from unit.plugins.archives import PASSPHRASE
from unit.plugins.backups import unpacked, wallets
from unit.plugins.modules.backup_runs import Run, answer_of, systemctl, timed

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_command, _gpg
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting
from ansible_collections.monero_marketplace.incident.plugins.modules import backup_create, backup_info, backup_timer


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two roles' wallets, which nothing has open, and what all modules are told of them."""
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, _line, **_more: None)
    monkeypatch.setattr(_gpg, "_LOCKED", [*_gpg._LOCKED[:-1], "65536"])
    for role in ("buyer", "vendor"):
        wallets(tmp_path / role, "escrow_1")
    return {
        "site": "market-1",
        "wallets": [{"role": role, "service": f"no-{role}", "directory": str(tmp_path / role)} for role in ("buyer", "vendor")],
        "directory": str(tmp_path / "backups"), "passphrase": PASSPHRASE,
        "state_dir": str(tmp_path / "state"), "lease_dir": str(tmp_path / "lease"),
    }  # fmt: skip


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return answer_of(capsys)


def test_made_once_then_fresh_then_found(run: Run, site: dict[str, Any]) -> None:
    first = run(backup_create, {**site, "kind": "wallet"})
    assert first["changed"] and [one["state"] for one in first["backups"]] == ["made", "made"]
    again = run(backup_create, {**site, "kind": "wallet"})
    assert not again["changed"] and [one["path"] for one in again["backups"]] == [one["path"] for one in first["backups"]]
    full = {"kind": "wallet", "directory": site["directory"], "passphrase": PASSPHRASE, "verify": "full"}
    found = run(backup_info, full, site="market-1")
    assert found["newest_good"] == {one["role"]: one["path"] for one in first["backups"]}
    assert run(backup_info, full, roles=["buyer"])["newest_good"] == {"buyer": first["backups"][0]["path"]}


def test_check_mode_stores_and_writes_nothing(run: Run, site: dict[str, Any], tmp_path: Path) -> None:
    found = run(backup_create, {**site, "kind": "wallet"}, _ansible_check_mode=True)
    assert found["changed"] and {one["state"] for one in found["backups"]} == {"would_be_made"}
    assert sorted(os.listdir(tmp_path)) == ["buyer", "vendor"]


def test_one_role_that_fails_fails_the_module_and_keeps_the_others(run: Run, site: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "buyer" / "escrow_1.keys").unlink()
    found = run(backup_create, {**site, "kind": "wallet"})
    assert found["failed"] and found["changed"] and str(tmp_path / "buyer") in found["msg"]
    assert [one["state"] for one in found["backups"]] == ["failed", "made"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"passphrase": ""}, "encrypted only"),
        ({"wallets": []}, "No role is named"),
        ({"wallets": [{"role": "../etc", "service": "x", "directory": "/x"}]}, "cannot be the role"),
        ({"wallets": [{"role": "buyer", "service": "x", "directory": "/x", "url": "http://u:p@x:1"}]}, "carries a login"),
    ],
)
def test_what_cannot_work_is_one_sentence(run: Run, site: dict[str, Any], change: dict[str, Any], sentence: str) -> None:
    found = run(backup_create, {**site, "kind": "wallet", **change})
    assert found["failed"] and sentence in found["msg"] and "\n" not in found["msg"]


def test_without_its_login_a_wallet_is_backed_up_as_it_lies(run: Run, site: dict[str, Any], tmp_path: Path) -> None:
    buyer = {**site["wallets"][0], "url": "http://127.0.0.1:9", "login_file": "/none"}
    found = run(backup_create, {**site, "kind": "wallet", "wallets": [buyer]})["backups"][0]
    assert (
        found["state"] == "made" and "/none cannot be read" in found["notes"][0] and "could not be stored" in found["notes"][1]
    )


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return systemctl(tmp_path, monkeypatch)


@pytest.fixture
def timer(site: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    places = {"tree": str(tmp_path / "tree"), "settings_dir": str(tmp_path / "etc"), "units_dir": str(tmp_path / "units")}
    return {**site, **places, "textfile_dir": str(tmp_path)}


def test_the_timer_makes_the_same_backup_without_ansible(
    run: Run, timer: dict[str, Any], systemd: Path, tmp_path: Path
) -> None:
    assert run(backup_timer, timer)["changed"]
    ran = timed(tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "buyer: made" in ran.stdout and "vendor: made" in ran.stdout
    for role in ("buyer", "vendor"):
        inside = unpacked(str(tmp_path / "backups" / f"latest-{role}.tar.gz.gpg"))
        assert inside[f"{role}/escrow_1.keys"] == (tmp_path / role / "escrow_1.keys").read_bytes()
    found = run(backup_create, {**{name: timer[name] for name in timer if name not in TIMER_ONLY}, "kind": "wallet"})
    assert {one["state"] for one in found["backups"]} == {"fresh"}
    metrics = (tmp_path / "marketplace_backup_wallets.prom").read_text()
    assert 'marketplace_backup_last_run_success{kind="wallet",role="buyer"} 1' in metrics
    assert list((tmp_path / "tree").rglob("__pycache__")) == []


TIMER_ONLY = ("tree", "settings_dir", "units_dir", "textfile_dir")


def test_the_timer_is_installed_once_and_removed_whole(run: Run, timer: dict[str, Any], systemd: Path, tmp_path: Path) -> None:
    planned = run(backup_timer, timer, _ansible_check_mode=True)
    assert planned["changed"] and not (tmp_path / "tree").exists()
    assert set(planned["files"]) == set(run(backup_timer, timer)["files"])
    again = run(backup_timer, timer)
    assert not again["changed"] and again["timer"] == "active"
    assert run(backup_timer, timer, schedule="hourly")["files"] == [
        str(tmp_path / "units" / "marketplace-backup-wallets.timer")
    ]
    # Somebody switched it off by hand.
    (tmp_path / "on.marketplace-backup-wallets.timer").unlink()
    assert (
        run(backup_timer, timer, schedule="hourly")["changed"] and (tmp_path / "on.marketplace-backup-wallets.timer").exists()
    )
    secret = [
        path for path in tmp_path.rglob("*") if path.is_file() and PASSPHRASE in path.read_bytes().decode("utf-8", "replace")
    ]
    assert [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in secret] == [("backup-wallets.passphrase", 0o600)]
    assert PASSPHRASE not in systemd.read_text()
    (tmp_path / "etc" / "mine").write_text("stays")
    assert run(backup_timer, timer, state="absent")["changed"]
    assert (
        not (tmp_path / "tree").exists() and os.listdir(tmp_path / "units") == [] and os.listdir(tmp_path / "etc") == ["mine"]
    )
    assert (
        not (tmp_path / "on.marketplace-backup-wallets.timer").exists()
        and not run(backup_timer, timer, state="absent")["changed"]
    )


def test_the_timer_waits_for_whoever_acts_and_for_a_hold(
    run: Run, timer: dict[str, Any], systemd: Path, tmp_path: Path
) -> None:
    run(backup_timer, timer)
    with acting(timer["lease_dir"], None):
        ran = timed(tmp_path)
    assert ran.returncode == 75 and ran.stderr.startswith("Not now: Another step is still at work")
    (tmp_path / "state" / "holds").mkdir(parents=True)
    hold = tmp_path / "state" / "holds" / "evidence.json"
    hold.write_text(json.dumps({"reason": "evidence", "by": "alice", "playbooks": ["backup"]}))
    ran = timed(tmp_path)
    assert ran.returncode == 75 and "The hold 'evidence' by alice forbids it: evidence." in ran.stderr
    assert not (tmp_path / "backups").exists()
    hold.write_text(json.dumps({"reason": "evidence", "by": "alice", "playbooks": ["rollback"]}))
    assert timed(tmp_path).returncode == 0


def test_a_role_that_fails_fails_the_unit_and_keeps_its_last_success(
    run: Run, timer: dict[str, Any], systemd: Path, tmp_path: Path
) -> None:
    run(backup_timer, timer, minimum_age=0)
    assert timed(tmp_path).returncode == 0
    metrics = tmp_path / "marketplace_backup_wallets.prom"
    before = [line for line in metrics.read_text().splitlines() if "timestamp" in line and "buyer" in line]
    (tmp_path / "buyer" / "escrow_1.keys").unlink()
    ran = timed(tmp_path)
    assert ran.returncode == 1 and "FAILED buyer: No wallet lies in" in ran.stdout
    after = metrics.read_text()
    assert before[0] in after and 'marketplace_backup_last_run_success{kind="wallet",role="buyer"} 0' in after
    assert stat.S_IMODE(metrics.stat().st_mode) == 0o644


def test_settings_that_are_damaged_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.json").write_text("{")
    assert _backup_command.main([str(tmp_path / "s.json")]) == 1
    assert _backup_command.main([str(tmp_path / "none.json")]) == 1
    assert _backup_command.main([]) == 2
    assert "cannot be understood" in capsys.readouterr().err


def test_a_timer_without_a_key_is_refused(run: Run, timer: dict[str, Any], systemd: Path) -> None:
    assert "a passphrase or a recipient" in run(backup_timer, timer, passphrase="")["msg"]
