# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ladder of a restore: the smallest thing that helps, and a sentence where nothing may be done."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.filter.wallet_restore_plan import FilterModule

ARCHIVE = "/backups/wallets/marketplace-wallet-buyer-20261124T031500Z.tar.gz.gpg"
TRIED = {
    "changed": True, "did": ["put the keys in their place"], "lost": ["labels"], "signer": {"proven_by": "pin"},
    "archive": {"age_seconds": 7200},
}  # fmt: skip


def plan(state: str, **told: Any) -> dict[str, Any]:
    files = {"state": state, "evidence": ["it is so"]}
    return dict(FilterModule().filters()["wallet_restore_plan"](files, role="buyer", wallet="escrow_1", **told))


@pytest.mark.parametrize(
    ("state", "ladder"),
    [
        ("sound", "none"),
        ("cache_missing", "rescan"),
        ("cache_damaged", "rescan"),
        ("wrong_password", "refused"),
        ("unknown", "refused"),
    ],
)
def test_without_a_backup(state: str, ladder: str) -> None:
    found = plan(state, archive=ARCHIVE, tried=TRIED)
    assert (found["ladder"], found["confirm"]) == (ladder, "")
    assert found["why"].endswith(".") and "escrow_1" in found["why"] + found["wallet"]


def test_a_cache_that_an_open_wallet_has_not_written_yet_is_not_missing() -> None:
    assert plan("cache_missing", is_open=True)["ladder"] == "none"
    assert plan("cache_damaged", is_open=True)["ladder"] == "rescan"


@pytest.mark.parametrize("state", ["sound", "cache_missing", "cache_damaged", "keys_damaged", "unknown"])
def test_a_restore_that_was_begun_is_ended_first(state: str) -> None:
    files = {"state": state, "evidence": ["it is so"], "unfinished": True}
    found = FilterModule().filters()["wallet_restore_plan"](
        files, role="buyer", wallet="escrow_1", archive=ARCHIVE, tried=TRIED
    )
    assert (found["ladder"], found["confirm"]) == ("resume", "")


@pytest.mark.parametrize("state", ["keys_damaged", "keys_missing", "missing"])
def test_keys_come_from_a_backup_with_a_persons_word(state: str) -> None:
    found = plan(state, archive=ARCHIVE, tried=TRIED)
    assert (found["ladder"], found["age"], found["lost"]) == ("keys_from_backup", 7200, ["labels"])
    assert found["confirm"] == "restore:marketplace-wallet-buyer-20261124T031500Z.tar.gz.gpg"
    assert "2 hours old" in found["why"] and "by its pin" in found["why"]


def test_what_a_person_alone_knows_is_said_to_be_so() -> None:
    found = plan("missing", archive=ARCHIVE, tried={**TRIED, "signer": {"proven_by": "confirmation"}})
    assert "by nothing but your word" in found["why"]


def test_a_refusal_is_the_plan() -> None:
    said = "these are the arbiter's, and not the buyer's"
    found = plan("keys_damaged", archive=ARCHIVE, tried={"failed": True, "kind": "other_signer", "msg": said})
    assert (found["ladder"], found["why"], found["confirm"], found["archive"]) == ("refused", said, "", ARCHIVE)


def test_without_a_good_backup_it_says_why_and_what_to_do() -> None:
    bad = {"backups": [{"path": ARCHIVE, "problem": "it is cut off."}], "newest_good": {}}
    assert "(it is cut off)" in plan("missing", backups=bad, backup_dir="/backups/wallets")["why"]
    none = plan("missing", backups={"failed": True, "msg": "/backups/wallets is not there."}, backup_dir="/backups/wallets")
    assert none["ladder"] == "refused" and "is not there" in none["why"] and "wallet_restore_archive=PATH" in none["why"]


def test_keys_that_are_there_already_need_nothing() -> None:
    assert plan("keys_damaged", archive=ARCHIVE, tried={**TRIED, "changed": False})["ladder"] == "none"
