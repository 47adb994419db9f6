# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What endpoint, metrics and wallets prove after a repair. "Unproven" is never "ok", and never zero per cent."""

from __future__ import annotations

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import clock_time


def verdict(
    probes: list[dict[str, Any]],
    prometheus: dict[str, Any] | None,
    *,
    error_ratio_limit: float,
    minimum_requests: int,
    require_error_ratio: bool = False,
    since: float | None = None,
    outage_since: float | None = None,
    escrow: dict[str, Any] | None = None,
    escrow_decides: bool = True,
    require_escrow: bool = False,
) -> dict[str, Any]:
    """failed: something was seen to be wrong. proven: all was seen to be right. unproven: neither."""
    endpoint: dict[str, Any] = {
        "good": bool(probes) and all(one["good"] for one in probes),
        "sentences": [one["sentence"] for one in probes] or ["endpoint not asked"],
        "first_good": min((one["first_good"] for one in probes if one.get("first_good") is not None), default=None),
    }
    ratio = error_ratio(prometheus, error_ratio_limit, minimum_requests, since)
    missing = require_error_ratio and ratio["state"] != "ok"
    if missing and ratio["state"] != "too_high":
        ratio["sentence"] += ", but the site requires it"
    wallets = escrow or {"state": "unproven", "sentence": "wallets not asked", "next": ""}
    payments_fail = (escrow_decides and wallets["state"] == "failed") or (require_escrow and wallets["state"] != "proven")
    if (probes and not endpoint["good"]) or ratio["state"] == "too_high" or missing or payments_fail:
        word = "failed"
    elif endpoint["good"] and ratio["state"] == "ok" and (escrow is None or wallets["state"] == "proven"):
        word = "proven"
    else:
        word = "unproven"
    if probes and not endpoint["good"] and ratio["state"] == "ok":
        # Who gets no answer at all is in no counter.
        ratio["sentence"] = f"{ratio['sentence']}, which says nothing while the endpoint fails"
    if require_escrow and wallets["state"] == "unproven":
        wallets["sentence"] += ", but the site requires its proof"
    return {
        "verdict": word,
        "sentences": [*endpoint["sentences"], wallets["sentence"], ratio["sentence"]],
        "endpoint": endpoint,
        "error_ratio": ratio,
        "escrow": wallets,
        # Whose playbook goes on from here: without an answer of the shop its outage comes first.
        "next": wallets["next"] if endpoint["good"] and ratio["state"] != "too_high" else "",
        "down": _down(prometheus, outage_since),
    }


def _down(prometheus: dict[str, Any] | None, since: float | None) -> dict[str, Any]:
    probe = ((prometheus or {}).get("results") or {}).get("probe")
    if prometheus is None or not probe or probe.get("problem"):
        return _nothing(complete=False)
    return outage_window(probe["series"], prometheus["clock"], since=since)


def error_ratio(prometheus: dict[str, Any] | None, limit: float, minimum: int, since: float | None = None) -> dict[str, Any]:
    """state: ok, too_high, not_measurable (too little traffic since the repair) or unknown (nobody could tell)."""
    found: dict[str, Any] = {"state": "unknown", "value": None, "requests": None, "errors": None, "sentence": ""}
    if not prometheus:
        found["sentence"] = "error ratio unproven (no Prometheus named)"
        return found
    if not prometheus.get("answered"):
        found["sentence"] = f"error ratio unproven ({prometheus.get('problem') or 'Prometheus does not answer'})"
        return found
    results = prometheus.get("results") or {}
    for name in ("requests", "errors"):
        result = results.get(name)
        if result is None or result.get("problem"):
            why = (result or {}).get("problem") or "not asked"
            found["sentence"] = f"error ratio unproven ({name}: {why})"
            return found
    requests, errors = _total(results["requests"]), _total(results["errors"])
    if requests is None:
        found.update(state="not_measurable", sentence="error ratio not measurable yet (no requests counted)")
        return found
    # A counter of errors comes into being with the first error; that of requests has shown that Prometheus counts.
    errors = errors or 0.0
    found.update(requests=round(requests), errors=round(errors))
    if round(requests) < minimum:
        found.update(state="not_measurable", sentence=f"error ratio not measurable yet ({_count(requests)})")
        return found
    value = errors / requests
    counted = _count(requests) + (f" since {clock_time(since)}" if since else "")
    found.update(value=value, state="too_high" if value > limit else "ok")
    above = f", above the limit of {limit:.1%}".replace("%", " %") if value > limit else ""
    found["sentence"] = f"error ratio {100 * value:.1f} % ({counted}{above})"
    return found


