# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The first ten seconds as lines: what is missing says "unknown"."""

from __future__ import annotations

import json
from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_status import (
    hold_words,
    incident_words,
    lease_words,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._outcome import as_typed, command, thawing
from ansible_collections.monero_marketplace.incident.plugins.module_utils._plain_text import LABEL
from ansible_collections.monero_marketplace.incident.plugins.module_utils._prometheus_proof import outage_window
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import DOT, _mapping, _text, clock, duration
from ansible_collections.monero_marketplace.incident.plugins.module_utils._triage import (
    ORDER,
    RESPONSE,
    Proposal,
    alerts,
    customers,
    error_ratio,
    propose,
    value,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._triage_money import evidence, money, not_by_design
from ansible_collections.monero_marketplace.incident.plugins.module_utils._triage_signs import read as read_signs

MINIMUM_REQUESTS = 20
MOST = 4
# What there is to read where the handbook's playbook is not there yet.
BY_HAND = {"data_corruption": "read docs/data_corruption.md", "error_rate": "read docs/rollback.md"}
# What each step takes on a host that is not busy, in seconds, measured on the lab; and the proof that follows.
SECONDS = {"free_disk": 15, "start_docker": 15, "restart_docker": 60, "create": 20, "restart": 15}
PROOF_SECONDS = 10
DAY = 86400
UNSEEN = "unknown: the services could not be looked at"


def triage(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The proposal and its text, from whatever could be seen."""
    site, prometheus = _mapping(facts.get("site")), facts.get("prometheus")
    compose, plan = facts.get("compose") or None, facts.get("plan") or None
    served = customers(compose, str(site.get("public_url") or ""), str(site.get("health_url") or ""))
    fired, ratio = alerts(prometheus), error_ratio(prometheus, MINIMUM_REQUESTS)
    now = float(facts.get("clock") or 0.0)
    counted = not_by_design(fired, facts)
    signs = read_signs(facts, [one for one in counted or [] if one["state"] == "firing"], now)
    if signs.unserved and compose is not None:
        served = False
    found = propose(compose, plan, counted, served, ratio, site, signs, _mapping(facts.get("monero")))
    severity, title = _title(facts, found)
    lines = [
        ("site", _site(compose, prometheus, served, ratio, now)),
        ("cause", _causes(facts, plan)),
        ("money", money(facts, prometheus)),
        ("data", _data(facts, prometheus, now)),
        ("recent", _recent(facts, compose, prometheus, now)),
        ("alerts", _alerts(fired, facts.get("silences"), now)),
        (
            "holds",
            DOT.join([*hold_words(_mapping(facts.get("binding"))), f"lease {lease_words(_mapping(facts.get('binding')))}"]),
        ),
        ("record", _record(facts, severity, fired, now)),
    ]
    if found.page or found.vendors:
        lines.append(("page", DOT.join([*found.page, *found.vendors])))
    lines.append(("next", _next(facts, found, severity, plan)))
    text = "\n".join(
        [f"TRIAGE {_text(facts.get('host'))}{DOT}{title}", *(label.ljust(LABEL) + words for label, words in lines)]
    )
    return {
        "severity": severity,
        "proposed_severity": found.severity,
        "reason": found.reason,
        "playbook": found.playbook,
        "page": found.page,
        "commits": _mapping(facts.get("changes")).get("commits"),
        "customers_served": served,
        "seen": compose is not None,
        "text": text,
    }


def _title(facts: Mapping[str, Any], found: Proposal) -> tuple[str | None, str]:
    """The severity that counts, and its words. A person may know better than the facts, and says why."""
    wanted, why = str(facts.get("severity") or ""), _text(facts.get("severity_reason") or "")
    if not wanted:
        words = f"{found.severity} proposed" if found.severity else "no incident"
        return found.severity, f"{words}: {_text(found.reason)}"
    if wanted not in ORDER or not why:
        raise ValueError(
            f"triage_severity ({_text(wanted)}) is a person's word against the facts: "
            f"give one of {', '.join(ORDER)}, and say why with triage_severity_reason."
        )
    return (
        wanted,
        f"{wanted} by {_text(facts.get('responder'))}: {why} (the facts: {found.severity or 'no incident'}, {_text(found.reason)})",
    )


def _ago(moment: Any, now: float) -> str:
    return "unknown" if moment is None or not now else f"{duration(max(0.0, now - float(moment)))} ago"


def _site(compose: Any, prometheus: Any, served: bool | None, ratio: float | None, now: float) -> str:
    words = {True: "UP for customers", False: "DOWN for customers", None: "unknown whether customers are served"}[served]
    probe = (_mapping(_mapping(prometheus).get("results")).get("probe")) or {}
    window = outage_window(probe.get("series") or [], now) if probe and not probe.get("problem") else None
    if served is False:
        down = window and window["first_bad"] is not None and window["recovered"] is None
        words += (
            f" since {clock(window['first_bad'])} UTC ({duration(window['down_seconds'])})"
            if window and down
            else ", since when is unknown"
        )
    elif window and window["recovered"]:
        words += f" again since {clock(window['recovered'])} UTC"
    asked = [
        f"{_text(one['url'])} {one['status'] if one['status'] is not None else _text(one['error'] or 'no answer')}"
        for one in _mapping(compose).get("endpoints") or []
    ]
    errors = "errors unknown" if ratio is None else f"errors {100 * ratio:.1f} % of the last 5 min"
    if served is False and ratio is not None:
        errors += ", not counting who gets no answer"
    return DOT.join([words, *asked, errors])


def _causes(facts: Mapping[str, Any], plan: Any) -> str:
    if plan is None:
        return _text(_mapping(facts.get("unreachable")).get("sentence") or facts.get("problem") or UNSEEN)
    told = [one["sentence"] for one in plan["causes"] if not one.get("consequence_of")] or evidence(
        _mapping(facts.get("monero"))
    )
    more = f" and {len(told) - MOST} more" if len(told) > MOST else ""
    up = f"{len(plan['healthy'])} services healthy" if plan["healthy"] else "no service known to be healthy"
    return DOT.join([("; ".join(_text(one) for one in told[:MOST]) + more) or "no cause seen", up])


def _data(facts: Mapping[str, Any], prometheus: Any, now: float) -> str:
    database = value(prometheus, "database")
    readable = (
        "database answers its write probe"
        if database == 1
        else "database does NOT answer its write probe"
        if database == 0
        else "database unknown"
    )
    told = []
    for one in facts.get("changes", {}).get("backups") or []:
        where = str(one["directory"]).rstrip("/").rpartition("/")[2]
        told.append(
            f"{_text(where)} {_ago(one['time'], now)}"
            if one["time"] is not None
            else f"{_text(where)} {_text(one['problem'] or 'none')}"
        )
    backups = f"newest backup: {', '.join(told)} (good: unproven)" if told else "newest backup: unknown"
    return DOT.join([readable, backups])


def _recent(facts: Mapping[str, Any], compose: Any, prometheus: Any, now: float) -> str:
    changes = _mapping(facts.get("changes"))
    commits = changes.get("commits")
    if commits:
        parts = [f"commit {_text(commits[0]['commit'])} {_ago(commits[0]['time'], now)} ({_text(commits[0]['subject'])})"]
        late = sum(1 for one in commits if now - one["time"] < DAY)
        if late > 1:
            parts[0] += f", {late} of the last {len(commits)} commits within a day"
    else:
        parts = ["last commit unknown"]
    if changes.get("edited"):
        parts.append(f"edited since: {', '.join(_text(one) for one in changes['edited'][:3])}")
    setting = _mapping(changes.get("setting"))
    if setting:
        parts.append(f"{_text(str(setting['path']).rpartition('/')[2])} written {_ago(setting['time'], now)}")
    server = next(
        (
            one
            for one in _mapping(compose).get("services") or []
            if one["name"] == _mapping(facts.get("site")).get("server_service")
        ),
        None,
    )
    if server is not None:
        parts.append(f"server {_text(server['image'])} started {_ago(epoch(server['started_at']), now)}")
    booted = _mapping(_mapping(compose).get("engine")).get("booted_at")
    parts.append(f"host booted {_ago(epoch(booted), now)}")
    expiry = value(prometheus, "certificate")
    parts.append(
        "certificate unknown"
        if expiry is None
        else f"certificate valid {(expiry - now) / 86400:.0f} days"
        if expiry > now
        else "certificate EXPIRED"
    )
    disks = {one["mount"]: one for one in _mapping(compose).get("disk") or [] if one["used_percent"] is not None}
    parts.append(
        "disk " + (", ".join(f"{_text(mount)} {one['used_percent']:.0f} %" for mount, one in disks.items()) or "unknown")
    )
    return DOT.join(parts)


def _alerts(fired: list[dict[str, Any]] | None, silences: Any, now: float) -> str:
    if fired is None:
        said = "unknown: Prometheus gave no answer"
    else:
        told = [
            f"{_text(one['name'])} {_text(one['about'])} {one['state']} since {_ago(one['since'], now).removesuffix(' ago')}".replace(
                "  ", " "
            )
            for one in fired[:MOST]
        ]
        said = "; ".join(told) + (f" and {len(fired) - MOST} more" if len(fired) > MOST else "") or "none firing or pending"
    return DOT.join([said, f"silences: {_silences(silences)}"])


def _silences(silences: Any) -> str:
    if isinstance(silences, str):
        try:
            silences = json.loads(silences)
        except ValueError:
            silences = None
    if not isinstance(silences, list):
        return "unknown"
    active = [one for one in silences if isinstance(one, dict) and _mapping(one.get("status")).get("state") == "active"]
    told = []
    for one in active[:MOST]:
        matchers = [
            f"{_text(each.get('name'))}={_text(each.get('value'))}"
            for each in one.get("matchers") or []
            if isinstance(each, dict)
        ]
        told.append(f"{','.join(matchers)} by {_text(one.get('createdBy'))} until {_text(one.get('endsAt'))}")
    return ("; ".join(told) or "none") + (f" and {len(active) - MOST} more" if len(active) > MOST else "")


def _record(facts: Mapping[str, Any], severity: str | None, fired: list[dict[str, Any]] | None, now: float) -> str:
    desk = _mapping(facts.get("desk"))
    current = _mapping(desk.get("open_incident"))
    known = (
        incident_words(current)
        if current
        else "no incident open"
        if "incidents" in desk
        else "unknown: the desk gave no answer"
    )
    due = RESPONSE.get(str(severity))
    if not due:
        return known
    firing = [one["since"] for one in fired or [] if one["state"] == "firing" and isinstance(one["since"], (int, float))]
    began = epoch(current.get("opened")) if current else min(firing, default=None)
    if began is None or not now:
        return f"{known}{DOT}to be acknowledged within {duration(due)} of the alert"
    late = f"{duration(now - began - due)} LATE unless it was" if now > began + due else f"{duration(began + due - now)} left"
    return f"{known}{DOT}to be acknowledged by {clock(began + due)} UTC ({severity}: {duration(due)}; {late})"


def _next(facts: Mapping[str, Any], found: Proposal, severity: str | None, plan: Any) -> str:
    if found.playbook is None:
        freezes = _mapping(facts.get("binding")).get("freezes") or []
        return f"nothing is wrong; payouts go on with {thawing(facts, freezes[0])}" if freezes else "nothing to do"
    run = {"host": facts["host"], "inventory": facts.get("inventory"), "from_clone": facts.get("from_clone", True)}
    if facts.get("unreachable"):
        return _text(_mapping(facts["unreachable"]).get("next") or "the hoster's console")
    binding = _mapping(facts.get("binding"))
    if _mapping(binding.get("lease")).get("in_force"):
        return f"{as_typed(run, command(run, 'status'))}{DOT}somebody is at work (see lease): wait, or ask before you take over"
    holds = [one for one in binding.get("holds") or [] if not one.get("playbooks") or found.playbook in one["playbooks"]]
    if holds:
        return f"{as_typed(run, command(run, 'status'))}{DOT}hold {_text(holds[0]['name'])} forbids {found.playbook}: ask {_text(holds[0].get('by'))}"
    if found.playbook not in (facts.get("built") or ("outage",)):
        page = BY_HAND.get(found.playbook, f"the handbook's playbook for {found.playbook.replace('_', ' ')} by hand")
        return f"{page}{DOT}no playbook {found.playbook} is there yet"
    extra = ["-e", f"incident_severity={severity}"] if severity not in (None, "P1") else []
    parts = [as_typed(run, command(run, found.playbook, *extra))]
    if plan is None:
        return parts[0]
    asks = [one["what"] for one in plan["confirm"] if not one["given"]]
    if plan["steps"]:
        seconds = sum(SECONDS.get(step["do"], 10) for step in plan["steps"]) + PROOF_SECONDS
        parts.append(
            f"{'; '.join(step['sentence'] for step in plan['steps'])}; nothing of it is lost; about {seconds} s and start-up times"
        )
    if asks:
        parts.append(f"it will ask for confirm={','.join(asks)}")
    if not plan["steps"] and plan["escalate"]:
        parts.append(f"it will change nothing: {_text(plan['escalate'][0]['sentence'])}")
    return DOT.join(parts)
