# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""One look at a Compose project: all questions side by side, then one record of what was found."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _compose_engine,
    _compose_host,
    _compose_parse,
    _http_probe,
    _look_certificates,
    _look_engine,
    _look_network,
    _look_project,
    _look_storage,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import epoch, utc
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Questions, ask_all
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_secrets import masked, secret_values
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_text
from ansible_collections.monero_marketplace.incident.plugins.module_utils._container_log_archive import paused_by_us

# Only above this share is it worth to ask the engine what could go: the question makes it count files.
RECLAIM_ABOVE_PERCENT = 80.0
# Long enough for a hiccup to pass, short enough to go unnoticed in an outage.
SECOND_ASKING_AFTER = 1.0


@dataclass(frozen=True)
class Look:
    project_dir: str
    services: list[str] = field(default_factory=list)
    probe_urls: list[str] = field(default_factory=list)
    probe_timeout: float = 3.0
    validate_certs: bool = True
    disk_paths: list[str] = field(default_factory=list)
    log_lines: int = 15
    docker_timeout: float = 3.0
    state_dir: str = "/var/lib/marketplace_incident"
    database_path: str = ""
    certificate_path: str = ""
    log_services: list[str] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    counted_seconds: int = 900


def look(wanted: Look) -> dict[str, Any]:
    """Everything about the project in one record. Raises CannotLook where a person must act first."""
    _compose_engine.check_project_dir(wanted.project_dir)
    questions = Questions()
    for number, url in enumerate(wanted.probe_urls):
        questions.ask(f"endpoint {number}", _http_probe.get, url, wanted.probe_timeout, validate_certs=wanted.validate_certs)
    questions.ask("project", _compose_engine.read_project, wanted.project_dir)
    questions.ask("compose", _compose_engine.read_compose_version)
    questions.ask("daemon", _compose_engine.read_daemon, wanted.docker_timeout)

    daemon: _compose_engine.Daemon = questions.answer("daemon")
    root = daemon.root_dir or _compose_host.engine_root()
    questions.ask("engine", _look_engine.look, daemon.state, root, wanted.state_dir, wanted.docker_timeout)
    if daemon.running:
        questions.ask("containers", _compose_engine.read_containers, wanted.docker_timeout)
    containers = questions.answer("containers") if daemon.running else None
    project, problem = _look_project.read(lambda: questions.answer("project"), containers, wanted.project_dir, root)
    if problem is None or problem["readable"]:
        _check_services(wanted, project)
    if daemon.running and containers is None:
        daemon = _compose_engine.Daemon(
            "not_responding",
            f"docker ps and inspect gave no answer within {wanted.docker_timeout:g} s",
            daemon.version,
            daemon.root_dir,
            daemon.live_restore,
            daemon.units,
        )
    by_service = None if containers is None else _compose_parse.of_project(containers, project.name)
    disk = _disks(wanted, daemon)
    clock = time.time()
    images = _images(project, by_service, wanted) if by_service is not None else None
    services = [
        service(declared, None if by_service is None else by_service.get(name, []), images)
        for name, declared in sorted(project.services.items())
    ]
    endpoints = [_endpoint(questions, number, url, wanted) for number, url in enumerate(wanted.probe_urls)]
    if daemon.running and not any(is_sick(one, clock) or one["state"] == "missing" for one in services):
        endpoints = _ask_again(endpoints, wanted)
    network = _look_network.look(project, by_service, services, wanted.docker_timeout, wanted.state_dir)
    engine = _engine(questions, wanted)
    if network is not None and any(one["kept_by_engine"] for one in network["holders"]):
        engine.update(_look_engine.at_stake(root, wanted.state_dir))
    sick = any(is_sick(one, clock) for one in services) or not all(answers_well(one) for one in endpoints)
    storage = _look_storage.look(
        disk,
        project.services,
        by_service,
        sick=sick,
        database=wanted.database_path,
        timeout=wanted.docker_timeout,
        state_dir=wanted.state_dir,
    )
    reclaimable = _look_closer(wanted, daemon, services, endpoints, disk, clock)
    _mask(services, endpoints, secret_values(containers or []))
    return {
        "taken_at": utc(clock),
        "clock": clock,
        "boot_id": _compose_host.boot_id(),
        "daemon": {
            "state": daemon.state,
            "version": daemon.version,
            "compose_version": questions.answer("compose"),
            "root_dir": daemon.root_dir,
            "live_restore": daemon.live_restore,
            "live_containers": _compose_host.live_containers() if daemon.state == "stopped" else None,
            "unit": daemon.units,
            "detail": daemon.detail,
        },
        "engine": engine,
        "disk": disk,
        "reclaimable": reclaimable,
        "project": {"name": project.name, "directory": wanted.project_dir, "problem": problem},
        "services": services,
        "endpoints": endpoints,
        "network": network,
        "storage": storage,
        "certificates": _look_certificates.look(endpoints, wanted.certificate_path, wanted.probe_timeout),
    }


