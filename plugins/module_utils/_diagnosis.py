# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The plan: what is wrong, the root first, and what is to be done about it. A pure function of what was found."""

from __future__ import annotations

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._causes import HOST_CAUSES, SERVICE_CAUSES
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import (
    Site,
    View,
    endpoint_words,
    is_good,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_words import listed
from ansible_collections.monero_marketplace.incident.plugins.module_utils._steps import ON_SERVICES, ORDER, SENTENCES

# From here on services are told together.
MANY = 4
BECAUSE_OF_A_DISK = ("crash-loop", "restarting", "exited", "starting", "unhealthy", "not-serving", "coming-up", "wrong-owner")


def plan(compose: dict[str, Any], site: Site) -> dict[str, Any]:
    """What to do about what was found."""
    view = View(compose, site)
    findings = [_named(finding, cause.name) for cause in HOST_CAUSES for finding in cause.find(view)]
    by_service = _service_findings(view, findings) if view.daemon["state"] == "running" else {}
    findings += [by_service[name] for name in _root_first(by_service, view)]
    findings += _unexplained_endpoints(view, findings)
    steps = _steps(findings, view)
    waiting = [{"service": one.service or "docker", "for": one.wait_for} for one in findings if one.wait_for]
    hopeless = [one.service for one in findings if one.service and (one.is_hopeless or _waits_in_vain(one, by_service))]
    services = {do: [name for step in steps if step["do"] == do for name in step["services"]] for do in ON_SERVICES}
    expected = [name for name in view.order if view.services[name]["wanted_containers"] > 0]
    return {
        "causes": [
            {
                "cause": one.cause,
                "service": one.service,
                "sentence": one.sentence,
                "evidence": one.evidence,
                "consequence_of": one.consequence_of,
            }
            for one in _together(findings, len(expected))
        ],
        "steps": steps,
        "start_docker": any(step["do"] == "start_docker" for step in steps),
        "free_disk": any(step["do"] == "free_disk" for step in steps),
        **services,
        "confirm": [
            {"what": one.confirm, "service": one.service, "given": one.do is not None, "why": one.reason}
            for one in findings
            if one.confirm
        ],
        "escalate": [
            {"cause": one.cause, "service": one.service, "sentence": one.escalate, "log": one.log, "frozen": one.frozen}
            for one in findings
            if one.escalate
        ],
        "risks": list(dict.fromkeys(one.risk for one in findings if one.risk)),
        "healthy": [name for name in expected if name not in by_service] if view.daemon["state"] == "running" else [],
        "waiting": waiting,
        "hopeless": hopeless,
        "settled": view.daemon["state"] == "running"
        and not by_service
        and not steps
        and not any(one.escalate for one in findings)
        and not any(one.is_hopeless for one in findings)
        and all(is_good(one) for one in view.endpoints.values()),
        "serving": bool(view.endpoints) and all(is_good(one) for one in view.endpoints.values()),
        # How much longer than the deadline the slowest of those that are coming up may take: it was planned so.
        "start_period": max(
            [view.services[one.service]["start_period"] or 0 for one in findings if one.service and one.wait_for], default=0
        ),
        "decided": bool(steps) or not waiting or site.patience_over,
    }


def _named(finding: Finding, cause: str) -> Finding:
    finding.cause = cause
    return finding


def _together(findings: list[Finding], total: int) -> list[Finding]:
    """What happened to many services at once is one cause: a stack taken down, a host that was switched off."""
    words = {
        "container-missing": "{who} have no container",
        "exited": "{who} are not running (exit status {codes})",
        "host-rebooted": "the host was rebooted at {boot}; {who} did not come back (restart policy {policy})",
    }
    least = {"host-rebooted": 2}
    told: list[Finding] = []
    for one in findings:
        alike = [other for other in findings if other.cause == one.cause and other.do == one.do]
        if one.cause not in words or len(alike) < least.get(one.cause, MANY):
            told.append(one)
        elif one is alike[0]:
            who = listed([str(other.service) for other in alike], total)
            codes = ", ".join(sorted({str(other.exit_code) for other in alike}))
            told.append(_named(Finding(None, words[one.cause].format(who=who, codes=codes, **one.details)), one.cause))
    return told


def _service_findings(view: View, of_host: list[Finding]) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    for name in view.order:
        service = view.services[name]
        if service["wanted_containers"] == 0:
            continue
        for cause in SERVICE_CAUSES:
            finding = cause.find(view, service)
            if finding is not None:
                _named(finding, cause.name)
                _leave_frozen(finding, view.frozen(name))
                _show_users_view(view, finding)
                found[name] = finding
                break
    for root in of_host:
        for name in root.harms & set(found):
            _leave_to_the_host(found[name], root)
    for name, finding in found.items():
        _defer_to_the_root(view, name, finding, found)
    return found


def _leave_frozen(finding: Finding, why: str | None) -> None:
    """What nobody may start is neither started nor otherwise touched; one that comes up by itself is waited for as ever."""
    if why is not None and (finding.do or finding.confirm or finding.escalate):
        finding.do = finding.confirm = None
        finding.frozen, finding.escalate = True, f"{finding.service} is left as it is: {why}"


def _leave_to_the_host(finding: Finding, root: Finding) -> None:
    """What ends or fails because of its disk, or cannot start because of its daemon, would only do so again."""
    if finding.cause not in BECAUSE_OF_A_DISK and finding.consequence_of != root.cause:
        return
    finding.sentence += f", because {root.sentence}"
    finding.consequence_of = root.cause
    finding.blocked = root.is_hopeless
    finding.do = finding.confirm = finding.escalate = finding.wait_for = None


def _show_users_view(view: View, finding: Finding) -> None:
    endpoint = view.endpoint_of(finding.service or "")
    if endpoint is None or is_good(endpoint) or endpoint["error"] == "refused":
        return  # that nobody listens where no container runs says nothing new
    if endpoint_words(endpoint) not in finding.sentence:
        finding.evidence.append(endpoint_words(endpoint))


def _defer_to_the_root(view: View, name: str, finding: Finding, found: dict[str, Finding]) -> None:
    """What is only the consequence of something deeper is left alone until that is mended."""
    roots = [need for need in view.upstream(name) if need in found]
    if not roots:
        return
    hopeless = next((need for need in roots if found[need].is_hopeless or _waits_in_vain(found[need], found)), None)
    if finding.symptom:
        root = hopeless or roots[0]
        finding.sentence = f"{finding.sentence}, because of {root}"
    elif hopeless is not None and finding.do in ("start", "create"):
        # Compose would wait for what the service depends on, and that does not come.
        root = hopeless
    else:
        return
    finding.consequence_of = root
    finding.do = finding.escalate = None
    finding.wait_for = None if hopeless else f"{root} to come back"


def _waits_in_vain(finding: Finding, found: dict[str, Finding]) -> bool:
    seen: set[str] = set()
    root = finding.consequence_of
    while root is not None and root in found and root not in seen:
        if found[root].is_hopeless:
            return True
        seen.add(root)
        root = found[root].consequence_of
    return False


def _root_first(found: dict[str, Finding], view: View) -> list[str]:
    return sorted(found, key=lambda name: (found[name].consequence_of is not None, view.order.index(name)))


def _unexplained_endpoints(view: View, findings: list[Finding]) -> list[Finding]:
    """An endpoint that is down without any cause above is at least said."""
    if view.daemon["state"] != "running":
        return []
    explained = {one.service for one in findings if one.service}
    if view.site.server_service in explained:
        return []
    owners = {view.site.health_url: view.site.server_service, view.site.public_url: view.site.proxy_service}
    return [
        Finding(
            None,
            f"{endpoint_words(endpoint)}, though no service looks sick",
            escalate=f"{url} does not answer well and no service explains it: is the address right, and what lies between?",
            cause="endpoint-down",
        )
        for url, endpoint in view.endpoints.items()
        if not is_good(endpoint) and owners.get(url) not in explained
    ]


def _steps(findings: list[Finding], view: View) -> list[dict[str, Any]]:
    """The host first, then the services: each step as many of them as need the same and wait for no later step."""
    steps = [_step(do, [one], view) for do in ORDER for one in findings if one.do == do and one.service is None]
    pending = {one.service: one for one in findings if one.do is not None and one.service is not None}
    while pending:
        # The first in dependency order waits for nobody, so there is always one that is ready.
        ready = [pending[name] for name in view.order if name in pending and _ready(pending[name], pending, view)]
        do = min((str(one.do) for one in ready), key=ORDER.index)
        group = [one for one in ready if one.do == do]
        steps.append(_step(do, group, view))
        for one in group:
            del pending[str(one.service)]
    return steps


def _ready(finding: Finding, pending: dict[Any, Finding], view: View) -> bool:
    """Whether all it needs is fine, or is mended by the same kind of step."""
    return all(pending[need].do == finding.do for need in view.upstream(str(finding.service)) if need in pending)


def _step(do: str, findings: list[Finding], view: View) -> dict[str, Any]:
    services = [one.service for one in findings if one.service]
    return {
        "do": do,
        "services": services,
        "containers": _startable(services, view) if do == "start" else _without_compose(services, view),
        "key": f"{do}:{','.join(services)}" if services else do,
        "sentence": SENTENCES[do].format(services=listed(services, len(view.services)) if services else ""),
        "reason": "; ".join(dict.fromkeys(one.reason for one in findings if one.reason)),
        "details": [one.details for one in findings],
    }


def _startable(services: list[str], view: View) -> list[str]:
    """The containers that the engine may start by itself, in order; none where one must wait for another's health.

    Compose asks after every dependency first, which takes longer than the start itself.
    """
    waits = any(need in services for name in services for need in view.services[name].get("waits_for") or [])
    if waits and view.compose_can_act:
        return []
    return [
        one["container_id"]
        for name in services
        for one in view.services[name]["containers"]
        if one["state"] in ("exited", "dead", "created")
    ]


def _without_compose(services: list[str], view: View) -> list[str]:
    """Where Compose refuses every command, the engine is told the containers themselves."""
    return (
        [] if view.compose_can_act else [one["container_id"] for name in services for one in view.services[name]["containers"]]
    )


def tried_from(entries: list[str]) -> frozenset[tuple[str, str]]:
    """Keys of steps ("start:server,nginx", "free_disk") as pairs of what was done and to whom."""
    pairs: set[tuple[str, str]] = set()
    for entry in entries:
        do, _colon, services = entry.partition(":")
        pairs.update((do, name) for name in services.split(",")) if services else pairs.add((do, ""))
    return frozenset(pairs)
