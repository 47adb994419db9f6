# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell of prometheus_query: alerts beside queries, and nothing asked of nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.monero_marketplace.incident.plugins.modules import prometheus_query

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def answer(**arguments: Any) -> dict[str, Any]:
        with patch_module_args({"timeout": 1, **arguments}), pytest.raises(SystemExit):
            prometheus_query.main()
        return dict(json.loads(capsys.readouterr().out))

    return answer


def vector(*series: tuple[dict[str, str], str]) -> bytes:
    result = [{"metric": labels, "value": [9, value]} for labels, value in series]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def test_alerts_beside_queries(run: Run, site: Any) -> None:
    site.answers = [(200, vector(({"alertname": "Down", "alertstate": "firing"}, "1")))]
    found = run(url=site.url, queries=[{"name": "up", "query": "up"}], alerts=True)
    assert [one["name"] for one in found["alerts"]] == ["Down"] and list(found["results"]) == ["up"]
    assert sorted(request.rpartition("query=")[2].partition("&")[0] for request in site.asked) == [
        "ALERTS",
        "ALERTS_FOR_STATE",
        "up",
    ]


def test_no_alert_is_an_empty_list_and_silence_is_none(run: Run, site: Any) -> None:
    site.answers = [(200, vector())]
    assert run(url=site.url, alerts=True)["alerts"] == []
    assert run(url=site.url, queries=[{"name": "up", "query": "up"}])["alerts"] is None
    found = run(url="http://127.0.0.1:1", alerts=True)
    assert found["alerts"] is None and not found["answered"] and "ALERTS: " in found["problem"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "Nothing is asked"),
        ({"queries": [{"name": " ALERTS", "query": "up"}]}, "blanks"),
        ({"alerts": True, "timeout": 0}, "above 0"),
        ({"alerts": True, "url": "shop"}, "is no URL"),
    ],
)
def test_one_sentence(run: Run, more: dict[str, Any], words: str) -> None:
    found = run(**{"url": "http://127.0.0.1:1", **more})
    assert found["failed"] and words in found["msg"] and "\n" not in found["msg"]