def _mask(services: list[dict[str, Any]], endpoints: list[dict[str, Any]], secrets: list[str]) -> None:
    """Applications print their settings when they fail; what is shown of it may not show a secret."""
    for one in services:
        one["log"] = [masked(line, secrets) for line in one["log"]]
        for key in ("probe_output", "error"):
            one[key] = one[key] and masked(one[key], secrets)
    for endpoint in endpoints:
        endpoint["body"] = masked(endpoint["body"], secrets)


def _check_services(wanted: Look, project: _compose_parse.Project) -> None:
    for name in wanted.services:
        if name not in project.services:
            raise _compose_engine.CannotLook(
                f"The Compose project in {wanted.project_dir} has no service '{name}'; it has {', '.join(sorted(project.services))}: "
                "set marketplace_server_service, marketplace_database_service and marketplace_proxy_service to names from that list "
                "(the latter two may be empty), then run again."
            )


def _disks(wanted: Look, daemon: _compose_engine.Daemon) -> list[dict[str, Any]]:
    root = daemon.root_dir or _compose_host.engine_root()
    paths = [path for path in dict.fromkeys(wanted.disk_paths) if path != root]
    return [_compose_host.filesystem(root, "engine"), *(_compose_host.filesystem(path, "site") for path in paths)]


def _images(
    project: _compose_parse.Project, by_service: dict[str, list[dict[str, Any]]], wanted: Look
) -> list[dict[str, Any]] | None:
    references = {declared.image for declared in project.services.values()}
    references.update(str(one["Image"]) for those in by_service.values() for one in those if one.get("Image"))
    return _compose_engine.read_images(references, wanted.docker_timeout)


def service(
    declared: _compose_parse.Declared, containers: list[dict[str, Any]] | None, images: list[dict[str, Any]] | None
) -> dict[str, Any]:
    """A service as it was found. containers is None where the engine could not be asked."""
    image = next((one for one in images or [] if _compose_parse.same_image(declared.image, one)), None)
    found: dict[str, Any] = {
        "name": declared.name,
        "state": None if containers is None else "missing",
        "health": "unknown" if containers is None else "none",
        "container_id": None,
        "container_name": None,
        "image": declared.image,
        "image_id": image["Id"] if image else None,
        "image_present": None if images is None else image is not None,
        "pid": None,
        "exit_code": None,
        "error": None,
        "started_at": None,
        "finished_at": None,
        "restart_count": None,
        "restart_policy": None,
        "memory_limit": None,
        "health_interval": declared.health_interval,
        "start_period": declared.start_period,
        "probe_output": None,
        "probe_ended": None,
        "log_path": None,
        "depends_on": sorted(declared.depends_on),
        "waits_for": sorted(need for need, condition in declared.depends_on.items() if condition != "service_started"),
        "job": declared.job,
        "wanted_containers": declared.containers,
        "containers": [],
        "out_of_memory": {"claimed": False, "evidence": None, "flag": False, "kernel_asked": False},
        "stopped_processes": [],
        "paused_by_us": False,
        "log": [],
        "said": None,
        "log_bytes": None,
    }
    if not containers:
        return found
    all_of_them = [_compose_parse.container(one) for one in containers]
    speaker = dict(_compose_parse.worst(all_of_them))
    found["out_of_memory"]["flag"] = speaker.pop("out_of_memory_flag")
    speaker.pop("image")
    if speaker["health_interval"] is None:
        speaker.pop("health_interval")
    if speaker["start_period"] is None:
        speaker.pop("start_period")
    found.update(speaker)
    if images is not None and speaker["image_id"] in {one.get("Id") for one in images}:
        found["image_present"] = True
    found["containers"] = [
        {key: one[key] for key in ("container_id", "container_name", "state", "health", "started_at", "log_path")}
        for one in all_of_them
    ]
    return found


def is_sick(service: dict[str, Any], clock: float) -> bool:
    """Whether its last words are worth reading."""
    if service["state"] in (None, "missing"):
        return False
    if service["state"] != "running":
        return not (service["job"] and service["exit_code"] == 0)
    started = epoch(service["started_at"])
    young = started is not None and clock - started < 60
    return service["health"] == "unhealthy" or (young and bool(service["restart_count"]))


def _engine(questions: Questions, wanted: Look) -> dict[str, Any]:
    try:
        found: dict[str, Any] = questions.answer("engine", wanted.docker_timeout * 4)
    except KeyError:  # a firewall that does not answer is no reason to say nothing at all
        return {}
    return found


