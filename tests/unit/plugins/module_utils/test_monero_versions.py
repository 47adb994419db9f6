# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of the interface, and which releases it can be."""

from __future__ import annotations

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _monero_versions


@pytest.mark.parametrize(
    ("said", "words", "release"),
    [
        (65561, "1.25", "0.18.0.0"),
        (65562, "1.26", "0.18.2.2-0.18.3.1"),
        (65565, "1.29", "0.18.4.1-0.18.4.4"),
        (65566, "1.30", "after 0.18.4.4, before 0.18.5.1"),
        (65567, "1.31", "0.18.5.1"),
        (65600, "1.64", "after 0.18.5.1"),
        (65544, "1.8", "before 0.18.0.0"),
        (None, None, None),
        (True, None, None),
        ("1.26", None, None),
        (10**40, None, None),
        (-1, None, None),
    ],
)
def test_what_a_version_says(said: object, words: str | None, release: str | None) -> None:
    pair = _monero_versions.interface(said)
    assert (_monero_versions.words(pair), _monero_versions.release(pair)) == (words, release)


def test_only_an_old_one_is_silent_while_it_works() -> None:
    assert _monero_versions.advice((1, 28)) and _monero_versions.advice(None)
    assert _monero_versions.advice((1, 29)) is None
