# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proven, unproven, failed; and since when customers were hit."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _prometheus_proof as proof

GOOD = {"good": True, "sentence": "GET http://x/ 200 ×5 over 8 s", "first_good": 100.0}
BAD = {"good": False, "sentence": "GET http://x/: status 503", "first_good": None}


def told(requests: Any = None, errors: Any = None, answered: bool = True, **more: Any) -> dict[str, Any]:
    def result(value: Any) -> dict[str, Any]:
        return {"samples": [] if value is None else [{"value": value, "labels": {}, "time": 1}], "series": [], "problem": None}

    return {
        "answered": answered,
        "problem": None,
        "clock": 0.0,
        "results": {"requests": result(requests), "errors": result(errors)},
        **more,
    }


def judge(prometheus: Any, probes: Any = (GOOD,), **more: Any) -> dict[str, Any]:
    return proof.verdict(list(probes), prometheus, error_ratio_limit=0.05, minimum_requests=20, **more)


@pytest.mark.parametrize(
    ("requests", "errors", "state", "word", "sentence"),
    [
        (1904.2, 3.8, "ok", "proven", "error ratio 0.2 % (1,904 requests)"),
        (100.0, None, "ok", "proven", "error ratio 0.0 % (100 requests)"),
        (20.0, 1.0, "ok", "proven", "error ratio 5.0 % (20 requests)"),
        (100.0, 6.0, "too_high", "failed", "error ratio 6.0 % (100 requests, above the limit of 5.0 %)"),
        (18.0, 0.0, "not_measurable", "unproven", "error ratio not measurable yet (18 requests)"),
        (1.0, 1.0, "not_measurable", "unproven", "error ratio not measurable yet (1 request)"),
        (None, None, "not_measurable", "unproven", "error ratio not measurable yet (no requests counted)"),
        ("NaN", None, "not_measurable", "unproven", "error ratio not measurable yet (no requests counted)"),
    ],
)
def test_the_share_of_errors(requests: Any, errors: Any, state: str, word: str, sentence: str) -> None:
    found = judge(told(requests, errors))
    assert (found["error_ratio"]["state"], found["verdict"]) == (state, word)
    assert found["error_ratio"]["sentence"] == sentence
    assert sentence in found["sentences"]


def test_silence_of_prometheus_is_unproven_and_never_zero() -> None:
    for prometheus in (None, told(100.0, answered=False), {"answered": True, "problem": None, "results": {}}):
        found = judge(prometheus)
        assert found["verdict"] == "unproven"
        assert found["error_ratio"]["value"] is None
        assert "0.0" not in found["error_ratio"]["sentence"]
        assert "unproven" in found["error_ratio"]["sentence"]


def test_a_query_that_failed_is_not_zero_errors() -> None:
    prometheus = told(100.0)
    prometheus["results"]["errors"]["problem"] = "status 400, bad_data: parse error"
    found = judge(prometheus)
    assert found["verdict"] == "unproven" and "errors: status 400" in found["error_ratio"]["sentence"]


def test_a_bad_endpoint_fails_whatever_the_metrics_say() -> None:
    assert judge(told(1000.0), probes=(GOOD, BAD))["verdict"] == "failed"
    nobody = judge(None, probes=())
    assert nobody["verdict"] == "unproven" and "endpoint not asked" in nobody["sentences"]
    assert judge(None, probes=(GOOD, {**GOOD, "first_good": 90.0}))["endpoint"]["first_good"] == 90.0


def test_a_site_can_require_the_share_of_errors() -> None:
    required = judge(told(18.0), require_error_ratio=True)
    assert required["verdict"] == "failed" and required["error_ratio"]["sentence"].endswith("the site requires it")
    assert not judge(told(100.0, 9.0), require_error_ratio=True)["error_ratio"]["sentence"].endswith("requires it")
    mixed = told(100.0)
    mixed["results"]["requests"]["samples"].append({"value": "NaN", "labels": {}, "time": 1})
    assert judge(mixed)["error_ratio"]["state"] == "not_measurable"
    assert judge(told(180.0), require_error_ratio=True)["verdict"] == "proven"


def test_wallets_are_not_asked_and_said_to_be_so() -> None:
    assert "wallets not asked" in judge(told(100.0))["sentences"]


