# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only a sound answer with no row proves that no signing round is open."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.wallet_plans import NONE_OPEN, ONE_OPEN, QUERY

from ansible_collections.monero_marketplace.incident.plugins.filter.signing_round import FilterModule
from rules.collection import PROJECT, load


def judged(said: dict[str, Any], query: str = QUERY) -> dict[str, str]:
    return dict(FilterModule().filters()["signing_round"](said, query))


def answered(**more: Any) -> dict[str, Any]:
    return {"state": "read", "problem": None, "queries": {"signing": {"rows": [], "more": False, "problem": None, **more}}}


@pytest.mark.parametrize(
    ("said", "query", "state", "words"),
    [
        (NONE_OPEN, QUERY, "none", "no signing round is open"),
        (ONE_OPEN, QUERY, "open", "open for 7"),
        (answered(rows=[[n] for n in range(7)]), QUERY, "open", "0, 1, 2, 3, 4 and 2 more"),
        (answered(more=True), QUERY, "open", "open for an escrow"),
        (answered(problem="no such table"), QUERY, "unknown", "no such table"),
        (answered(rows=None), QUERY, "unknown", "gave no answer"),
        ({"state": "suspect", "problem": "torn"}, QUERY, "unknown", "torn"),
        ({"state": "read", "queries": {}}, QUERY, "unknown", "gave no answer"),
        ({}, QUERY, "unknown", "nobody asked"),
        (NONE_OPEN, "", "unknown", "is empty"),
    ],
)
def test_what_is_not_proven_is_not_none(said: dict[str, Any], query: str, state: str, words: str) -> None:
    found = judged(said, query)
    assert found["state"] == state and words in found["words"]


@pytest.mark.parametrize("role", ["monero_rpc", "wallet_restore"])
def test_both_roles_ask_it_in_the_last_moment(role: str) -> None:
    last = load(PROJECT / f"roles/{role}/tasks/_no_round.yml")[-1]
    assert "monero_marketplace.incident.signing_round" in last["vars"][f"__{role}_round"]
    asserted = last["ansible.builtin.assert"]
    assert asserted["that"] == f"__{role}_round.state == 'none'" and f"__{role}_round.words" in asserted["fail_msg"]
