# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Answers of Prometheus, checked before they are believed: empty is not zero, silence is not calm."""

from __future__ import annotations

import http.client
import math
import socket
import ssl
import threading
from typing import Any
from urllib.parse import urlencode

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _http_probe, _safe_json
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line

REPLY_LIMIT = 4 * 1024 * 1024
EXPLAINED = "Prometheus says "
# Answers are taken apart one after the other: what a hostile one costs in memory it costs once.
_ONE_AT_A_TIME = threading.Lock()


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


def parse(reply: bytes) -> dict[str, list[dict[str, Any]]]:
    """samples of an instant query, series of a range query (or of an instant query over a range: raw samples)."""
    try:
        found = _safe_json.loads(reply)
    except ValueError as wrong:
        raise NoUsableAnswer(str(wrong)) from None
    if not isinstance(found, dict) or found.get("status") not in ("success", "error"):
        raise NoUsableAnswer("it lacks a status")
    if found["status"] == "error":
        raise NoUsableAnswer(
            f"{EXPLAINED}{clean_line(str(found.get('errorType', 'error')), 40)}: {clean_line(str(found.get('error', '')), 200)}"
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


def ask(url: str, query: dict[str, Any], timeout: float, context: ssl.SSLContext | None = None) -> dict[str, Any]:
    """One query. The answer has a problem instead of samples where there is none to trust."""
    kind = "query" if query.get("start") is None else "query_range"
    wanted = {"query": query["query"], "timeout": f"{timeout:g}s"}
    if kind == "query_range":
        wanted.update(start=query["start"], end=query["end"], step=query["step"])
    found: dict[str, Any] = {"samples": [], "series": [], "answered": True, "problem": None}
    try:
        status, body = _http_probe.fetch(
            f"{url.rstrip('/')}/api/v1/{kind}",
            timeout,
            context,
            form=urlencode(wanted),
            limit=REPLY_LIMIT + 1,
        )
    except (OSError, http.client.HTTPException) as silence:
        return {**found, "answered": False, "problem": _silence(silence)}
    try:
        with _ONE_AT_A_TIME:
            # Prometheus explains a bad query with status 400 and JSON; a proxy in between answers something else.
            return {**found, **(_told(body) if status == 200 else {"problem": _refusal(status, body)})}
    except NoUsableAnswer as wrong:
        return {**found, "problem": f"the answer is not usable: {wrong}"}


def _told(body: bytes) -> dict[str, Any]:
    if len(body) > REPLY_LIMIT:
        raise NoUsableAnswer(f"it is longer than {REPLY_LIMIT // 1024 // 1024} MiB: make the query select less")
    return dict(parse(body))


def _silence(silence: OSError | http.client.HTTPException) -> str:
    if isinstance(silence, socket.timeout) or "timed out" in str(silence):
        return "no answer in time"
    if isinstance(silence, ssl.SSLCertVerificationError):
        return clean_line(f"its certificate is not valid: {silence.verify_message}", 200)
    return clean_line(str(silence) or type(silence).__name__, 200)


def _refusal(status: int, body: bytes) -> str:
    if 300 <= status < 400:
        return f"status {status}: it sends elsewhere, where nobody is asked; name the address itself"
    try:
        _told(body)
    except NoUsableAnswer as wrong:
        if str(wrong).startswith(EXPLAINED):
            return f"status {status}, {str(wrong)[len(EXPLAINED) :]}"
    return f"status {status}, and no word of Prometheus with it"


def alerts(told: list[dict[str, Any]], since: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The series ALERTS, each with the time from ALERTS_FOR_STATE since which what it is about has held; the gravest first."""
    begun = {_identity(one["labels"]): one["value"] for one in since}
    found = []
    for one in told:
        labels, at = one["labels"], begun.get(_identity(one["labels"]))
        found.append(
            {
                "name": labels.get("alertname", "unknown"),
                "state": labels.get("alertstate", "unknown"),
                "severity": labels.get("severity", ""),
                "since": at if isinstance(at, float) else None,
                "labels": dict(_identity(labels)),
            }
        )
    return sorted(found, key=lambda one: (one["state"] != "firing", one["severity"] or "P9", one["name"]))


def _identity(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in labels.items() if name not in ("alertstate", "__name__")))
