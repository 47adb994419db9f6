# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Causes that lie in a service itself."""

from __future__ import annotations

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Finding
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import human_seconds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import human_bytes
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_view import View, endpoint_words, is_good
from ansible_collections.monero_marketplace.incident.plugins.module_utils._diagnosis_words import how_it_ended, listed
from ansible_collections.monero_marketplace.incident.plugins.module_utils._steps import FRESH_STARTS

Service = dict[str, Any]

# A run that ends this early did not get to its work; a service that runs longer fails for another reason than its start.
SHORT_RUN = 30.0
# A process without a health check that lasted this long has come up.
COME_UP = 10.0
# A wallet or the Monero daemon that is up for less than this may still be opening its files, and answers nobody meanwhile.
FIRST_LOOK = 120.0


def paused(view: View, service: Service) -> Finding | None:
    if service["state"] != "paused":
        return None
    name = service["name"]
    if service["paused_by_us"]:
        return Finding(
            name,
            f"{name} left paused by an interrupted archive of its log",
            do="unpause",
            reason="the pause is our own",
        )
    found = Finding(name, f"{name} is paused (docker pause), and not by this tool", confirm=f"unpause:{name}")
    found.reason = "somebody may have frozen it on purpose, to keep evidence or data"
    if found.confirm in view.site.confirm:
        found.do = "unpause"
    return found


def stopped_processes(view: View, service: Service) -> Finding | None:
    halted = service["stopped_processes"]
    if service["state"] != "running" or not halted:
        return None
    name = service["name"]
    who = listed([f"{one['command']} (pid {one['pid']})" for one in halted[:3]])
    found = Finding(name, f"{name} halted by a signal (SIGSTOP): {who}", details={"pids": [one["pid"] for one in halted]})
    if view.tried(name, "resume"):
        found.escalate = f"{name} was told to go on in this run and is halted again: somebody or something keeps stopping it."
    else:
        found.do = "resume"
        found.reason = "it goes on where it stopped, nothing is lost"
    return found


def job_failed(_view: View, service: Service) -> Finding | None:
    if not service["job"] or service["state"] not in ("exited", "dead") or service["exit_code"] == 0:
        return None
    return Finding(
        service["name"],
        how_it_ended(service),
        escalate=f"{service['name']} is a job others wait for; it is not repeated for you, because it may have been half done.",
        log=service["log"],
    )


def crash_loop(view: View, service: Service) -> Finding | None:
    """It ends right after each start. A container that was killed once, or came back with the host, is none of these."""
    name, count = service["name"], service["restart_count"] or 0
    if service["state"] in ("exited", "dead", "created") and view.tried(name, *FRESH_STARTS):
        why = f": {service['error']}" if service["error"] else ""
        return _hopeless_loop(service, f"{how_it_ended(service)}, right after it was started{why}")
    if service["state"] != "restarting":
        return None
    if view.was_mended_since(service) and not view.tried(name, *FRESH_STARTS):
        return Finding(
            name, how_it_ended(service), do="restart", reason="what it fell over is mended, and Docker waits longer each time"
        )
    if view.needs_one_that_is_down(name):
        return Finding(name, how_it_ended(service), symptom=True, log=service["log"], wait_for="Docker's own restart of it")
    if view.needs_one_that_came_back_since(service) and not view.tried(name, *FRESH_STARTS):
        return Finding(
            name, how_it_ended(service), do="restart", reason="what it needs is back, and Docker waits longer each time"
        )
    ran = view.ran_for(service)
    failed = service["exit_code"] not in (0, None)
    if (failed and count >= 2 and (ran is None or ran <= SHORT_RUN)) or (count >= 3 and (ran is None or ran <= 4 * SHORT_RUN)):
        lasted = f" {human_seconds(ran)} after each start" if ran is not None and ran >= 1 else " right after each start"
        return _hopeless_loop(service, f"{name} exits with {service['exit_code']}{lasted} ({count} restarts)")
    if view.site.patience_over:
        return _hopeless_loop(service, f"{name} does not stay up ({count} restarts): {how_it_ended(service)}")
    return None


def _hopeless_loop(service: Service, sentence: str) -> Finding:
    memory = service["out_of_memory"]
    if memory["claimed"] and "memory" not in sentence:
        sentence += ", killed by the kernel's out-of-memory killer"
    return Finding(
        service["name"],
        sentence,
        evidence=[memory["evidence"]] if memory["claimed"] else [],
        escalate=f"{service['name']} ends by itself, so starting it again mends nothing; its last lines say why.",
        log=service["log"],
    )


def restarting(_view: View, service: Service) -> Finding | None:
    if service["state"] != "restarting":
        return None
    return Finding(service["name"], how_it_ended(service), wait_for="Docker's own restart of it")


def image_missing(view: View, service: Service) -> Finding | None:
    gone = _containers_gone(service)
    if gone is None or service["image_present"] is not False:
        return None
    where = f"; a release in {view.site.release_dir} may hold it" if view.site.release_dir else ""
    return Finding(
        service["name"],
        f"{gone}, and its image {service['image']} is not on this host",
        escalate=f"Load the image {service['image']} (`docker load`){where}; nothing is built or pulled for you in an outage.",
    )


def _containers_gone(service: Service) -> str | None:
    name, wanted, there = service["name"], service["wanted_containers"], len(service["containers"])
    if service["state"] != "missing" and (service["state"] != "running" or there >= wanted):
        return None
    return f"{name} has no container" if not there else f"{name} has {there} of {wanted} containers"


def container_missing(view: View, service: Service) -> Finding | None:
    name, gone = service["name"], _containers_gone(service)
    if gone is None:
        return None
    if view.tried(name, "create"):
        return Finding(name, gone, escalate=f"{name} was created in this run and is gone again.")
    return Finding(name, gone, do="create", reason=f"its image {service['image']} is here")


