# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes below every container: the Docker daemon, its firewall rules, the boot of the host."""

from __future__ import annotations

from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import clock_time, epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import View, endpoint_words, is_good
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_words import listed

# A wallet stores itself at its end; monerod's database is written lazily, and a kill can cost the chain.
WALLET_SECONDS = 60
DAEMON_SECONDS = 300
# A host goes down and comes up again within this; what had ended before did so for another reason.
SHUTDOWN_SECONDS = 900.0
# After a boot without a shutdown the daemon notes its own start as the end of what had been running.
NOTED_LATE_SECONDS = 300.0
UNKNOWN_END = 255
# A proxy listens before its container runs: where the runtime is slow, so long.
STARTING_SECONDS = 30.0

_CLEANLY = (
    "first every wallet is stored, then they are stopped one after another, those that need others first; "
    "a signing round may be open, and only the application knows"
)


def docker_killed(view: View) -> Iterator[Finding]:
    """The daemon is gone and its containers are not. Unless live-restore was on, it ends every one of them when it starts."""
    alive = view.living
    count = _count(view)
    if view.daemon["state"] != "stopped" or not count:
        return
    process = view.engine.get("process") or {}
    how = "was killed" if process.get("result") == "signal" else "is not running"
    found = Finding(None, f"Docker {how}, and {count} containers live on without it")
    result = f", result {process['result']}" if process.get("result") else ""
    found.evidence.append(f"docker.service is {view.daemon['unit'].get('docker') or 'unknown'}{result}")
    if alive:
        found.evidence.append(f"alive: {listed([one['service'] or one['name'] for one in alive], len(view.services))}")
    found.evidence += _endpoints(view)
    _leave_cleanly(view, found, "start_docker", f"starting Docker ends them all: {_CLEANLY}")
    yield found


def firewall_flushed(view: View) -> Iterator[Finding]:
    missing = (view.engine.get("firewall") or {}).get("missing")
    if view.daemon["state"] != "running" or not missing:
        return
    found = Finding(
        None,
        "Docker's firewall rules were flushed: published ports can be dead from outside, though they answer on the host",
        evidence=[*missing, *_endpoints(view)],
    )
    if view.tried_on_host("restart_docker"):
        found.escalate = (
            "Docker was restarted in this run and its firewall rules are missing again: what loads the host's own rules? "
            "`iptables -t nat -S` shows what is there, `journalctl -b -u nftables -u firewalld -u ufw` who wrote it."
        )
    else:
        _restart(view, found, "only a restart of Docker writes them anew")
    yield found


def ports_kept(view: View) -> Iterator[Finding]:
    """Stopped while it started a container, the daemon opens that one's ports when it comes up, and never gives them back."""
    held = [one for one in view.network.get("holders") or [] if _would_start(view, one["service"])]
    others = {one["service"] for one in held if not one["kept_by_engine"]}
    kept = [one for one in held if one["service"] not in others]
    if view.daemon["state"] != "running" or not kept:
        return
    names = list(dict.fromkeys(one["service"] for one in kept))
    ports = listed(list(dict.fromkeys(f"{one['port']}/{one['protocol']}" for one in kept)))
    found = Finding(
        None, f"Docker keeps {ports} of {listed(names)} for a container that it does not run", harms=frozenset(names)
    )
    found.evidence = [_keeper(one) for one in kept[:1]]
    if (view.engine.get("firewall") or {}).get("missing"):
        yield found  # the restart that writes the rules anew gives them back too
        return
    ages = [view.seconds_since(one["since"]) for one in kept]
    if any(age is not None and age < STARTING_SECONDS for age in ages) and not view.site.patience_over:
        found.wait_for = f"{listed(names)}, which somebody may be starting just now"
    elif view.tried_on_host("restart_docker"):
        found.escalate = "Docker was restarted in this run and keeps ports again: `journalctl -b -u docker | grep stale` on the host shows whose."
    else:
        _restart(view, found, "only a restart of Docker gives them back")
    yield found


def _restart(view: View, found: Finding, only: str) -> None:
    """At once where nothing could end with it, else left cleanly first; not where Docker and its own files do not agree on that."""
    if _count(view):
        ends = (
            "it may end containers, though live-restore is on" if view.daemon.get("live_restore") else "it ends all containers"
        )
        _leave_cleanly(view, found, "restart_docker", f"{only}, and {ends}: {_CLEANLY}")
    elif running := [name for name, one in view.services.items() if one["state"] in ("running", "paused", "restarting")]:
        found.escalate = (
            f"{only[0].upper()}{only[1:]}, and which containers end with it could not be read from Docker's own files, though "
            f"{listed(running, len(view.services))} run: leave them cleanly by hand."
        )
    else:
        found.do, found.reason = "restart_docker", "nothing runs that it could end"


def _would_start(view: View, name: str) -> bool:
    """One that the engine is about to start once more meets its own proxy; a frozen one is not started at all."""
    service = view.services[name]
    return not service["job"] and service["state"] != "restarting" and view.frozen(name) is None


def _keeper(one: dict[str, Any]) -> str:
    since = epoch(one["since"])
    when = f", since {clock_time(since)}" if since is not None else ""
    who = "is" if one["command"] == "dockerd" else "is a child of"
    return f"{one['command']} (pid {one['pid']}{when}) {who} the running daemon, and no container publishes {one['port']}/{one['protocol']}"


