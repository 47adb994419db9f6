# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""From facts to a proposal: severity with its reason, playbook, whom to page. Pure functions; a human may know better."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _prometheus
from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import ABOUT_DATA
from ansible_collections.monero_marketplace.incident.plugins.module_utils._triage_money import out_of_reach, trouble
from ansible_collections.monero_marketplace.incident.plugins.module_utils._triage_signs import Signs

# The handbook's response times, in seconds.
RESPONSE = {"P1": 15 * 60, "P2": 3600, "P3": 4 * 3600, "P4": 7 * 86400}
ORDER = ("P1", "P2", "P3", "P4")
# The alerts of the handbook, by the playbook that answers them.
ALERTS = {
    "ServiceDown": "outage",
    "DiskFull": "outage",
    "DatabaseUnavailable": "database",
    "DatabaseConnectionPoolSaturation": "database",
    "HighErrorRate": "error_rate",
    "HighLatency": "error_rate",
    "EscrowStuckCritical": "monero_rpc",
    "WalletRPCUnreachable": "monero_rpc",
    "MoneroDaemonBehind": "monero_rpc",
    "BackupFailed": "backup",
    "CertificateExpiring": "preflight",
}
# A service that is coming up is no reason to act.
ON_ITS_WAY = ("starting", "coming-up", "restarting")
# Without these customers notice nothing.
MONITORING = ("prometheus", "alertmanager", "exporter", "grafana")
# Whom to ask outside, by what a cause is about.
VENDORS = {"docker": "Docker Support (support@docker.com)", "ddos": "Cloudflare, if it is a flood (dash.cloudflare.com)"}
# At once, whatever the clock says.
PAGED = {
    "security_breach": ("Security Team: no public word before they approve", "CISO / Security Lead", "Incident Commander"),
    "data_corruption": ("Database Team: data may be at stake", "CTO", "Incident Commander"),
}


@dataclass
class Proposal:
    severity: str | None
    reason: str
    playbook: str | None
    page: list[str] = field(default_factory=list)
    vendors: list[str] = field(default_factory=list)


def customers(compose: Mapping[str, Any] | None, public_url: str, health_url: str) -> bool | None:
    """Whether customers are served now; None where nobody asked."""
    asked = {one["url"]: one for one in (compose or {}).get("endpoints") or []}
    endpoint = asked.get(public_url) or asked.get(health_url)
    if endpoint is None:
        return None
    return endpoint["status"] is not None and 200 <= endpoint["status"] < 400


def alerts(prometheus: Mapping[str, Any] | None) -> list[dict[str, Any]] | None:
    """Firing and pending alerts with their beginning, the most severe first; None where Prometheus did not say."""
    results = (prometheus or {}).get("results") or {}
    told, since = results.get("alerts"), results.get("alerts_since") or {}
    if not told or told.get("problem"):
        return None
    return [
        {
            **{key: one[key] for key in ("name", "severity", "state", "since")},
            "about": next((one["labels"][key] for key in ("wallet", "mountpoint", "instance") if one["labels"].get(key)), ""),
        }
        for one in _prometheus.alerts(told["samples"], since.get("samples") or [])
    ]


def value(prometheus: Mapping[str, Any] | None, name: str) -> float | None:
    """The one number of a query."""
    result = ((prometheus or {}).get("results") or {}).get(name) or {}
    values = [one["value"] for one in result.get("samples") or []]
    return float(values[0]) if len(values) == 1 and isinstance(values[0], (int, float)) else None


def error_ratio(prometheus: Mapping[str, Any] | None, minimum: int) -> float | None:
    requests, errors = value(prometheus, "requests"), value(prometheus, "errors")
    return None if requests is None or requests < minimum else (errors or 0.0) / requests


def propose(
    compose: Mapping[str, Any] | None,
    plan: Mapping[str, Any] | None,
    fired: list[dict[str, Any]] | None,
    served: bool | None,
    ratio: float | None,
    site: Mapping[str, Any],
    signs: Signs | None = None,
    monero: Mapping[str, Any] | None = None,
) -> Proposal:
    """Severity and playbook from the worst that was seen; whom to page from what one person cannot do alone."""
    firing = [one for one in fired or [] if one["state"] == "firing"]
    wallets = monero or {}
    severity, reason = _severity(compose, plan, firing, served, ratio, site, wallets)
    signs = signs or Signs()
    playbook = _playbook(compose, plan, firing, ratio, site, wallets, signs.kept_out)
    if signs.breach:
        return Proposal("P1", f"security breach: {signs.breach}", "security_breach", list(PAGED["security_breach"]))
    if signs.damage:
        return Proposal("P1", f"data may be damaged: {signs.damage}", "data_corruption", list(PAGED["data_corruption"]))
    if severity == "P1" and signs.unserved and compose is not None:
        reason = f"{reason}: {signs.unserved}"
    elif severity != "P1" and signs.gravest:
        severity, reason = "P1", signs.gravest
    if severity is None and signs.kept_out:
        severity, reason = "P2", signs.kept_out
    if playbook is None and served is False:
        playbook = "outage"
    found = Proposal(severity, reason, playbook)
    roots = [one for one in (plan or {}).get("causes") or [] if not one.get("consequence_of")]
    alone = plan is not None and not (plan["escalate"] or plan["confirm"]) and bool(plan["steps"] or plan["waiting"])
    # Steps for somebody else bring no wallet back.
    alone = alone and (not (out_of_reach(wallets) or signs.gravest) or bool(_sick(plan) & {None, *_money(site)}))
    if severity == "P1" and not alone:
        found.page.append("Incident Commander: no playbook ends this alone")
    elif severity == "P1":
        found.page.append("nobody yet: the command below may end it alone; Incident Commander after 30 min")
    elif severity == "P2":
        found.page.append("nobody else: on-call within the hour, customers may feel it, so not left for business hours")
    elif severity is not None:
        found.page.append("nobody: it can wait for business hours")
    if signs.unserved and not (plan or {}).get("causes"):
        found.vendors.append(VENDORS["ddos"])
    if found.playbook == "database" or any(_is_about_data(one, site) for one in roots):
        found.page.append("Database Team: data may be at stake")
    if any(one["cause"].startswith("docker-") for one in roots):
        found.vendors.append(VENDORS["docker"])
    return found


