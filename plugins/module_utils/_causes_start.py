# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes for which a start would fail, found before it is tried: a port in other hands, no subnet for a network."""

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import clock_time, epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import View
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_words import how_it_ended, listed

_POOL_ADVICE = "`docker network ls` shows them all, `default-address-pools` in /etc/docker/daemon.json gives more room"
# The cause that explains it, one of the host's.
PORTS_KEPT = "ports-kept"


def port_taken(view: View, service: dict[str, Any]) -> Finding | None:
    """Somebody else listens where the service is to be published, so that its start would fail."""
    name = service["name"]
    held = [one for one in view.network.get("holders") or [] if one["service"] == name and not _is_its_own(one, service)]
    if not held or service["job"] or service["state"] in (None, "running", "paused"):
        return None
    if all(one["kept_by_engine"] for one in held) and view.frozen(name) is None:
        return Finding(name, f"{name} does not run and cannot start", consequence_of=PORTS_KEPT)
    # Whoever is not the engine has to go first: a restart of Docker would be in vain.
    held = [one for one in held if not one["kept_by_engine"]] or held
    one = held[0]
    who = _holder(one)
    looked = f"`ss -ltnp 'sport = :{one['port']}'`" if one["protocol"] == "tcp" else f"`ss -lunp 'sport = :{one['port']}'`"
    ports = listed([f"{other['port']}/{other['protocol']}" for other in held])
    found = Finding(name, f"{name} does not run and cannot start: {who} listens on its port {ports}", log=service["log"])
    if service["state"] != "missing":
        found.evidence.append(how_it_ended(service))
    found.escalate = f"{_holder_answer(one)} ({looked} on the host shows it), then run again; {name} was not started in vain."
    return found


def _is_its_own(holder: dict[str, Any], service: dict[str, Any]) -> bool:
    """A proxy of no container's is that of the container which the engine is about to start once more."""
    return bool(service["state"] == "restarting" and holder["proxy"] and not holder["publisher"])


def _holder(one: dict[str, Any]) -> str:
    if one["pid"] is None:
        return "a process that is not shown"
    since = epoch(one["since"])
    facts = [f"pid {one['pid']}"]
    facts += [f"user {one['user']}"] if one["user"] else []
    facts += [one["unit"]] if one["unit"] and not one["proxy"] else []
    facts += [f"since {clock_time(since)}"] if since is not None else []
    who = one["command"] or "a process"
    if one["kept_by_engine"]:
        who = f"{who} of the running Docker daemon"
    elif one["proxy"] and one["publisher"]:
        who = f"container {one['publisher']} by {who}"
    elif _is_left_behind(one):
        who = f"{who}, left behind by a Docker daemon that died"
    return f"{who} ({', '.join(facts)})"


def _is_left_behind(one: dict[str, Any]) -> bool:
    """A proxy without a container, whose daemon has ended: what has lost its parent is given to process 1."""
    return bool(one["proxy"] and one["publishers_known"] and not one["publisher"] and one["parent"] == 1)


def _holder_answer(one: dict[str, Any]) -> str:
    if one["proxy"] and one["publisher"]:
        return f"Decide which of both keeps port {one['port']}: stop container {one['publisher']} or publish it elsewhere"
    if _is_left_behind(one):
        return f"No container publishes port {one['port']}, so nobody needs that docker-proxy: end it (`kill {one['pid']}`)"
    return f"Find out who started it and stop it or move it off port {one['port']}"


def pool_exhausted(view: View) -> Iterator[Finding]:
    """A stack without its network, and no subnet left to make it."""
    subnets = view.network.get("subnets")
    lacking = subnets["needed"] - subnets["free"] if subnets else 0
    if not subnets or lacking <= 0:
        return
    missing = listed(view.network["missing"])
    found = Finding(
        None,
        f"Docker has no subnet left for network {missing}: "
        f"{subnets['networks']} networks and the host's routes use up its address pools",
    )
    unused = subnets["unused"][:lacking]
    if view.tried_on_host("remove_networks"):
        found.escalate = (
            f"Unused networks were removed in this run, and there is still no subnet for {missing}: {_POOL_ADVICE}."
        )
    elif len(unused) < lacking:
        others = subnets["unused_of_projects"]
        idle = f"; {listed(others[:5])} have no container, but belong to Compose projects: ask their owners" if others else ""
        found.escalate = f"No network can go that is nobody's: {_POOL_ADVICE}{idle}."
    else:
        names = listed([one["name"] for one in unused])
        # By name: a confirmation that was read for one network is none for another.
        found.confirm = f"remove_networks:{'+'.join(one['name'] for one in unused)}"
        found.reason = f"removes {names}, on which no container is, running or stopped, and which no Compose project made"
        if found.confirm in view.site.confirm:
            found.do = "remove_networks"
            found.details = {"networks": unused}
    yield found


def network_missing(view: View, service: dict[str, Any]) -> Finding | None:
    """To create a container would fail as long as its network cannot be made."""
    if service["state"] != "missing" or not any(one.is_hopeless for one in pool_exhausted(view)):
        return None
    return Finding(service["name"], f"{service['name']} has no container", consequence_of="its network")
