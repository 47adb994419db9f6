# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on many hosts in a few lines."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.filter.incident_total import FilterModule
from ansible_collections.monero_marketplace.incident.plugins.module_utils._outcome import ZERO, judge
from ansible_collections.monero_marketplace.incident.plugins.module_utils._total import (
    GOOD,
    SHOWN,
    STATES,
    URGENCY,
    total,
    triage_total,
)

HEALTHY = {"outcome": "healthy"}
RESTORED = {"outcome": "restored", "causes": ["server exited 137"]}
ASKS = {"outcome": "needs_confirmation", "causes": ["server is paused"], "why": ["unpause:server: somebody paused it"]}
ESCALATED = {"outcome": "escalated", "causes": ["image is gone"], "page": "Incident Commander"}
HELD = {"outcome": "held", "why": ["held by alice since 01:00"], "causes": ["server exited 137"]}
SILENT = {"outcome": "failed", "unreachable": True, "why": ["market-9 does not answer."]}


def said(**results: Any) -> list[str]:
    return total(list(results), list(results.values()))


def test_all_well_is_one_line():
    assert said(a=HEALTHY, b=HEALTHY, c=RESTORED) == ["TOTAL 3 hosts · 2 healthy · 1 restored"]


def test_every_host_is_counted_once_and_the_most_urgent_is_first():
    lines = said(a=HELD, b=HEALTHY, c=SILENT, d={}, e=ASKS, f=ESCALATED, g=RESTORED)
    assert lines == [
        "TOTAL 7 hosts · 1 healthy · 1 restored · 3 need a person · 1 unreachable · 1 without a result",
        "first  f · NOT RESTORED, page Incident Commander · image is gone",
        "then   e · NEEDS CONFIRMATION · server is paused",
        "then   d · NO RESULT · lost during the run; playbooks/status.yml shows what is recorded",
        "then   c · UNREACHABLE · market-9 does not answer.",
        "then   a · HELD · held by alice since 01:00",
    ]


def test_one_person_is_said_in_the_singular():
    assert said(a=HEALTHY, b=ASKS)[0] == "TOTAL 2 hosts · 1 healthy · 1 needs a person"


def test_hosts_of_one_urgency_stay_in_the_inventorys_order():
    assert [line.split()[1] for line in said(z=ASKS, a=ASKS, m=ASKS)[1:]] == ["z", "a", "m"]


def test_a_long_list_is_cut_and_says_so():
    lines = total([f"host-{number}" for number in range(SHOWN + 3)], [ESCALATED] * (SHOWN + 3))
    assert len(lines) == SHOWN + 2
    assert lines[-1].split() == ["and", "3", "more"]


@pytest.mark.parametrize("nothing", [None, "", {}, "{{ undefined }}"])
def test_a_host_without_a_result_needs_a_person(nothing: Any):
    assert said(a=HEALTHY, b=nothing)[0] == "TOTAL 2 hosts · 1 healthy · 1 without a result"


def test_what_came_from_outside_stays_on_its_line():
    lines = said(a={"outcome": "escalated", "causes": ["server\n\x1b[2J\x00" + "x" * 100_000]})
    assert len(lines) == 2 and len(lines[1]) < 250 and lines[1].isprintable()


def test_every_outcome_that_is_not_zero_has_a_place_in_the_order():
    assert set(GOOD) == ZERO
    assert set(URGENCY) == set(STATES)


def test_a_host_that_never_answered_is_told_from_one_that_failed():
    facts = {"host": "a", "playbook": "outage", "failure": {"sentence": "a does not answer."}}
    assert said(a=judge({**facts, "unreachable": True}))[0] == "TOTAL 1 hosts · 1 unreachable"
    assert said(a=judge(facts))[0] == "TOTAL 1 hosts · 1 needs a person"


def test_the_filter_hands_it_on():
    assert FilterModule().filters()["incident_total"](["a"], [HEALTHY]) == ["TOTAL 1 hosts · 1 healthy"]


def test_a_triage_names_the_most_severe_first_and_counts_the_silent():
    p1 = {"severity": "P1", "reason": "customers are not served", "page": ["Incident Commander"], "playbook": "outage"}
    p3 = {"severity": "P3", "reason": "disk 82 % full", "page": [], "playbook": ""}
    calm = {"severity": None, "reason": "nothing is wrong", "page": [], "playbook": ""}
    assert triage_total(["a", "b", "c", "d", "e"], [calm, p3, {}, p1, calm]) == [
        "TOTAL 5 hosts · 1 P1 · 1 P3 · 1 without an answer · 2 no incident",
        "first  d · P1 · customers are not served · playbook outage",
        "then   c · without an answer",
        "then   b · P3 · disk 82 % full",
    ]
    assert triage_total(["a", "e"], [calm, calm]) == ["TOTAL 2 hosts · 2 no incident"]


def test_a_host_that_serves_waits_for_those_that_do_not():
    serving = {**ESCALATED, "serving": True}
    lines = said(a=serving, b=HELD, c=ESCALATED)
    assert [line.split()[1] for line in lines[1:]] == ["c", "b", "a"]
    assert "SERVING, needs a person" in lines[3] and "3 need a person" in lines[0]