def _endpoint(questions: Questions, number: int, url: str, wanted: Look) -> dict[str, Any]:
    try:
        answer = questions.answer(f"endpoint {number}", wanted.probe_timeout + 1)
    except KeyError:  # the resolver knows no timeout
        answer = _http_probe.Answer(url, None, wanted.probe_timeout, "timeout", "no answer in time", "", time.time())
    found: dict[str, Any] = answer.as_dict()
    found["body"] = clean_text(answer.body)
    return found


def _ask_again(endpoints: list[dict[str, Any]], wanted: Look) -> list[dict[str, Any]]:
    """One bad answer of a service in which nothing else looks wrong may be a hiccup: only a second one counts."""
    doubtful = [one["url"] for one in endpoints if not answers_well(one)]
    if not doubtful:
        return endpoints
    if all(one["seconds"] < 1 for one in endpoints):
        time.sleep(SECOND_ASKING_AFTER)
    questions = Questions()
    for number, url in enumerate(doubtful):
        questions.ask(f"endpoint {number}", _http_probe.get, url, wanted.probe_timeout, validate_certs=wanted.validate_certs)
    again = {url: _endpoint(questions, number, url, wanted) for number, url in enumerate(doubtful)}
    return [again.get(one["url"], one) for one in endpoints]


def not_up(compose: dict[str, Any]) -> str:
    """What a person who watches the start-up wants to read."""
    wanted = [one for one in compose["services"] if one["wanted_containers"] > 0]
    states = {one["name"]: one["health"] if one["state"] == "running" else one["state"] for one in wanted}
    return "; ".join(f"{name}: {state or 'unknown'}" for name, state in states.items() if state not in ("healthy", "none"))


def answers_well(endpoint: dict[str, Any]) -> bool:
    return endpoint["status"] is not None and 200 <= endpoint["status"] < 400


def _look_closer(
    wanted: Look,
    daemon: _compose_engine.Daemon,
    services: list[dict[str, Any]],
    endpoints: list[dict[str, Any]],
    disk: list[dict[str, Any]],
    clock: float,
) -> dict[str, Any]:
    """Last words, the kernel's word, stopped processes, log sizes: only of those where it matters."""
    reclaimable: dict[str, Any] = {"build_cache_bytes": None, "dangling_images_bytes": None}
    if not daemon.running:
        return reclaimable
    halted = _compose_host.stopped_processes()
    ours = paused_by_us(wanted.state_dir)
    for one in services:
        one["stopped_processes"] = halted.get(one["container_id"] or "", []) if one["state"] == "running" else []
        one["paused_by_us"] = one["state"] == "paused" and one["container_id"] == ours
        one["log_bytes"] = _compose_host.log_bytes(one["log_path"])
    silent = any(not answers_well(endpoint) for endpoint in endpoints)
    talk = [
        one
        for one in services
        if one["container_id"]
        and (is_sick(one, clock) or one["name"] in wanted.log_services or (silent and one["name"] in wanted.services))
    ]
    questions: dict[str, Any] = {
        f"log {one['name']}": partial(_compose_engine.read_log, one["container_id"], wanted.log_lines, wanted.docker_timeout)
        for one in talk
    }
    counting = [one for one in talk if wanted.counted and one["name"] in wanted.log_services]
    for one in counting:
        questions[f"said {one['name']}"] = partial(
            _compose_engine.count_in_log, one["container_id"], wanted.counted, wanted.counted_seconds, wanted.docker_timeout * 2
        )
    suspects = [
        one for one in services if one["out_of_memory"]["flag"] or (one["exit_code"] == 137 and one["state"] != "running")
    ]
    if suspects:
        questions["kernel"] = partial(_compose_engine.read_kernel_log, wanted.docker_timeout)
    if (disk[0]["used_percent"] or 0) >= RECLAIM_ABOVE_PERCENT:
        questions["reclaimable"] = partial(_compose_engine.read_reclaimable, wanted.docker_timeout)
    answers = ask_all(questions, wanted.docker_timeout * 3)
    for one in talk:
        one["log"] = answers.get(f"log {one['name']}", [])
    for one in counting:
        one["said"] = answers.get(f"said {one['name']}")
    kernel = answers.get("kernel")
    kills = _compose_host.memory_kills(kernel or "", _compose_host.booted_at(clock))
    for one in suspects:
        line = _compose_host.memory_evidence(kills, one["container_id"], epoch(one["started_at"]), epoch(one["finished_at"]))
        one["out_of_memory"].update(claimed=line is not None, evidence=line, kernel_asked=kernel is not None)
    reclaimable.update(answers.get("reclaimable", {}))
    return reclaimable
