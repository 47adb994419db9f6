# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The plan for a database: what keeps it from working, the root first, and what is to be done. A pure function of what was found."""

from __future__ import annotations

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_causes import FILE_CAUSES, USE_CAUSES
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_causes_files import OUTAGE
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_steps import ORDER, SENTENCES
from ansible_collections.monero_marketplace.incident.plugins.module_utils._database_view import DatabaseView, holder_words

# Of the host, what explains a database that does not work; a full disk elsewhere is said and keeps nobody from anything.
BELOW = ("read-only-data", "disk-full", "inodes-exhausted")
# What a lock explains by itself.
BECAUSE_OF_A_LOCK = ("pool-exhausted", "server-unexplained")
UNKNOWN = {
    "suspect": "whether the database is whole is unknown",
    "unfinished": "whether the database is whole is unknown, a look takes longer: raise sqlite_integrity_copy_timeout or _quick_timeout",
    "encrypted": "whether the database is whole is unknown: it is encrypted, and cannot be opened here",
    "unreadable": "whether the database is whole is unknown: it could not be read",
    "unknown": "whether the database is whole is unknown: it was not looked at",
}


def plan(view: DatabaseView) -> dict[str, Any]:
    """What to do about what was found."""
    host, files, use = _host(view), _first(view), _each(view)
    _defer(host, files, use)
    findings = host + files + use
    steps = [_step(one, view) for do in ORDER for one in findings if one.do == do]
    waiting = [{"service": one.service or "database", "for": one.wait_for} for one in findings if one.wait_for]
    suspected = any(one.details.get("suspected") for one in findings)
    return {
        "causes": [
            {
                "cause": one.cause,
                "service": one.service,
                "sentence": one.sentence,
                "evidence": one.evidence,
                "consequence_of": one.consequence_of,
            }
            for one in findings
        ],
        "steps": steps,
        "confirm": [
            {"what": one.confirm, "service": one.service, "given": one.do is not None, "why": one.reason}
            for one in findings
            if one.confirm
        ],
        "escalate": [
            {"cause": one.cause, "service": one.service, "sentence": one.escalate, "log": one.log}
            for one in findings
            if one.escalate
        ],
        "waiting": waiting,
        "risks": _risks(view, findings),
        "suspected": suspected,
        "hand_over": list(dict.fromkeys(one.details["next"] for one in findings if one.escalate and one.details.get("next"))),
        "symptoms": view.symptoms(),
        "settled": not findings and view.serves is not False,
        "serving": view.serves is True,
        "decided": bool(steps) or not waiting or view.site.patience_over,
        # What to look at again while waiting: who has it open, or the services and what they say.
        "look_again": [
            what for what in ("holders", "services") if any(one.wait_for and one.details.get("on") == what for one in findings)
        ],
        "exhausted": view.is_exhausted(),
        "start_period": max(
            [(view.services.get(str(one.service)) or {}).get("start_period") or 0 for one in findings if one.wait_for],
            default=0,
        ),
    }


def _host(view: DatabaseView) -> list[Finding]:
    """What role docker_health finds of the host: named here, mended by its own playbook."""
    told = {one["cause"]: one["sentence"] for one in view.health["escalate"] if one["service"] is None}
    return [
        Finding(
            None,
            one["sentence"],
            list(one["evidence"]),
            escalate=told.get(one["cause"])
            or "That is the host's own trouble, and no restore helps: its own playbook mends it or asks.",
            details={"next": OUTAGE},
            cause=one["cause"],
        )
        for one in view.health["causes"]
        if one["service"] is None and one["cause"] != "endpoint-down"
    ]


def _first(view: DatabaseView) -> list[Finding]:
    for cause in FILE_CAUSES:
        found = cause.find(view)
        if found is not None:
            found.cause = cause.name
            return [found]
    return []


def _each(view: DatabaseView) -> list[Finding]:
    findings = []
    for cause in USE_CAUSES:
        found = cause.find(view)
        if found is not None:
            found.cause = cause.name
            findings.append(found)
    return findings


def _defer(host: list[Finding], files: list[Finding], use: list[Finding]) -> None:
    """One cause for many symptoms: what is only its consequence is neither restarted nor asked for."""
    below = [one for one in host if one.cause in BELOW or one.cause.startswith("docker-")]
    lock = next((one for one in use if one.cause == "lock-held"), None)
    other = [one for one in use if one.cause != "server-unexplained"]
    for one in use:
        if files:
            _leave(one, files[0])
        elif one.cause == "server-unexplained" and (below or other):
            # Whatever else was found is tried first; a root that is waited for brings it back.
            _leave(one, (below + other)[0])
        elif below and one.cause != "lock-held":
            _leave(one, below[0])
        elif lock is not None and (one.cause in BECAUSE_OF_A_LOCK or (one.cause == "database-service" and one.do == "restart")):
            _leave(one, lock)


def _leave(finding: Finding, root: Finding) -> None:
    finding.consequence_of = root.cause
    finding.sentence = f"{finding.sentence}, because {root.sentence}"
    finding.blocked = root.is_hopeless
    finding.do = finding.confirm = finding.escalate = finding.wait_for = None
    # What the root waits for is waited for once.
    finding.details = {}


def _step(finding: Finding, view: DatabaseView) -> dict[str, Any]:
    do, service = str(finding.do), finding.service
    holder = finding.details.get("holder") or {}
    ending = do == "end_lock_holder"
    whom = holder_words(holder) if ending else str(service)
    return {
        "do": do,
        "services": [] if ending else [str(service)],
        "key": f"{do}:{holder.get('pid')}" if ending else f"{do}:{service}",
        "sentence": SENTENCES[do].format(services=whom),
        "reason": finding.reason,
        "containers": [] if ending else _containers(str(service), view),
        "details": [finding.details],
    }


def _containers(service: str, view: DatabaseView) -> list[str]:
    return [str(one["container_id"]) for one in (view.services.get(service) or {}).get("containers") or []]


def _risks(view: DatabaseView, findings: list[Finding]) -> list[str]:
    """What is no fault and still good to know."""
    risks = []
    if view.state in UNKNOWN:
        why = view.seen()
        risks.append(UNKNOWN[view.state] + (f" ({why[0]})" if why else ""))
    if view.state == "encrypted_wrong_key" and view.serves:
        risks.append(
            "marketplace_database_key does not open the database that the server works with: backups and restores need the right one"
        )
    named = {one.cause for one in findings}
    size = view.wal_bytes
    if size is not None and size > view.site.wal_limit and "reader-forgotten" not in named:
        risks.append(
            f"the write-ahead log is {human_bytes(size)} long, and no reader that was forgotten is seen: readers may never be all away"
        )
    share = view.saturation
    if share is not None and share > view.site.saturation_limit and "pool-exhausted" not in named:
        risks.append(f"{100 * share:.0f} % of the connections are taken ({view.pool_words()})")
    if view.prometheus and view.pool is None:
        risks.append(
            "how full the pool is is unknown: Prometheus has no such series (marketplace_pool_size_query, marketplace_pool_in_use_query)"
        )
    if not findings:
        risks += [f"{one}, though nothing is wrong now: an alert outlives its cause a little" for one in view.alerts()]
    ours = (view.site.server_service, view.site.database_service, None)
    roots = [one for one in view.health["causes"] if one["service"] not in ours and not one["consequence_of"]]
    return risks + [f"beside it: {one['sentence']}" for one in roots[:2]]
