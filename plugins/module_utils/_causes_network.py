# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes between the containers, and between them and the outside."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import clock_time, epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import View, endpoint_words, is_good
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_words import listed
from ansible_collections.monero_marketplace.incident.plugins.module_utils._steps import FRESH_STARTS

# nginx names it in its error log and, where the site wants it so, in its access log.
_UPSTREAM = re.compile(r'upstream[=:] ?"?(?:https?://)?(\d{1,3}(?:\.\d{1,3}){3})\b')


def port_dead(view: View, service: dict[str, Any]) -> Finding | None:
    """Well inside, out of reach from the host."""
    endpoint = view.endpoint_of(service["name"])
    if service["state"] != "running" or service["health"] != "healthy" or endpoint is None or is_good(endpoint):
        return None
    if endpoint["error"] not in ("refused", "unreachable", "unresolved"):
        return None
    return Finding(
        service["name"],
        f"{service['name']} runs but does not serve ({endpoint_words(endpoint)})",
        symptom=True,
        log=service["log"],
        escalate=f"{service['name']} is healthy inside, but {endpoint['url']} is {endpoint['error']} from the host: "
        f"the published port is dead. Look at `docker port {service['container_name']}` and the firewall; "
        "a restart is no cure for that.",
    )


def off_network(view: View, service: dict[str, Any]) -> Finding | None:
    """A container taken off the network on which others look for its service."""
    name = service["name"]
    ends = [one for one in _known(view, "attachments") if one["service"] == name and not one["attached"]]
    if not ends:
        return None
    where = listed(sorted({one["network"] for one in ends}))
    found = Finding(name, f"{name} runs but is not on network {where}, so nobody there can reach it")
    if view.tried(name, "reconnect"):
        found.escalate = f"{name} was put back on {where} in this run and is off it again: somebody or something keeps it out."
        return found
    if not all(one["left_by_us"] for one in ends):
        found.confirm = f"reconnect:{name}"
        found.reason = "somebody may have isolated it on purpose"
        if found.confirm not in view.site.confirm:
            return found
    else:
        found.reason = "an interrupted run of this tool took it off"
    return _put_back(found, ends)


def name_lost(view: View, service: dict[str, Any]) -> Finding | None:
    """On the network, but nobody there answers to the name by which others look for it."""
    name = service["name"]
    ends = [one for one in _known(view, "attachments") if one["service"] == name and one["attached"] and _lost_names(view, one)]
    if not ends:
        return None
    lost = listed(sorted({lost for one in ends for lost in _lost_names(view, one)}))
    where = listed(sorted({one["network"] for one in ends}))
    found = Finding(name, f"the name {lost} is found by nobody on network {where}: {name} was put there without it")
    endpoint = view.endpoint_of(name)
    well = service["health"] == "healthy" or (endpoint is not None and is_good(endpoint))
    addresses = [str(one["address"]) for one in ends if one["address"]]
    if addresses:
        found.evidence.append(f"{name} {'works' if well else 'is'} at {listed(addresses)}")
    if view.tried(name, "reconnect"):
        found.escalate = f"{name} was put back on {where} with its names in this run and has lost them again."
        return found
    found.reason = "its connections end for a moment, it is not restarted"
    return _put_back(found, ends)


def _lost_names(view: View, end: dict[str, Any]) -> list[str]:
    """Where a service has several containers, one that answers to the name is enough."""
    known = {name for one in _known(view, "attachments") if one["network"] == end["network"] for name in one["names"]}
    return [name for name in end["wanted_names"] if name not in known]


def _put_back(found: Finding, ends: list[dict[str, Any]]) -> Finding:
    found.do = "reconnect"
    found.details = {
        "ends": [
            {
                "container": one["container"],
                "network": one["network"],
                "attached": one["attached"],
                "names": list(dict.fromkeys([one["container"], *one["wanted_names"]])),
                "address": one["wanted_address"],
            }
            for one in ends
        ]
    }
    return found


def stale_upstream(view: View, service: dict[str, Any]) -> Finding | None:
    """nginx asks for the server's address once, at its start, and goes on asking there."""
    name, server = service["name"], view.services.get(view.site.server_service)
    if name != view.site.proxy_service or server is None or service["state"] != "running":
        return None
    front, behind = view.endpoint_of(name), view.endpoint_of(server["name"])
    if front is None or front["status"] not in (502, 504) or behind is None or not is_good(behind):
        return None
    masters = [one for one in _known(view, "nginx") if one["service"] == name]
    if not masters or view.tried(name, "reload", *FRESH_STARTS):
        return None
    sentence = _stale_sentence(view, service, server)
    if sentence is None:
        return None
    return Finding(
        name,
        sentence,
        evidence=[endpoint_words(behind)],
        do="reload",
        reason="it then asks for the name again, and no connection is lost",
        details={"masters": [{"container_id": one["container_id"], "options": one["options"]} for one in masters]},
        symptom=True,
    )


def _stale_sentence(view: View, proxy: dict[str, Any], server: dict[str, Any]) -> str | None:
    there = [str(one["address"]) for one in _known(view, "attachments") if one["service"] == server["name"] and one["address"]]
    asked = [address for line in proxy["log"] for address in _UPSTREAM.findall(line)]
    if there and asked:
        words = f"{proxy['name']} asks for {server['name']} at {asked[-1]}, but it is at {listed(there)}"
        return words if asked[-1] not in there else None
    started, own = epoch(server["started_at"]), epoch(proxy["started_at"])
    if started is None or own is None or started <= own or (view.is_settling(proxy["name"]) and not view.site.patience_over):
        return None
    return (
        f"{proxy['name']} has not asked for the address of {server['name']} since that was started anew {clock_time(started)}"
    )


def _known(view: View, what: str) -> list[dict[str, Any]]:
    return view.network.get(what) or []