def out_of_memory(view: View, service: Service) -> Finding | None:
    """Only with the kernel's word: exit status 137 is any SIGKILL."""
    found = exited(view, service) if service["out_of_memory"]["claimed"] else None
    if found is not None:
        found.evidence.append(service["out_of_memory"]["evidence"])
        limit = human_bytes(service["memory_limit"]) if service["memory_limit"] else ""
        allowed = f"its limit of {limit}" if limit else "the host's memory, for it has no limit"
        found.risk = f"{service['name']} will run out of memory again: what it needs is more than {allowed}"
    return found


def exited(_view: View, service: Service) -> Finding | None:
    if service["state"] not in ("exited", "dead", "created") or service["job"]:
        return None
    name = service["name"]
    if service["state"] == "created":
        why = f": {service['error']}" if service["error"] else ""
        return Finding(name, f"{name} was created but never started{why}", do="start", reason="it is not running")
    found = Finding(name, how_it_ended(service), do="start", reason="it is not running", log=service["log"])
    found.exit_code = service["exit_code"]
    return found


def starting(view: View, service: Service) -> Finding | None:
    if service["state"] != "running" or service["health"] != "starting":
        return None
    name, up = service["name"], view.seconds_since(service["started_at"]) or 0.0
    found = Finding(name, f"{name} started {human_seconds(up)} ago and is not healthy yet", symptom=True)
    if view.site.patience_over:
        found.escalate = f"{name} does not become healthy; its health check says: {service['probe_output'] or 'nothing'}"
        found.log = service["log"]
    else:
        within = f" (up to {human_seconds(service['start_period'])} are planned)" if service["start_period"] else ""
        found.wait_for = f"its health check{within}"
    return found


def unhealthy(view: View, service: Service) -> Finding | None:
    if service["state"] != "running" or service["health"] != "unhealthy":
        return None
    name = service["name"]
    found = Finding(name, f"{name} runs but is unhealthy", symptom=True, log=service["log"])
    if service["probe_output"]:
        found.evidence.append(f"health check: {service['probe_output'].splitlines()[-1]}")
    endpoint = view.endpoint_of(name)
    if endpoint is not None and not is_good(endpoint):
        found.sentence = f"{name} runs but does not serve ({endpoint_words(endpoint)})"
    return _restart_once(view, service, found, "its health check fails")


def certificate_refused(view: View, service: Service) -> Finding | None:
    found, endpoint = _silent(view, service)
    if found is None or endpoint["error"] != "tls":
        return None
    found.symptom = False
    found.escalate = (
        f"The certificate of {endpoint['url']} is refused ({endpoint['detail']}): "
        f"renew it, then reload {service['name']}; nothing is restarted."
    )
    return found


def wrong_answer(view: View, service: Service) -> Finding | None:
    found, endpoint = _silent(view, service)
    if found is None or endpoint["status"] is None or endpoint["status"] >= 500:
        return None
    found.escalate = f"{endpoint['url']} answers {endpoint['status']}: is the path right? Set marketplace_health_url and marketplace_public_url."
    return found


def not_serving(view: View, service: Service) -> Finding | None:
    """Docker sees nothing wrong, users do."""
    found, _endpoint = _silent(view, service)
    if found is None:
        return None
    up = view.seconds_since(service["started_at"])
    if up is not None and up < max(COME_UP, service["start_period"] or 0) and not view.site.patience_over:
        found.wait_for = f"its first answer (started {human_seconds(up)} ago)"
        return found
    return _restart_once(view, service, found, "users get no answer from it")


def _silent(view: View, service: Service) -> tuple[Finding | None, dict[str, Any]]:
    """What is found where a service runs and its endpoint does not answer well; with that endpoint."""
    endpoint = view.endpoint_of(service["name"])
    if service["state"] != "running" or endpoint is None or is_good(endpoint):
        return None, {}
    sentence = f"{service['name']} runs but does not serve ({endpoint_words(endpoint)})"
    return Finding(service["name"], sentence, symptom=True, log=service["log"]), endpoint


def _restart_once(view: View, service: Service, found: Finding, reason: str) -> Finding:
    name, up = service["name"], view.seconds_since(service["started_at"])
    if name in view.site.careful and up is not None and up < FIRST_LOOK and not view.site.patience_over:
        found.wait_for = f"it to answer: started {human_seconds(up)} ago it may be reading its wallet, or the chain"
    elif view.tried(name, *FRESH_STARTS):
        if up is not None and up < max(COME_UP, service["start_period"] or 0) and not view.site.patience_over:
            found.wait_for = "what was just done to it to show"
        else:
            found.escalate = f"{name} was started afresh in this run and still does not serve: another restart mends nothing."
    elif view.is_settling(name) and not view.site.patience_over:
        found.wait_for = "what was just done to show in its health check"
    elif name in view.site.careful and f"restart:{name}" not in view.site.confirm:
        found.confirm = f"restart:{name}"
        found.reason = "a busy wallet or a syncing daemon looks the same, and a restart throws its work away"
    else:
        found.do = "restart"
        found.reason = reason
    return found


def coming_up(view: View, service: Service) -> Finding | None:
    """Without a health check only time shows that a service which kept falling stays up."""
    up = view.seconds_since(service["started_at"])
    if service["state"] != "running" or service["health"] != "none" or not service["restart_count"] or view.site.patience_over:
        return None
    if up is None or up >= COME_UP:
        return None
    count = service["restart_count"]
    return Finding(service["name"], f"{service['name']} was restarted by Docker ({count} times)", wait_for="it to stay up")