def _count(requests: float) -> str:
    return f"{round(requests):,} request{'' if round(requests) == 1 else 's'}"


def _total(result: dict[str, Any]) -> float | None:
    values = [one["value"] for one in result["samples"]]
    if not values or not all(isinstance(value, (int, float)) for value in values):
        return None
    return float(sum(values))


def outage_window(series: list[Any], now: float, *, since: float | None = None, step: float | None = None) -> dict[str, Any]:
    """The last stretch of bad samples of a probe. Of several series the one that was down longest speaks."""
    each = [_window(_points(one), now, since, step) for one in series]
    if not each:
        return _nothing(complete=False)
    return max(each, key=lambda one: (one["first_bad"] is not None, one["down_seconds"] or 0, not one["complete"]))


def _nothing(complete: bool, unseen: list[float] | None = None) -> dict[str, Any]:
    return {"first_bad": None, "recovered": None, "down_seconds": None, "complete": complete, "unseen": unseen}


def _points(one: Any) -> list[tuple[float, float]]:
    pairs = one["points"] if isinstance(one, dict) else one
    # NaN arrives as text: a sample that says nothing, like one that is missing.
    return sorted((float(at), float(value)) for at, value in pairs if isinstance(value, (int, float)))


def _window(points: list[tuple[float, float]], now: float, since: float | None, step: float | None) -> dict[str, Any]:
    if len(points) < 2:
        return _nothing(complete=False)
    usual = step or _median([later[0] - earlier[0] for earlier, later in zip(points, points[1:])])
    longest = max(2.5 * usual, usual + 2)
    bad = [number for number, (_at, value) in enumerate(points) if value < 1]
    recovered = points[bad[-1] + 1][0] if bad and bad[-1] + 1 < len(points) else None
    if since is None:
        span = [at for at, _value in points]
        earlier_incident = False
    else:
        span = [at for at, _value in points if at >= since - longest]
        # Prometheus may have gone down with the rest: then it has not seen this outage, only the one before.
        unseen_later = _unseen([at for at in [*span, now] if recovered is not None and at >= recovered], longest)
        earlier_incident = recovered is not None and (recovered < since or unseen_later is not None)
    if not bad or earlier_incident:
        # No customer was seen to be hit; but nobody looked while samples are missing.
        unseen = _unseen([*span, now], longest)
        return _nothing(complete=unseen is None, unseen=unseen)
    last = first = bad[-1]
    while first > 0 and points[first - 1][1] < 1:
        first -= 1
    unseen = _unseen([at for at, _value in points[max(first - 1, 0) : last + 2]], longest)
    began = points[first][0]
    return {
        "first_bad": began,
        "recovered": recovered,
        "down_seconds": round((recovered if recovered is not None else now) - began, 1),
        "complete": first > 0 and recovered is not None and unseen is None,
        "unseen": unseen,
    }


def _unseen(times: list[float], longest: float) -> list[float] | None:
    """The longest stretch without a sample, where there is one that is too long."""
    gaps = [[earlier, later] for earlier, later in zip(times, times[1:]) if later - earlier > longest]
    return max(gaps, key=lambda gap: gap[1] - gap[0], default=None)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
