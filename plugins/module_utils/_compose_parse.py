# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What Compose and the engine answered, as the few facts a diagnosis needs. Pure functions.

The configuration holds secrets in its environment sections: only named keys leave this file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import duration, epoch
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import (
    clean_line,
    clean_text,
    sentence_from,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._network_parse import (
    own_networks,
    wanted_networks,
    wanted_ports,
)

OLDEST_COMPOSE = (2, 18)

# The engine's own defaults where neither image nor Compose file says otherwise.
_HEALTH_INTERVAL = 30.0

# The worst container speaks for its service.
_SEVERITY = ("running", "created", "paused", "exited", "dead", "restarting")


class Unusable(ValueError):
    """An answer that is not what the tool promises; the text says what is wrong with it."""


@dataclass(frozen=True)
class Declared:
    """A service as the Compose file declares it."""

    name: str
    image: str
    depends_on: dict[str, str] = field(default_factory=dict)
    health_interval: float | None = None
    start_period: float | None = None
    containers: int = 1
    job: bool = False
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    ports: list[dict[str, Any]] = field(default_factory=list)
    user: str | None = None
    binds: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Project:
    name: str
    services: dict[str, Declared]
    # Those the project makes itself, and whether the engine has to find a subnet for them.
    networks: dict[str, bool] = field(default_factory=dict)
    # Secrets and configurations that are mounted from files, with the services that need them.
    files: dict[str, list[str]] = field(default_factory=dict)


def compose_version(text: str) -> tuple[int, ...] | None:
    match = re.search(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def project(text: bytes | str) -> Project:
    """The project of ``docker compose config --format json``."""
    try:
        config = json.loads(text)
    except ValueError:
        raise Unusable("docker compose config did not answer with JSON") from None
    if not isinstance(config, dict) or not isinstance(config.get("services"), dict) or not isinstance(config.get("name"), str):
        raise Unusable("docker compose config answered without a project name and services")
    raw: dict[str, dict[str, Any]] = {
        name: service if isinstance(service, dict) else {} for name, service in config["services"].items()
    }
    # Only a service that others wait for to finish is a job; any other one that ended is down.
    jobs = {
        target
        for service in raw.values()
        for target, condition in _depends_on(service).items()
        if condition == "service_completed_successfully"
    }
    networks = config["networks"] if isinstance(config.get("networks"), dict) else {}
    services = {name: _declared(config["name"], name, service, name in jobs, networks) for name, service in raw.items()}
    return Project(config["name"], services, own_networks(networks), _mounted_files(config, raw))


def _mounted_files(config: dict[str, Any], raw: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind in ("secrets", "configs"):
        known: dict[str, Any] = config[kind] if isinstance(config.get(kind), dict) else {}
        for service, declared in raw.items():
            for use in declared.get(kind) or []:
                source = known.get(str(use.get("source") if isinstance(use, dict) else use))
                path = source.get("file") if isinstance(source, dict) else None
                if isinstance(path, str) and path.startswith("/"):
                    found.setdefault(path, []).append(service)
    return found


def _declared(project_name: str, name: str, service: dict[str, Any], job: bool, networks: dict[str, Any]) -> Declared:
    probe = service.get("healthcheck")
    probe = probe if isinstance(probe, dict) and not probe.get("disable") else {}
    replicas = service.get("scale")
    if replicas is None and isinstance(service.get("deploy"), dict):
        replicas = service["deploy"].get("replicas")
    image = service.get("image")
    return Declared(
        name=name,
        image=image if isinstance(image, str) and image else f"{project_name}-{name}",
        depends_on=_depends_on(service),
        health_interval=duration(probe.get("interval")),
        start_period=duration(probe.get("start_period")),
        containers=replicas if isinstance(replicas, int) else 1,
        job=job,
        networks=wanted_networks(service, networks),
        ports=wanted_ports(service),
        user=str(service["user"]) if service.get("user") is not None else None,
        binds=_binds(service),
    )


def _binds(service: dict[str, Any]) -> list[dict[str, Any]]:
    """Folders of the host that it is given."""
    volumes = service.get("volumes")
    return [
        {"source": one["source"], "writable": not one.get("read_only")}
        for one in (volumes if isinstance(volumes, list) else [])
        if isinstance(one, dict) and one.get("type") == "bind" and str(one.get("source") or "").startswith("/")
    ]


def _depends_on(service: dict[str, Any]) -> dict[str, str]:
    wanted = service.get("depends_on")
    if isinstance(wanted, list):
        return {str(name): "service_started" for name in wanted}
    if isinstance(wanted, dict):
        return {
            name: str(how.get("condition", "service_started")) if isinstance(how, dict) else "service_started"
            for name, how in wanted.items()
        }
    return {}


def compose_words(err: bytes) -> str:
    """What Compose says about a file it cannot read, without the values of an environment section."""
    said = sentence_from(err, 400)
    if re.search(r"environment|interpolation|secret|password|token|variable", said, re.IGNORECASE):
        said = re.sub(r"\"[^\"]*\"|'[^']*'|(?<=another \$\.)\s*\S.*", "…", said)
    return said


def objects(text: bytes | str) -> list[dict[str, Any]]:
    """The objects of an inspect; an answer cut in half is no answer."""
    try:
        found = json.loads(text or b"[]")
    except ValueError:
        raise Unusable("docker inspect did not answer with JSON") from None
    if not isinstance(found, list):
        raise Unusable("docker inspect did not answer with a list")
    return [item for item in found if isinstance(item, dict)]


def json_object(text: bytes | str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise Unusable("the answer is not JSON") from None
    if not isinstance(found, dict):
        raise Unusable("the answer is not an object")
    return found


def of_project(containers: Iterable[dict[str, Any]], name: str) -> dict[str, list[dict[str, Any]]]:
    """The containers of a project by service; those of ``compose run`` are nobody's service."""
    found: dict[str, list[dict[str, Any]]] = {}
    for container in containers:
        labels = container.get("Config", {}).get("Labels") or {}
        service = labels.get("com.docker.compose.service")
        if labels.get("com.docker.compose.project") != name or not isinstance(service, str):
            continue
        if str(labels.get("com.docker.compose.oneoff", "False")).lower() == "true":
            continue
        found.setdefault(service, []).append(container)
    return found


def container(found: dict[str, Any]) -> dict[str, Any]:
    """One container of ``docker inspect``, flat."""
    state = found.get("State") or {}
    host = found.get("HostConfig") or {}
    status = str(state.get("Status") or "dead")
    if status == "removing":
        status = "dead"
    probe = (found.get("Config") or {}).get("Healthcheck") or {}
    probe_output, probe_ended = _last_probe(state.get("Health"))
    running = status in ("running", "paused", "restarting")
    return {
        "state": status,
        "health": _health(status, state.get("Health")),
        "container_id": found.get("Id"),
        "container_name": str(found.get("Name") or "").lstrip("/"),
        "image_id": found.get("Image"),
        "image": (found.get("Config") or {}).get("Image"),
        "pid": state.get("Pid") or None,
        "exit_code": None if status in ("running", "paused", "created") else state.get("ExitCode"),
        "error": clean_line(str(state.get("Error") or ""), 300) or None,
        "started_at": _stamp(state.get("StartedAt")),
        "finished_at": _stamp(state.get("FinishedAt")),
        "restart_count": found.get("RestartCount") if isinstance(found.get("RestartCount"), int) else 0,
        "restart_policy": (host.get("RestartPolicy") or {}).get("Name") or "no",
        "out_of_memory_flag": bool(state.get("OOMKilled")),
        "memory_limit": host.get("Memory") or None,
        "health_interval": _nanoseconds(probe.get("Interval")) or (_HEALTH_INTERVAL if state.get("Health") else None),
        "start_period": _nanoseconds(probe.get("StartPeriod")),
        "probe_output": probe_output if running else None,
        "probe_ended": probe_ended if running else None,
        "log_path": found.get("LogPath") or None,
    }


def _health(status: str, health: Any) -> str:
    if not isinstance(health, dict) or health.get("Status") in (None, "", "none"):
        return "none"
    # Outside of "running" the engine repeats the last verdict it had; that is no knowledge.
    return str(health["Status"]) if status == "running" else "unknown"


def _last_probe(health: Any) -> tuple[str | None, str | None]:
    log = health.get("Log") if isinstance(health, dict) else None
    if not isinstance(log, list) or not log or not isinstance(log[-1], dict):
        return None, None
    return clean_text(str(log[-1].get("Output") or ""), 500) or None, _stamp(log[-1].get("End"))


def _stamp(stamp: Any) -> str | None:
    return stamp if epoch(stamp) is not None else None


def _nanoseconds(count: Any) -> float | None:
    return count / 1e9 if isinstance(count, (int, float)) and count > 0 else None


def worst(containers: list[dict[str, Any]]) -> dict[str, Any]:
    """The container that speaks for its service: the worst state, then the worst health."""
    healths = ("healthy", "none", "unknown", "starting", "unhealthy")

    def badness(one: dict[str, Any]) -> tuple[int, int]:
        severity = _SEVERITY.index(one["state"]) if one["state"] in _SEVERITY else len(_SEVERITY)
        return severity, healths.index(one["health"]) if one["health"] in healths else 0

    return max(containers, key=badness)


def same_image(reference: str, image: dict[str, Any]) -> bool:
    """Whether an image of ``docker image inspect`` is what a reference in a Compose file names."""
    if reference == image.get("Id") or f"sha256:{reference}" == image.get("Id"):
        return True
    if "@" in reference:
        name, _at, digest = reference.partition("@")
        wanted = f"{_familiar(_without_tag(name))}@{digest}"
        return wanted in {_familiar(known) for known in image.get("RepoDigests") or []}
    wanted = _familiar(reference if _without_tag(reference) != reference else f"{reference}:latest")
    return wanted in {_familiar(known) for known in image.get("RepoTags") or []}


def _without_tag(reference: str) -> str:
    head, colon, tail = reference.rpartition(":")
    return head if colon and "/" not in tail else reference


def _familiar(reference: str) -> str:
    for prefix in ("docker.io/library/", "docker.io/", "index.docker.io/library/", "index.docker.io/"):
        if reference.startswith(prefix):
            return reference[len(prefix) :]
    return reference


def engine_bytes(text: str) -> int | None:
    """The engine's "1.2GB (50%)" as bytes."""
    match = re.match(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?B)\b", text)
    if match is None:
        return None
    return int(float(match.group(1)) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[match.group(2)])