def test_since_when_is_part_of_the_sentence() -> None:
    assert (
        judge(told(100.0), since=1795518000.0)["error_ratio"]["sentence"]
        == "error ratio 0.0 % (100 requests since 11:00:00 UTC)"
    )


def series(text: str, step: float = 2.0) -> list[list[float]]:
    """g good, b bad, . no sample."""
    return [[1000.0 + step * number, 1.0 if letter == "g" else 0.0] for number, letter in enumerate(text) if letter != "."]


@pytest.mark.parametrize(
    ("text", "first", "recovered", "down", "complete"),
    [
        ("ggggbbbggg", 1008.0, 1014.0, 6.0, True),
        ("ggbgggbbgg", 1012.0, 1016.0, 4.0, True),
        ("ggggbbbb", 1008.0, None, 8.0, False),
        ("bbbgggg", 1000.0, 1006.0, 6.0, False),
        ("gggg....bbgggg", 1016.0, 1020.0, 4.0, False),
        ("ggggbb......gggg", 1008.0, 1024.0, 16.0, False),
        ("ggggbb....bbgggg", 1008.0, 1024.0, 16.0, False),
        ("gggggggg", None, None, None, True),
        ("gggg......gggg", None, None, None, False),
        ("g", None, None, None, False),
        ("", None, None, None, False),
    ],
)
def test_when_customers_were_hit(text: str, first: Any, recovered: Any, down: Any, complete: bool) -> None:
    found = proof.outage_window([series(text)], now=1000.0 + 2.0 * len(text))
    assert found == {**found, "first_bad": first, "recovered": recovered, "down_seconds": down, "complete": complete}
    if len(text) > 1:
        assert (found["unseen"] is not None) is ("..." in text)


def test_the_outage_that_took_prometheus_with_it_was_not_seen() -> None:
    """The stretch before it was another one's."""
    points = series("gggbbggg..........ggg")
    found = proof.outage_window([points], now=1042.0, since=1005.0)
    assert (found["first_bad"], found["complete"], found["unseen"]) == (None, False, [1014.0, 1036.0])
    assert proof.outage_window([points], now=1042.0)["first_bad"] == 1006.0


def test_the_step_may_be_told() -> None:
    coarse = series("gggg...gggg", step=20.0)
    assert not proof.outage_window([coarse], now=1220.0)["complete"]
    assert proof.outage_window([coarse], now=1220.0, step=60.0)["complete"]


def test_nobody_looked_lately() -> None:
    assert not proof.outage_window([series("gggggggg")], now=1100.0)["complete"]


def test_an_earlier_incident_does_not_count() -> None:
    points = series("ggbbgggggggg")
    assert proof.outage_window([points], now=1024.0, since=1016.0)["first_bad"] is None
    assert proof.outage_window([points], now=1024.0, since=1005.0)["first_bad"] == 1004.0


def test_a_gap_before_this_incident_does_not_matter() -> None:
    assert proof.outage_window([series("gg........gggggg")], now=1032.0, since=1024.0)["complete"]


def test_of_several_series_the_worst_speaks() -> None:
    found = proof.outage_window(
        [{"points": series("gggbgggg")}, {"points": series("ggbbbggg")}, {"points": series("gggggggg")}], now=1016.0
    )
    assert found["down_seconds"] == 6.0
    nothing = proof.outage_window([], now=1.0)
    assert nothing == {"first_bad": None, "recovered": None, "down_seconds": None, "complete": False, "unseen": None}


def test_nan_is_no_sample() -> None:
    points: list[Any] = series("gggggggg")
    points[4][1] = "NaN"
    points[5][1] = "NaN"
    found = proof.outage_window([points], now=1016.0)
    assert (found["first_bad"], found["complete"], found["unseen"]) == (None, False, [1006.0, 1012.0])


def test_the_verdict_carries_the_window() -> None:
    prometheus = told(100.0, clock=1020.0)
    prometheus["results"]["probe"] = {
        "samples": [],
        "problem": None,
        "series": [{"labels": {}, "points": series("ggggbbbggg")}],
    }
    assert judge(prometheus)["down"]["down_seconds"] == 6.0
    prometheus["results"]["probe"]["problem"] = "no answer in time"
    assert judge(prometheus)["down"]["first_bad"] is None
