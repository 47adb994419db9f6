# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Answers of Prometheus, checked before they are believed: empty is not zero, silence is not calm."""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

REPLY_LIMIT = 4 * 1024 * 1024


class NoUsableAnswer(ValueError):
    """The text says what is wrong with the answer, without repeating it."""


def number(text: Any) -> float | str:
    """A sample's value. JSON has no NaN and no infinity, so these stay text."""
    if not isinstance(text, str):
        raise NoUsableAnswer("a sample's value is not text")
    try:
        value = float(text)
    except ValueError:
        raise NoUsableAnswer("a sample's value is no number") from None
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return value


def parse(reply: bytes | str) -> dict[str, list[dict[str, Any]]]:
    """samples of an instant query, series of a range query (or of an instant query over a range: raw samples)."""
    try:
        found = json.loads(reply)
    except ValueError:
        raise NoUsableAnswer("it is not JSON") from None
    if not isinstance(found, dict) or found.get("status") not in ("success", "error"):
        raise NoUsableAnswer("it lacks a status")
    if found["status"] == "error":
        raise NoUsableAnswer(
            f"{clean_line(str(found.get('errorType', 'error')), 40)}: {clean_line(str(found.get('error', '')), 200)}"
        )
    data = found.get("data")
    if not isinstance(data, dict) or "resultType" not in data:
        raise NoUsableAnswer("it has no result")
    kind, result = data["resultType"], data.get("result")
    if not isinstance(result, list):
        raise NoUsableAnswer("its result is not a list")
    if kind == "vector":
        return {"samples": [_sample(one) for one in result], "series": []}
    if kind == "scalar":
        at, value = _point(result)
        return {"samples": [{"labels": {}, "value": value, "time": at}], "series": []}
    if kind == "matrix":
        return {"samples": [], "series": [_series(one) for one in result]}
    raise NoUsableAnswer(f"a result of the type {clean_line(str(kind), 40)} is not understood")


def _labels(one: Any) -> dict[str, str]:
    labels = one.get("metric") if isinstance(one, dict) else None
    if not isinstance(labels, dict):
        raise NoUsableAnswer("a series has no labels")
    return {clean_line(str(name), 100): clean_line(str(value), 200) for name, value in labels.items()}


def _point(pair: Any) -> tuple[float, float | str]:
    if not isinstance(pair, list) or len(pair) != 2 or isinstance(pair[0], bool) or not isinstance(pair[0], (int, float)):
        raise NoUsableAnswer("a point is not a pair of time and value")
    return float(pair[0]), number(pair[1])


def _sample(one: Any) -> dict[str, Any]:
    labels = _labels(one)
    at, value = _point(one.get("value"))
    return {"labels": labels, "value": value, "time": at}


def _series(one: Any) -> dict[str, Any]:
    labels = _labels(one)
    if not isinstance(one.get("values"), list):
        raise NoUsableAnswer("a series has no points")
    return {"labels": labels, "points": [list(_point(pair)) for pair in one["values"]]}


def ask(url: str, query: dict[str, Any], timeout: float, context: Any = None) -> dict[str, Any]:
    """One query. The answer has a problem instead of samples where there is none to trust."""
    kind = "query" if query.get("start") is None else "query_range"
    wanted = {"query": query["query"], "timeout": f"{timeout:g}s"}
    if kind == "query_range":
        wanted.update(start=query["start"], end=query["end"], step=query["step"])
    answered = True
    found: dict[str, Any] = {"samples": [], "series": []}
    problem: str | None = None
    request = urllib.request.Request(f"{url.rstrip('/')}/api/v1/{kind}", data=urlencode(wanted).encode())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=timeout) as reply:
            found.update(parse(_read(reply, timeout)))
    except urllib.error.HTTPError as refusal:
        # Prometheus explains a bad query with status 400 and JSON; a proxy in between answers something else.
        with refusal:
            problem = _refusal(refusal, timeout)
    except NoUsableAnswer as wrong:
        problem = f"the answer is not usable: {wrong}"
    except OSError as silence:
        answered = False
        reason = getattr(silence, "reason", silence)
        problem = clean_line(
            "no answer in time" if isinstance(reason, TimeoutError) or "timed out" in str(reason) else str(reason), 200
        )
    except ValueError as wrong:
        answered, problem = False, clean_line(str(wrong), 200)
    return {**found, "answered": answered, "problem": problem}


def _read(reply: Any, timeout: float) -> bytes:
    deadline = time.monotonic() + timeout
    body = bytearray()
    while True:
        chunk = reply.read1(65536)
        if not chunk:
            return bytes(body)
        body += chunk
        if len(body) > REPLY_LIMIT:
            raise NoUsableAnswer(f"it is longer than {REPLY_LIMIT // 1024 // 1024} MiB: make the query select less")
        if time.monotonic() > deadline:
            raise NoUsableAnswer("it did not end in time")


def _refusal(refusal: urllib.error.HTTPError, timeout: float) -> str:
    try:
        parse(_read(refusal, timeout))
    except NoUsableAnswer as wrong:
        if "not JSON" not in str(wrong):
            return f"status {refusal.code}, {wrong}"
    except OSError as silence:
        return f"status {refusal.code}, {clean_line(str(silence), 100)}"
    return f"status {refusal.code}, and no word of Prometheus with it"
