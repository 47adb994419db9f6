# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says of its backups, which pins it leaves, and what of the site a backup is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.filter.backup_pins import backup_pins
from ansible_collections.monero_marketplace.incident.plugins.filter.backup_report import backup_report
from ansible_collections.monero_marketplace.incident.plugins.filter.backup_sources import backup_sources
from ansible_collections.monero_marketplace.incident.plugins.module_utils._outcome import judge

ROLES = ["buyer", "vendor"]


def wallet(name: str = "escrow_1", keys: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "keys_sha256": keys * 64, "consistent": "stored", **more}


def made(role: str, state: str = "made", **more: Any) -> dict[str, Any]:
    return {
        "role": role, "state": state, "path": f"/b/{role}", "bytes": 2048, "sha256": "f" * 64, "created": "2026-11-24T03:17:00Z",
        "age_seconds": 5, "verified": "decrypted", "wallets": [wallet()], "notes": [], "problem": "", "seconds": 0.4,
        "retention": {"removed": [], "kept": 3, "why": ""}, **more,
    }  # fmt: skip


def there(role: str, age: float = 60, problem: str = "") -> dict[str, Any]:
    return {"role": role, "age_seconds": age, "sha256": "e" * 64, "problem": problem}


def report(found: list[dict[str, Any]], done: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return backup_report({"backups": found}, {"backups": done}, ROLES, "market-1", **more)


def ended(findings: dict[str, Any], **more: Any) -> dict[str, Any]:
    return judge({"host": "market-1", "playbook": "backup", "acted": True, "findings": findings, "proof": {}, **more})


def test_what_was_made_is_done_and_proven() -> None:
    found = ended(report([], [made("buyer"), made("vendor")]))
    assert (found["outcome"], found["zero"]) == ("done", True)
    assert found["did"] == [
        "buyer: 1 wallet, 2.0 KiB, sha256 ffffffff…, 0.4 s",
        "vendor: 1 wallet, 2.0 KiB, sha256 ffffffff…, 0.4 s",
        "6 archives kept",
    ]
    assert found["proof"] == ["buyer, vendor: decrypted again, each file equal to what was read", "2 open wallets stored first"]


def test_a_role_without_a_backup_is_not_zero_and_the_other_is_said() -> None:
    failed = made("vendor", "failed", problem="vendor: no room", wallets=[], retention=None, verified=None)
    found = ended(report([], [made("buyer"), failed]))
    assert (found["outcome"], found["zero"]) == ("escalated", False)
    assert found["why"] == ["vendor: no room"] and found["did"][0].startswith("buyer: 1 wallet")
    assert found["next"] == ["ansible-playbook playbooks/backup.yml --limit market-1"]


def test_a_plan_says_what_would_be_done_and_what_is_late() -> None:
    coming = [made("buyer", "fresh", retention=None), made("vendor", "would_be_made", retention=None)]
    plan = report([there("buyer"), there("vendor", 25 * 3600)], coming)
    found = ended(plan, acted=False, check=True)
    assert found["outcome"] == "planned"
    assert found["plan"] == ["back up vendor's wallets (newest archive 25 h 00 m old, sha256 eeeeeeee…)"]
    assert found["risk"] == ["vendor's newest archive is 25 h 00 m old, more than 24 h"]
    assert "buyer has NO archive" in report([], [])["risk"]


def test_nothing_to_do_is_said_as_that() -> None:
    found = ended(
        report([there("buyer"), there("vendor")], [made(role, "fresh", retention=None) for role in ROLES]), acted=False
    )
    assert (found["outcome"], found["news"]) == ("done", False)
    assert found["did"][0] == "buyer: nothing, the archive of 5 s ago holds the same (1 wallet, 2.0 KiB, sha256 ffffffff…)"


def test_what_a_person_should_know_is_a_risk() -> None:
    one = made(
        "buyer", notes=["its cache is an older one"], retention={"removed": [], "kept": 9, "why": "the hold 'evidence' stands"}
    )
    found = report([there("buyer", problem="/b/old is damaged.")], [one], pins={"differ": ["other keys"], "problem": "no desk"})
    assert found["risk"] == [
        "other keys", "its cache is an older one", "nothing old was removed: the hold 'evidence' stands", "no desk", "/b/old is damaged.",
    ]  # fmt: skip


def test_what_could_not_be_opened_here_is_not_called_decrypted() -> None:
    assert report([], [made("buyer", verified="checksum")])["proof"][0].startswith("buyer: NOT decrypted")


def test_a_wallet_that_has_no_pin_gets_one() -> None:
    found = backup_pins("", [made("buyer"), made("vendor", wallets=[wallet(keys="b")])], "market-1")
    assert found["added"] == ["buyer/escrow_1", "vendor/escrow_1"] and found["differ"] == []
    assert json.loads(found["text"])["wallets"]["vendor"]["escrow_1"] == {
        "keys_sha256": "b" * 64,
        "since": "2026-11-24T03:17:00Z",
    }
    assert backup_pins(found["text"], [made("buyer")], "market-1")["added"] == []


def test_a_pin_is_never_replaced() -> None:
    first = backup_pins("", [made("buyer")], "market-1")
    found = backup_pins(first["text"], [made("buyer", wallets=[wallet(keys="c")])], "market-1")
    assert found["text"] == first["text"] and found["added"] == []
    assert "the keys of buyer/escrow_1 (sha256 cccccccc…) are NOT the ones pinned 2026-11-24T03:17:00Z" in found["differ"][0]


@pytest.mark.parametrize("text", ["{", "[]", '{"wallets": []}', '{"wallets": {"buyer": []}}'])
def test_pins_that_cannot_be_understood_are_left_alone(text: str) -> None:
    found = backup_pins(text, [made("buyer")], "market-1")
    assert found["added"] == [] and found["text"] == text and "pins/wallets/market-1.json" in found["problem"]


def test_what_failed_pins_nothing() -> None:
    assert backup_pins("", [made("buyer", "failed")], "market-1")["added"] == []


def test_a_backup_is_not_told_a_wallets_password() -> None:
    site = [
        {
            "role": "buyer",
            "service": "w",
            "url": "",
            "directory": "/w",
            "wallet": "",
            "signer": "",
            "password": "secret",
            "open": "always",
        }
    ]
    assert backup_sources(site, login_file="/login") == [
        {"role": "buyer", "service": "w", "url": "", "directory": "/w", "wallet": "", "signer": "", "login_file": "/login"}
    ]
    assert (
        backup_sources(site, "user", "word", "/login")[0]["password"] == "word"
        and "login_file" not in backup_sources(site, "user")[0]
    )
