# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run says of the database's backup beside the wallets', and of the proof that they can be restored."""

from __future__ import annotations

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.filter.backup_proof import backup_proof
from ansible_collections.monero_marketplace.incident.plugins.filter.backup_report import backup_report
from ansible_collections.monero_marketplace.incident.plugins.module_utils._outcome import judge

IMAGE = {"bytes": 5 * 1024 * 1024, "tables": {"escrows": 10, "orders": 90}, "state": "ok"}


def made(state: str = "made", **more: Any) -> dict[str, Any]:
    return {
        "role": "database", "state": state, "path": "/b/d", "bytes": 1024 * 1024, "sha256": "f" * 64, "age_seconds": 5,
        "verified": "decrypted", "manifest": {"image": IMAGE}, "notes": [], "problem": "", "seconds": 1.25, "image_seconds": 0.05,
        "retention": {"removed": [], "kept": 9, "why": ""}, "wallets": [], **more,
    }  # fmt: skip


def there(age: int = 60, problem: str = "", role: str = "database", **more: Any) -> dict[str, Any]:
    return {
        "role": role, "roles": [role], "path": f"/b/{role}/{age}", "age_seconds": age, "sha256": "e" * 64, "problem": problem, "good": None,
        "seconds": None, **more,
    }  # fmt: skip


def report(found: list[dict[str, Any]], done: list[dict[str, Any]], **wallets: Any) -> dict[str, Any]:
    database = {"found": {"backups": found}, "made": {"backups": done}, "rpo_seconds": 3600}
    return backup_report({}, wallets.get("made", {}), wallets.get("roles", []), "market-1", database=database)


def ended(findings: dict[str, Any], **more: Any) -> dict[str, Any]:
    return judge({"host": "market-1", "playbook": "backup", "acted": True, "findings": findings, "proof": {}, **more})


def test_what_was_made_is_done_and_proven() -> None:
    found = ended(report([], [made()]))
    assert (found["outcome"], found["zero"]) == ("done", True)
    assert found["did"] == ["database: 5.0 MiB in 1.0 MiB, 2 tables, 100 rows, sha256 ffffffff…, read in 0.05 s, 1.2 s in all"]
    assert found["proof"] == [
        "database: image of one moment checked with its foreign keys and invariants, decrypted again, equal to what was read"
    ]
    assert found["risk"] == []


def test_what_was_not_proven_is_not_said_to_be() -> None:
    sealed = made(verified="checksum", manifest={"image": {**IMAGE, "state": "encrypted"}})
    proof = report([], [sealed])["proof"][0]
    assert "NOT checked, as it is encrypted" in proof and "NOT decrypted" in proof


def test_a_plan_says_what_would_be_done_and_that_the_rpo_is_breached() -> None:
    found = ended(report([there(4000)], [made("would_be_made", retention=None)]), acted=False, check=True)
    assert found["outcome"] == "planned"
    assert found["plan"] == ["back up the database (newest archive 1 h 06 m old, sha256 eeeeeeee…)"]
    assert found["risk"] == ["the database's newest archive is 1 h 06 m old: RPO of 1 h 00 m BREACHED"]
    none = report([], [made("would_be_made", retention=None)])
    assert none["risk"] == ["the database has NO archive"] and none["plan"] == [
        "back up the database (of which there is no archive)"
    ]


def test_a_bad_archive_or_one_from_the_future_does_not_count_as_the_newest() -> None:
    found = [there(-86400, "from the future", good=False), there(100, "damaged", good=False), there(4000)]
    assert "1 h 06 m old: RPO" in report(found, [made("would_be_made", retention=None)])["risk"][0]


def test_nothing_to_do_is_said_as_that() -> None:
    found = ended(report([there()], [made("fresh", retention=None)]), acted=False)
    assert (found["outcome"], found["plan"]) == ("done", [])
    assert found["did"][0].startswith("database: nothing, the archive of 5 s ago is young enough")


def test_a_database_without_a_backup_is_not_zero_and_the_wallets_are_said() -> None:
    wallet = {
        **made(), "role": "buyer", "wallets": [{"name": "escrow_1", "keys_sha256": "a" * 64, "consistent": "stored"}], "manifest": None,
    }  # fmt: skip
    failed = made("failed", problem="database: no room", manifest=None, retention=None)
    found = ended(report([there(4000)], [failed], made={"backups": [wallet]}, roles=["buyer"]))
    assert (found["outcome"], found["zero"]) == ("escalated", False)
    assert found["why"] == ["database: no room"] and found["did"][0].startswith("buyer: 1 wallet")
    assert any("BREACHED" in risk for risk in found["risk"]) and found["next"] == [
        "ansible-playbook playbooks/backup.yml --limit market-1"
    ]


def test_of_many_bad_archives_few_are_told() -> None:
    found = report([there(age, f"bad {age}") for age in range(7)], [made()])
    assert found["risk"] == ["bad 0", "bad 1", "bad 2", "4 more archives of the database have a problem"]


def test_what_was_removed_and_why_nothing_was_is_told() -> None:
    assert report([], [made(retention={"removed": ["a", "b"], "kept": 720, "why": ""})])["did"][1] == (
        "2 old archives of the database removed, 720 kept"
    )
    kept = report([], [made(retention={"removed": [], "kept": 9, "why": "the freeze 'database' stands"})])
    assert kept["risk"] == ["nothing old was removed: the freeze 'database' stands"]


def proof(found: list[dict[str, Any]], good: dict[str, str], **more: Any) -> dict[str, Any]:
    return backup_proof({"backups": found, "newest_good": good}, {}, **more)


def test_a_proof_says_how_fast_and_how_old() -> None:
    one = there(1800, seconds={"decrypt": 3.0, "check": 1.5})
    found = proof([one], {"database": one["path"]})
    assert found["proof"] == ["database: restored into scratch and checked in 4.5 s, 30 m 00 s old"]
    assert (found["risk"], found["escalate"], found["settled"]) == ([], [], True)


def test_a_proof_that_went_back_to_an_older_one_says_why_and_what_that_costs() -> None:
    old = there(9000, seconds={"decrypt": 2000.0, "check": 1.5})
    found = proof([there(100, "the image in it is not sound"), old], {"database": old["path"]})
    assert found["risk"][0] == "the image in it is not sound"
    assert "RPO of 1 h 00 m BREACHED" in found["risk"][1] and "RTO of 30 m 00 s BREACHED" in found["risk"][2]


def test_nothing_that_can_be_restored_is_not_zero() -> None:
    found = ended(proof([there(100, "it is another site's")], {}), acted=False)
    assert not found["zero"] and found["why"] == ["No archive of the database can be restored: it is another site's"]
    buyer = there(100, role="buyer", seconds={"decrypt": 0.4})
    wallets = {"backups": [buyer], "newest_good": {"buyer": buyer["path"]}}
    both = backup_proof({}, wallets, roles=["buyer", "vendor"])
    assert both["proof"] == ["buyer: decrypted to its end in 0.4 s, 1 m 40 s old"]
    assert both["escalate"] == [{"sentence": "No archive of vendor can be restored: there is none"}]
