# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of sqlite_info: without a check it asks as ever, with one it tells the state, and the key stays a secret."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_cipher
from ansible_collections.monero_marketplace.incident.plugins.modules import sqlite_info

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    path = tmp_path / "shop.db"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE escrows (id INTEGER PRIMARY KEY, amount INTEGER)")
    database.execute("INSERT INTO escrows VALUES (1, 5), (2, -5)")
    database.commit()
    database.close()

    def answer(**arguments: Any) -> dict[str, Any]:
        with (
            patch_module_args({"path": str(path), "scratch_dir": str(tmp_path / "scratch"), **arguments}),
            pytest.raises(SystemExit),
        ):
            sqlite_info.main()
        return dict(json.loads(capsys.readouterr().out))

    return answer


QUERY = [{"name": "amounts", "sql": "SELECT amount FROM escrows"}]


def test_without_a_check_it_only_asks(run: Run) -> None:
    found = run(queries=QUERY)["sqlite"]
    assert found["state"] == "read" and found["queries"]["amounts"]["rows"] == [[5], [-5]]
    assert sorted(found) == ["bytes", "path", "problem", "queries", "seconds", "state", "tries"]


@pytest.mark.parametrize("check", ["quick", "full"])
def test_with_a_check_it_tells_the_state_and_asks_too(run: Run, check: str) -> None:
    for check_mode in (False, True):
        result = run(check=check, frozen=True, queries=QUERY, _ansible_check_mode=check_mode)
        assert not result["changed"] and result["sqlite"]["state"] == "ok" and result["sqlite"]["certain"]
        assert result["sqlite"]["queries"]["amounts"]["rows"] == [[5], [-5]]


def test_an_invariant_that_is_broken_is_told(run: Run) -> None:
    query = [{"name": "no_negative", "query": "SELECT id FROM escrows WHERE amount < 0"}]
    found = run(check="quick", frozen=True, invariants=query)["sqlite"]
    assert found["state"] == "invariant_damage" and found["invariants"]["no_negative"]["sample"] == [[2]]


def test_the_key_is_in_no_result(run: Run) -> None:
    assert "hunter22" not in json.dumps({**run(check="full", key="hunter22"), "invocation": None})


def test_an_empty_key_is_none(run: Run) -> None:
    assert run(check="full", frozen=True, key="")["sqlite"]["sentences"] == []
    assert "not encrypted" in str(run(check="full", frozen=True, key="hunter22")["sqlite"]["sentences"])


def test_without_a_check_an_encrypted_one_is_asked_with_its_key(run: Run, tmp_path: Path) -> None:
    cipher = pytest.importorskip("sqlcipher3.dbapi2")
    path = tmp_path / "sealed.db"
    database = cipher.connect(str(path))
    _sqlite_cipher.unlock(database, "hunter22")
    database.executescript("CREATE TABLE escrows (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO escrows VALUES (1, 5);")
    database.close()
    result = run(path=str(path), key="hunter22", queries=QUERY)
    assert result["sqlite"]["state"] == "read" and result["sqlite"]["queries"]["amounts"]["rows"] == [[5]]
    assert "hunter22" not in json.dumps({**result, "invocation": None})
    for key, word in (("hunter23", "another key"), ("", "may be encrypted")):
        found = run(path=str(path), key=key, queries=QUERY)["sqlite"]
        assert found["state"] == "unreadable" and word in found["problem"]


def test_without_a_check_a_plain_one_needs_none(run: Run) -> None:
    assert run(key="hunter22", queries=QUERY)["sqlite"]["queries"]["amounts"]["rows"] == [[5], [-5]]


def test_each_key_of_the_result_is_documented(run: Run) -> None:
    told = yaml.safe_load(sqlite_info.RETURN)["sqlite"]["contains"]
    found = run(check="full", frozen=True)["sqlite"]
    assert set(found) == set(told)
    assert set(found["wal"]) == set(told["wal"]["contains"]) and set(found["damage"]) == set(told["damage"]["contains"])
