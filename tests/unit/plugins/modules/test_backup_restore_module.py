# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module around a database's restore: what it asks for, what it returns, and that its secrets stay its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from unit.plugins.archives import PASSPHRASE
from unit.plugins.database_restores import SITE, everything, rows, shop
from unit.plugins.modules.backup_runs import Run, answer_of

from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_guard import acting
from ansible_collections.monero_marketplace.incident.plugins.modules import backup_restore


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return answer_of(capsys)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, _line, **_more: None)
    shop(tmp_path)
    return {
        "kind": "database", "path": str(tmp_path / "data/marketplace.db"), "state_dir": str(tmp_path / "state"), "lease_dir": str(tmp_path / "run"),
    }  # fmt: skip


def test_a_whole_restore(run: Run, site: dict[str, Any], tmp_path: Path) -> None:
    look = {"directory": str(tmp_path / "backups"), "passphrase": PASSPHRASE, "site": SITE}
    kept = run(backup_restore, site, state="preserved")
    planned = run(backup_restore, {**site, **look}, state="planned", invariants=[{"name": "rows", "query": "SELECT 1 WHERE 0"}])
    assert kept["changed"] and not planned["changed"] and planned["plan"]["good"]
    wanted = {**site, "plan": planned["plan"]["hash"], "kept_database": kept["kept_database"]}
    before = everything(tmp_path / "data")
    assert run(backup_restore, wanted, state="restored", _ansible_check_mode=True)["changed"]
    assert everything(tmp_path / "data") == before
    assert run(backup_restore, wanted, state="restored")["changed"] and rows(site["path"]) == [(100,)]
    assert not run(backup_restore, wanted, state="restored")["changed"]
    lost = run(backup_restore, {**site, "kept_database": kept["kept_database"]}, state="compared", priority_tables=["escrows"])
    assert lost["loss"]["file"] == f"{kept['kept_database']}.loss.jsonl" and not lost["loss"]["complete"]
    assert not run(backup_restore, site, state="resumed")["changed"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"state": "cache_parked"}, "none of a database's"),
        ({"state": "planned"}, "(directory)"),
        ({"state": "restored"}, "(plan)"),
        ({"state": "preserved", "path": ""}, "(path)"),
        ({"state": "preserved", "kind": "wallet"}, "none of a wallet's"),
        ({"state": "resumed", "kind": "wallet"}, "(role)"),
    ],
)
def test_what_is_missing_is_said(run: Run, site: dict[str, Any], options: dict[str, Any], said: str) -> None:
    answer = run(backup_restore, {**site, **options})
    assert answer["failed"] and answer["kind"] == "missing" and said in answer["msg"]


def test_a_plan_needs_no_lease_and_says_what_it_rejects(run: Run, site: dict[str, Any], tmp_path: Path) -> None:
    with acting(site["lease_dir"], None, "another step"):
        answer = run(
            backup_restore,
            {**site, "directory": str(tmp_path / "backups"), "passphrase": "one that opens nothing"},
            state="planned",
        )
        assert answer["failed"] and answer["kind"] == "wrong_passphrase"
        assert [one["kind"] for one in answer["rejected"]] == ["wrong_passphrase"] * 2
        kept = run(backup_restore, site, state="preserved")
    assert kept["failed"] and "Another step is still at work" in kept["msg"]
    assert not [name for name in os.listdir(tmp_path / "data") if "CORRUPTED" in name]
    assert "opens nothing" not in json.dumps(answer["rejected"])
