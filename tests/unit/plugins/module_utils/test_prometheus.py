# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of Prometheus: checked before they are believed."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _prometheus as prometheus


def reply(kind: str, result: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


def test_samples_and_series() -> None:
    vector = reply("vector", [{"metric": {"job": "site"}, "value": [1795518000.1, "0.25"]}])
    assert prometheus.parse(vector)["samples"] == [{"labels": {"job": "site"}, "value": 0.25, "time": 1795518000.1}]
    matrix = reply("matrix", [{"metric": {}, "values": [[1, "1"], [2, "0"]]}])
    assert prometheus.parse(matrix)["series"] == [{"labels": {}, "points": [[1.0, 1.0], [2.0, 0.0]]}]
    assert prometheus.parse(reply("scalar", [1, "3"]))["samples"][0]["value"] == 3.0
    assert prometheus.parse(reply("vector", [])) == {"samples": [], "series": []}


@pytest.mark.parametrize(("text", "value"), [("NaN", "NaN"), ("+Inf", "+Inf"), ("-Inf", "-Inf"), ("1e3", 1000.0)])
def test_what_json_has_no_number_for_stays_text(text: str, value: Any) -> None:
    found = prometheus.parse(reply("vector", [{"metric": {}, "value": [1, text]}]))
    assert found["samples"][0]["value"] == value
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"[]",
        b'{"status":"success"}',
        b'{"status":"success","data":{"resultType":"vector","result":{}}}',
        reply("string", [1, "x"]),
        reply("vector", [{"value": [1, "1"]}]),
        reply("vector", [{"metric": {}, "value": [1]}]),
        reply("vector", [{"metric": {}, "value": ["now", "1"]}]),
        reply("vector", [{"metric": {}, "value": [True, "1"]}]),
        reply("vector", [{"metric": {}, "value": [1, 1]}]),
        reply("vector", [{"metric": {}, "value": [1, "one"]}]),
        reply("vector", ["x"]),
        reply("matrix", [{"metric": {}}]),
        reply("scalar", []),
    ],
)
def test_other_shapes_are_not_believed(answer: bytes) -> None:
    with pytest.raises(prometheus.NoUsableAnswer) as told:
        prometheus.parse(answer)
    assert "html" not in str(told.value)


def test_labels_are_plain_text() -> None:
    found = prometheus.parse(reply("vector", [{"metric": {"x": "\x1b[31m{{ x }}\n"}, "value": [1, "1"]}]))
    assert found["samples"][0]["labels"] == {"x": "{{ x }}"}


def query(site: Any, seconds: float = 10.0, **more: Any) -> dict[str, Any]:
    wanted = {"query": "up{a='b'}", "start": None, "end": None, "step": 15.0, **more}
    return prometheus.ask(site.url + "/", wanted, seconds)


def test_a_query_is_posted(site: Any) -> None:
    site.answers = [(200, reply("vector", []))]
    found = query(site)
    assert (found["answered"], found["problem"], found["samples"]) == (True, None, [])
    assert site.asked[0].startswith("POST /api/v1/query HTTP/1.1")
    query(site, start=1.0, end=2.0)
    assert site.asked[1].startswith("POST /api/v1/query_range HTTP/1.1")


def test_a_bad_query_is_explained_by_prometheus(site: Any) -> None:
    site.answers = [(400, b'{"status":"error","errorType":"bad_data","error":"1:3: parse error"}')]
    found = query(site)
    assert found["answered"]
    assert found["problem"] == "status 400, bad_data: 1:3: parse error"


def test_a_proxys_page_is_not_repeated(site: Any) -> None:
    site.answers = [(502, b"<html>secret page</html>")]
    found = query(site)
    assert found["problem"] == "status 502, and no word of Prometheus with it"
    site.answers = [(200, b"<html>secret page</html>")]
    assert query(site)["problem"] == "the answer is not usable: it is not JSON"


def test_silence_is_said(site: Any) -> None:
    def hang(_plug: socket.socket) -> None:
        time.sleep(60)

    site.answers = [hang]
    began = time.monotonic()
    found = query(site, 0.5)
    assert time.monotonic() - began < 30
    assert (found["answered"], found["problem"]) == (False, "no answer in time")
    site.close()
    gone = prometheus.ask("http://127.0.0.1:1", {"query": "up", "start": None}, 0.5)
    assert not gone["answered"] and "refused" in gone["problem"]


def test_a_flood_is_cut_off(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "REPLY_LIMIT", 1024 * 1024)
    site.answers = [(200, b" " * 3_000_000)]
    assert "longer than 1 MiB" in query(site)["problem"]


def test_a_redirect_is_not_followed(site: Any) -> None:
    def elsewhere(plug: socket.socket) -> None:
        plug.sendall(f"HTTP/1.1 302 X\r\nLocation: {site.url}/\r\nContent-Length: 0\r\n\r\n".encode())

    site.answers = [elsewhere]
    assert "sends elsewhere" in query(site)["problem"]
    assert len(site.asked) == 1


def test_a_drip_ends_when_the_time_does(site: Any) -> None:
    def drip(plug: socket.socket) -> None:
        plug.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n")
        for _byte in range(600):
            plug.sendall(b" ")
            time.sleep(0.1)

    site.answers = [drip]
    began = time.monotonic()
    assert query(site, 0.5)["problem"] == "no answer in time"
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "answer", [b"[" * 10000, b'{"a":' * 10000, b'{"status":"success","data":' + b"[" * 5000 + b"]" * 5000 + b"}"]
)
def test_what_is_nested_without_end_is_a_sentence(answer: bytes) -> None:
    with pytest.raises(prometheus.NoUsableAnswer, match=r"nested too deeply|not JSON|no result"):
        prometheus.parse(answer)


def test_numbers_nobody_can_mean() -> None:
    for at in ("9" * 1_000_000, "NaN", "1e999"):
        text = f'{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{at},"1"]}}]}}}}'
        with pytest.raises(prometheus.NoUsableAnswer, match="pair of time and value"):
            prometheus.parse(text.encode())
    with pytest.raises(prometheus.NoUsableAnswer, match="more than 250000 parts"):
        prometheus.parse(b"[" + b"[]," * 300_000 + b"1]")


def sample(value: Any, **labels: str) -> dict[str, Any]:
    return {"labels": labels, "value": value, "time": 9.0}


def test_alerts_with_their_beginning() -> None:
    told = [
        sample(1.0, __name__="ALERTS", alertname="Behind", alertstate="pending", severity="P2", wallet="buyer"),
        sample(1.0, __name__="ALERTS", alertname="Down", alertstate="firing", severity="P1"),
        sample(1.0, __name__="ALERTS", alertname="Behind", alertstate="firing", severity="P2", wallet="vendor"),
    ]
    since = [
        sample(100.0, __name__="ALERTS_FOR_STATE", alertname="Behind", severity="P2", wallet="buyer"),
        sample("NaN", __name__="ALERTS_FOR_STATE", alertname="Down", severity="P1"),
    ]
    assert [(one["name"], one["state"], one["since"]) for one in prometheus.alerts(told, since)] == [
        ("Down", "firing", None),
        ("Behind", "firing", None),
        ("Behind", "pending", 100.0),
    ]
    assert prometheus.alerts(told, since)[2]["labels"] == {"alertname": "Behind", "severity": "P2", "wallet": "buyer"}
    assert prometheus.alerts([], since) == []
