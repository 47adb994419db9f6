# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Questions to the engine and to Compose. Nothing here changes or starts anything."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Iterable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_host, _compose_parse, _engine_process
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import Ran, run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import (
    clean_line,
    clean_lines,
    sentence_from,
    without_repetition,
)

COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
CONFIG_TIMEOUT = 20.0
PROJECT_LABEL = "com.docker.compose.project"

# Without an answer of the daemon the command line has no fields of the server's to show, and asking for one is an error.
_INFO = (
    '{"errors":{{json .ServerErrors}}{{if not .ServerErrors}},"version":{{json .ServerVersion}},'
    '"root_dir":{{json .DockerRootDir}},"live_restore":{{json .LiveRestoreEnabled}}{{end}}}'
)
# Compose greets the daemon even when it only reads a file or tells its version: that would start one that is down, and wait for one
# that hangs. At this address there is nobody to greet.
_NO_DAEMON = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}


class CannotLook(Exception):
    """Nothing can be said before a person mends this; the text is one sentence that says how."""


class FilesRefused(CannotLook):
    """Compose cannot read the project's files; what it said about them is kept."""

    def __init__(self, sentence: str, said: bytes) -> None:
        super().__init__(sentence)
        self.said = said


@dataclass
class Daemon:
    """state: running, stopped (nobody answers) or not_responding (somebody should)."""

    state: str
    detail: str
    version: str | None = None
    root_dir: str | None = None
    live_restore: bool | None = None
    units: dict[str, str | None] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        return self.state == "running"


def check_project_dir(directory: str) -> None:
    """Refuse a folder without a Compose file: Compose would silently take one from a folder above."""
    if not os.path.isdir(directory):
        raise CannotLook(
            f"The folder {clean_line(directory)} does not exist, so no Compose project can be looked at: "
            "set marketplace_compose_dir to the folder of the site's Compose file, then run again."
        )
    try:
        present = set(os.listdir(directory))
    except PermissionError:
        raise CannotLook(
            f"The folder {clean_line(directory)} may not be read by this user: run with become (ansible_become: true in the inventory)."
        ) from None
    if not present.intersection(COMPOSE_FILES) and not names_a_file(directory):
        raise CannotLook(
            f"The folder {clean_line(directory)} holds no Compose file ({', '.join(COMPOSE_FILES)}): "
            f"set marketplace_compose_dir to the folder that does, then run again; `ls {clean_line(directory)}` shows what is there."
        )


def names_a_file(directory: str) -> bool:
    if os.environ.get("COMPOSE_FILE"):
        return True
    try:
        with open(os.path.join(directory, ".env"), encoding="utf-8", errors="replace") as file:
            return any(line.lstrip().startswith("COMPOSE_FILE=") for line in file)
    except OSError:
        return False


def read_project(directory: str) -> _compose_parse.Project:
    answer = run(["docker", "compose", "config", "--format", "json"], CONFIG_TIMEOUT, cwd=directory, extra=_NO_DAEMON)
    if answer.absent:
        raise CannotLook(
            "The command docker is not installed on this host (or not on root's PATH), so its containers cannot be looked at: "
            "install Docker Engine 20.10 or newer, or take this host out of the group 'marketplace'."
        )
    if answer.timed_out:
        raise CannotLook(
            f"docker compose config gave no answer within {CONFIG_TIMEOUT:.0f} s: "
            f"run `cd {clean_line(directory)} && docker compose config -q` on the host to see what it waits for."
        )
    if not answer.ok:
        raise _config_refused(answer, directory)
    try:
        return _compose_parse.project(answer.out)
    except _compose_parse.Unusable as problem:
        raise CannotLook(f"{problem}: Docker Compose 2.18 or newer is needed; `docker compose version` shows yours.") from None


def _config_refused(answer: Ran, directory: str) -> CannotLook:
    said = _compose_parse.compose_words(answer.err)
    lowered = said.lower()
    if "is not a docker command" in lowered or "unknown command" in lowered or "unknown flag: --format" in lowered:
        return CannotLook(
            f"Docker Compose as a plugin of docker is missing or too old on this host ({said}): "
            "install docker-compose-plugin 2.18 or newer, then run again."
        )
    if "permission denied" in lowered:
        return CannotLook(f"Compose may not read its files ({said}): run with become (ansible_become: true in the inventory).")
    return FilesRefused(
        f"Compose cannot read the project in {clean_line(directory)}: {said}: mend the file, "
        f"check it with `cd {clean_line(directory)} && docker compose config -q`, then run again.",
        answer.err,
    )


def read_compose_version() -> str | None:
    answer = run(["docker", "compose", "version", "--short"], CONFIG_TIMEOUT, extra=_NO_DAEMON)
    found = _compose_parse.compose_version(sentence_from(answer.out)) if answer.ok else None
    if found is not None and found < _compose_parse.OLDEST_COMPOSE:
        raise CannotLook(
            f"Docker Compose {clean_line(sentence_from(answer.out), 40)} is too old: 2.18 or newer is needed; "
            "upgrade docker-compose-plugin on this host, then run again."
        )
    return ".".join(str(part) for part in found) if found is not None else None


def read_units() -> dict[str, str | None]:
    """systemd's view of the engine this process would talk to; nothing is known of an engine elsewhere."""
    if not _engine_process.is_local():
        return {"docker": None, "socket": None}
    answer = run(_compose_host.UNITS_QUESTION, 5.0)
    return _compose_host.unit_states(answer.out.decode("utf-8", "replace"))