def _leave_cleanly(view: View, found: Finding, step: str, reason: str) -> None:
    """Store, stop, and only then let the daemon start: each in its turn, and only with the number of containers confirmed."""
    ours = [one for one in view.living if one["project"] == view.project]
    found.reason = reason
    problem = view.engine.get("settings_problem")
    if problem:
        found.escalate = (
            f"Docker would not come up again: {problem}. Nothing was stopped; mend the file, then run the same command again."
        )
    elif view.tried_on_host(step):
        found.escalate = "This was tried in this run and containers live on: `journalctl -u docker -n 50` on the host says why."
    elif view.tried_on_host("stop_cleanly"):
        if ours:
            found.escalate = (
                f"Not everything could be left cleanly, so the daemon was not started: {_named(ours)} still at work."
            )
        else:
            found.do = step
            found.reason = "what it would end was stopped cleanly"
    else:
        others = sorted({one["name"] for one in view.living if one["project"] != view.project})
        if others:
            found.reason += f"; {listed(others[:4])} of no service here are not stopped first, the engine ends them"
        found.confirm = f"{step}:{_count(view)}-containers"
        if found.confirm in view.site.confirm:
            found.do = "stop_cleanly" if ours else step
            found.details = _details(view, ours)


def _count(view: View) -> int:
    """How many containers are meant: also those that an interrupted clean stop has ended already, so that a confirmation stays good."""
    begun = (view.engine.get("interrupted_stop") or {}).get("of") or 0
    alive = len(view.living) or view.daemon.get("live_containers") or 0
    return max(alive, begun) if alive else 0


def _named(alive: list[dict[str, Any]]) -> str:
    return listed([f"{one['service'] or one['name']} (pid {one['pid']})" for one in alive])


def _details(view: View, ours: list[dict[str, Any]]) -> dict[str, Any]:
    """What the clean stop has to know: where each wallet is, who ends after whom, and how long each may take."""
    address = {one["service"]: one["address"] or "127.0.0.1" for one in ours}
    wallets = [one for one in view.site.wallets if one["service"] in address]
    timeouts = {one["service"]: WALLET_SECONDS for one in wallets}
    if view.site.daemon_service in address:
        timeouts[view.site.daemon_service] = DAEMON_SECONDS
    return {
        "wallets": [
            {
                "name": one["service"],
                "url": one.get("url") or f"http://{address[one['service']]}:{view.site.wallet_port}",
            }
            for one in wallets
        ],
        "order": view.dependents_first(sorted(address)),
        "timeouts": timeouts,
    }


def docker_stopped(view: View) -> Iterator[Finding]:
    if view.daemon["state"] != "stopped" or _count(view):
        return
    found = Finding(None, f"Docker is not running: {view.daemon['detail']}", evidence=_endpoints(view))
    if view.tried_on_host("start_docker"):
        found.escalate = "Docker was started in this run and is down again: `journalctl -u docker -n 50` on the host says why."
    else:
        found.do = "start_docker"
        found.reason = "without the daemon no container can run"
    yield found


def docker_hung(view: View) -> Iterator[Finding]:
    if view.daemon["state"] != "not_responding":
        return
    units = view.daemon["unit"]
    found = Finding(None, f"Docker does not answer: {view.daemon['detail']}", evidence=_endpoints(view))
    process = view.engine.get("process") or {}
    serving = [one for one in view.endpoints.values() if is_good(one)]
    alive = "the site still answers, and " if serving else ""
    if process.get("state") == "T" and not view.tried_on_host("resume_docker"):
        found.do = "resume_docker"
        found.details = {"pid": process["pid"]}
        found.reason = f"{alive}no container is touched by it"
    elif units.get("docker") in ("activating", "reloading", "deactivating") and not view.site.patience_over:
        found.wait_for = f"docker.service, which is {units['docker']}"
    else:
        again = "It was told to go on (SIGCONT) in this run and hangs again. " if process.get("state") == "T" else ""
        found.escalate = (
            f"{again}A Docker daemon that hangs is not restarted by itself: {alive}a restart would stop every container, wallets and "
            "database included. Look at `journalctl -u docker -n 100` and `systemctl status docker`."
        )
    yield found


def host_rebooted(view: View, service: dict[str, Any]) -> Finding | None:
    """It went down with the host and was not to come back by itself."""
    boot, finished = epoch(view.engine.get("booted_at")), epoch(service["finished_at"])
    if service["state"] not in ("exited", "dead") or service["job"] or boot is None or finished is None:
        return None
    if service["restart_policy"] not in ("no", "", "on-failure"):
        return None
    with_the_host = boot - SHUTDOWN_SECONDS <= finished <= boot
    noted_late = service["exit_code"] == UNKNOWN_END and boot < finished <= boot + NOTED_LATE_SECONDS
    started = epoch(service["started_at"])
    if not (with_the_host or noted_late) or (started is not None and started > boot):
        return None
    name, policy = service["name"], service["restart_policy"] or "no"
    found = Finding(
        name,
        f"the host was rebooted at {clock_time(boot)}; {name} did not come back (restart policy {policy})",
        do="start",
        reason="it is not running",
        details={"boot": clock_time(boot), "policy": policy},
        log=service["log"],
    )
    found.exit_code = service["exit_code"]
    return found


def _endpoints(view: View) -> list[str]:
    return [endpoint_words(one) for one in view.endpoints.values() if not is_good(one)]