def _is_about_data(cause: Mapping[str, Any], site: Mapping[str, Any]) -> bool:
    return cause["cause"] in ABOUT_DATA or (
        bool(site.get("database_service")) and cause.get("service") == site["database_service"]
    )


def _is_the_database(compose: Mapping[str, Any], about: set[str | None], site: Mapping[str, Any], kept_out: str) -> bool:
    """Whether its own playbook is the answer: it alone is sick, or whoever is sick is so because he is kept out of it."""
    if about and about == {site.get("database_service")}:
        return True
    states = {one["name"]: one["state"] for one in compose.get("services") or []}
    behind = _before_customers(site)
    # A server that does not run comes first, whatever its last words were.
    return bool(kept_out) and about <= behind and states.get(site.get("server_service")) == "running"


def _money(site: Mapping[str, Any]) -> set[str]:
    return {*site.get("wallet_services", ()), site.get("daemon_service")} - {None, ""}


def _before_customers(site: Mapping[str, Any]) -> set[str | None]:
    return {site.get("server_service"), site.get("database_service"), site.get("proxy_service")}


def _sick(plan: Mapping[str, Any] | None) -> set[str | None]:
    """Whom the causes are about, None for the host or many at once; what only comes up is not sick."""
    return {one.get("service") for one in (plan or {}).get("causes") or [] if one["cause"] not in ON_ITS_WAY}


def _severity(
    compose: Mapping[str, Any] | None,
    plan: Mapping[str, Any] | None,
    firing: list[dict[str, Any]],
    served: bool | None,
    ratio: float | None,
    site: Mapping[str, Any],
    monero: Mapping[str, Any],
) -> tuple[str | None, str]:
    if compose is None:
        return "P1", "nothing can be seen of the services, so the worst is assumed"
    if served is False:
        return "P1", "customers are not served"
    stuck = next((one for one in firing if one["name"] == "EscrowStuckCritical"), None)
    if stuck:
        return "P1", "escrow funds are stuck (EscrowStuckCritical)"
    causes = [one for one in (plan or {}).get("causes") or [] if one["cause"] not in ON_ITS_WAY]
    if out_of_reach(monero):
        # Also where the cause is known and small: it is what it does to people that makes an incident grave.
        why = [one["sentence"] for one in causes if one.get("service") in {None, *_money(site)}]
        return "P1", "; ".join([out_of_reach(monero), *why[:1]])
    if ratio is not None and ratio > float(site.get("error_ratio_limit") or 0.05):
        return "P2", f"{100 * ratio:.1f} % of the requests of the last minutes failed"
    hurting = [one for one in causes if not any(word in str(one.get("service")) for word in MONITORING)]
    if hurting:
        return "P2", f"customers are served, but {hurting[0]['sentence']}"
    if trouble(monero):
        return "P2", f"customers are served, but {trouble(monero)}"
    worst = next((one for one in firing if one["severity"] in ORDER), None)
    if worst is not None:
        # An alert outlives its cause by its own window: what customers see now weighs more.
        severity = "P2" if worst["severity"] == "P1" else worst["severity"]
        return severity, f"customers are served; {worst['name']} is firing"
    if causes:
        return "P3", f"no customer impact: {causes[0]['sentence']}"
    if served is None:
        return "P2", "whether customers are served is unknown"
    return None, "nothing wrong was seen"


def _playbook(
    compose: Mapping[str, Any] | None,
    plan: Mapping[str, Any] | None,
    firing: list[dict[str, Any]],
    ratio: float | None,
    site: Mapping[str, Any],
    monero: Mapping[str, Any],
    kept_out: str = "",
) -> str | None:
    if compose is None:
        return "outage"
    money = _money(site)
    # Also where they only come up: its playbook waits for them, and knows what they may be falling over again and again.
    about = _sick(plan) or {one.get("service") for one in (plan or {}).get("causes") or []}
    if about and about <= money:
        return "monero_rpc"
    if about and out_of_reach(monero) and not about & {None, *money, *_before_customers(site)}:
        return "monero_rpc"
    if _is_the_database(compose, about, site, kept_out):
        return "database"
    if (plan or {}).get("causes") or not (plan or {}).get("settled", True):
        return "outage"
    if trouble(monero):
        return "monero_rpc"
    if ratio is not None and ratio > float(site.get("error_ratio_limit") or 0.05):
        return "error_rate"
    return next((ALERTS[one["name"]] for one in firing if one["name"] in ALERTS), None)