def read_daemon(timeout: float) -> Daemon:
    """Ask the daemon who it is, unless the question itself would start it."""
    units = read_units()
    if _compose_host.would_be_awakened(units):
        return Daemon("stopped", f"docker.service is {units['docker']} (asking the socket would start it)", units=units)
    halted = _engine_process.halted()
    if halted is not None:
        return Daemon("not_responding", f"dockerd (pid {halted}) is halted by a signal (state T)", units=units)
    answer = run(["docker", "info", "--format", _INFO], timeout)
    if answer.timed_out:
        # A host that is only busy gets a second chance: a hanging daemon is escalated, not mended.
        answer = run(["docker", "info", "--format", _INFO], timeout)
    if answer.timed_out:
        return Daemon("not_responding", f"docker info gave no answer within {timeout:g} s, twice", units=units)
    errors = sentence_from(answer.err)
    try:
        found = _compose_parse.json_object(answer.out)
    except _compose_parse.Unusable:
        found = {}
    if found.get("errors"):
        errors = sentence_from(" ".join(str(one) for one in found["errors"]))
    if found.get("version") and not found.get("errors"):
        return Daemon(
            "running",
            "answers",
            version=clean_line(str(found["version"]), 60),
            root_dir=found.get("root_dir") or None,
            live_restore=found.get("live_restore"),
            units=units,
        )
    return _silent_daemon(errors, units)


def _silent_daemon(errors: str, units: dict[str, str | None]) -> Daemon:
    lowered = errors.lower()
    if "permission denied" in lowered:
        raise CannotLook(
            "This user may not talk to Docker (permission denied at its socket): "
            "run with become (ansible_become: true in the inventory, sudo on the host)."
        )
    nobody = ("cannot connect", "connection refused", "no such file", "daemon running")
    if any(words in lowered for words in nobody):
        if units.get("docker") in ("active", "activating", "deactivating", "reloading"):
            return Daemon("not_responding", f"docker.service is {units['docker']}, but nobody answers its socket", units=units)
        known = f"docker.service is {units['docker']}" if units.get("docker") else "nobody answers the Docker socket"
        return Daemon("stopped", known, units=units)
    return Daemon("not_responding", errors or "docker info answered with nothing", units=units)


def read_containers(timeout: float) -> list[dict[str, Any]] | None:
    """Every container of every Compose project as inspect tells it; None where the engine did not say."""
    listed = run(["docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={PROJECT_LABEL}"], timeout)
    if not listed.ok:
        return None
    ids = clean_lines(listed.out)
    if not ids:
        return []
    answer = run(["docker", "inspect", "--type", "container", *ids], timeout * 2)
    # Its status is not 0 when a container went away meanwhile; the others are told all the same.
    if answer.timed_out or not answer.out:
        return None
    try:
        return _compose_parse.objects(answer.out)
    except _compose_parse.Unusable:
        return None


def read_images(references: Iterable[str], timeout: float) -> list[dict[str, Any]] | None:
    """Those of the images that exist; None where the engine did not say."""
    wanted = sorted(set(references))
    if not wanted:
        return []
    answer = run(["docker", "image", "inspect", *wanted], timeout * 2)
    if answer.timed_out or answer.absent:
        return None
    if not answer.ok and "no such image" not in answer.err.decode("utf-8", "replace").lower():
        return None
    try:
        return _compose_parse.objects(answer.out)
    except _compose_parse.Unusable:
        return None


def read_log(container_id: str, lines: int, timeout: float) -> list[str]:
    # More than asked for, because what is repeated is shown once.
    answer = run(["docker", "logs", "--tail", str(4 * lines), container_id], timeout, limit=4 * 1024 * 1024)
    # An application's errors matter as much as its output, and both streams have no common order here.
    said = clean_lines(answer.out) + clean_lines(answer.err) if answer.ok else []
    return without_repetition(said)[-lines:]


def count_in_log(container_id: str, texts: list[str], seconds: int, timeout: float) -> dict[str, int] | None:
    """How many lines of the last seconds have each text; of no more lines than a busy service writes in some minutes."""
    answer = run(["docker", "logs", "--since", f"{seconds}s", "--tail", "20000", container_id], timeout)
    if not answer.ok:
        return None
    lines = [line for stream in (answer.out, answer.err) for line in stream.splitlines()]
    return {text: sum(text.encode() in line for line in lines) for text in texts}


def read_kernel_log(timeout: float) -> str | None:
    """None where this user or this kernel does not show it: then nothing is known about memory."""
    answer = run(["dmesg"], timeout)
    if not answer.ok:
        answer = run(["journalctl", "--dmesg", "--output=short-unix", "--lines=5000", "--no-pager", "--quiet"], timeout)
    return answer.out.decode("utf-8", "replace") if answer.ok else None


def read_reclaimable(timeout: float) -> dict[str, int | None]:
    """What could go without loss: build cache, and images that have lost their name and are used by nothing."""
    found: dict[str, int | None] = {"build_cache_bytes": None, "dangling_images_bytes": None}
    usage = run(["docker", "system", "df", "--format", "{{.Type}}\t{{.Reclaimable}}"], timeout)
    for line in clean_lines(usage.out) if usage.ok else []:
        if line.startswith("Build Cache"):
            found["build_cache_bytes"] = _compose_parse.engine_bytes(line[len("Build Cache") :])
    listed = run(["docker", "images", "--quiet", "--no-trunc", "--filter", "dangling=true"], timeout)
    if listed.ok:
        ids = sorted(set(clean_lines(listed.out)))
        images = read_images(ids, timeout) if ids else []
        found["dangling_images_bytes"] = None if images is None else sum(int(one.get("Size") or 0) for one in images)
    return found
