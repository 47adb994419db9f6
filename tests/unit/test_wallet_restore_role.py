# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of role wallet_restore keep to, whatever the inventory says."""

from __future__ import annotations

from rules.collection import PROJECT

ROLE = PROJECT / "roles/wallet_restore"


def text_of(folder: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROLE / folder).glob("*.yml")))


def test_no_variable_brings_an_older_cache_back() -> None:
    assert "nothing_signed_since" not in "".join(text_of(folder) for folder in ("tasks", "defaults", "vars", "meta"))


def test_the_other_signers_are_known_by_their_own_name_and_password() -> None:
    assert "beside=wallet_restore_role" in text_of("vars")
