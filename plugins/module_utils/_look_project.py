# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The project as its files declare it; where Compose cannot read them, as its containers remember it."""

from __future__ import annotations

import os
from typing import Any, Callable

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_engine, _project_problem
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_parse import Declared, Project
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_run import run
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line
from ansible_collections.monero_marketplace.incident.plugins.module_utils._container_log_archive import containers_on_disk

_LABEL = "com.docker.compose."
_GIT_SECONDS = 2.0


def read(
    ask: Callable[[], Project], containers: list[dict[str, Any]] | None, directory: str, root: str
) -> tuple[Project, dict[str, Any] | None]:
    """The project, and what is wrong with its files.

    containers is None where the engine could not be asked; then its own notes below root tell of them. A refusal without any
    container is the end of the look: nothing would be known at all.
    """
    try:
        project = ask()
    except _compose_engine.FilesRefused as refused:
        known = of_labels(containers_on_disk(root) if containers is None else containers, directory)
        if not known.services:
            raise
        problem = _project_problem.problem_of(refused.said, directory, compose_files(directory))
        problem["sentence"] += _history(problem["file"], directory)
        return known, problem
    return project, _project_problem.absent_files(project.files, directory)


def of_labels(containers: list[dict[str, Any]], directory: str) -> Project:
    """The project of a folder, from what Compose wrote on its containers when it made them."""
    here = os.path.realpath(directory)
    ours: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for container in containers:
        labels = (container.get("Config") or {}).get("Labels") or {}
        name, service = labels.get(f"{_LABEL}project"), labels.get(f"{_LABEL}service")
        folder = labels.get(f"{_LABEL}project.working_dir")
        if not name or not service or not folder or os.path.realpath(folder) != here:
            continue
        if str(labels.get(f"{_LABEL}oneoff", "False")).lower() != "true":
            ours.setdefault(name, {}).setdefault(service, []).append(container)
    if not ours:
        return Project("", {})
    # A folder may have been tried under another name once; the site is the one that has more of it.
    name = max(sorted(ours), key=lambda one: len(ours[one]))
    needs = {service: _needs(those[0]) for service, those in ours[name].items()}
    jobs = {
        need for those in needs.values() for need, condition in those.items() if condition == "service_completed_successfully"
    }
    services = {
        service: Declared(
            name=service,
            image=str((those[0].get("Config") or {}).get("Image") or ""),
            depends_on=needs[service],
            containers=len(those),
            job=service in jobs,
        )
        for service, those in ours[name].items()
    }
    return Project(name, services)


def _needs(container: dict[str, Any]) -> dict[str, str]:
    """ "server:service_started:false,database:service_healthy:true" """
    written = str(container["Config"]["Labels"].get(f"{_LABEL}depends_on") or "")
    parts = [entry.split(":") for entry in written.split(",") if entry]
    return {part[0]: part[1] if len(part) > 1 else "service_started" for part in parts}


def compose_files(directory: str) -> list[str]:
    """The files that Compose reads in a folder by itself; none where something else is set."""
    if os.environ.get("COMPOSE_FILE") or _compose_engine.names_a_file(directory):
        return []
    paths = [os.path.join(directory, name) for name in _compose_engine.COMPOSE_FILES]
    found = [path for path in paths if os.path.exists(path)][:1]
    stem = os.path.splitext(found[0])[0] if found else ""
    return found + [path for path in (f"{stem}.override.yml", f"{stem}.override.yaml") if found and os.path.exists(path)]


def _history(file: str | None, directory: str) -> str:
    """Whether a file was edited since it was committed: whoever did that knows what was meant."""
    if file is None or not os.path.isfile(file):
        return ""
    path = os.path.relpath(file, directory)
    last = run(["git", "-C", directory, "log", "-1", "--format=%h of %cs", "--", path], _GIT_SECONDS, owner_of=directory)
    commit = clean_line(last.out.decode("utf-8", "replace").strip(), 60) if last.ok else ""
    if not commit:
        return ""
    # Told by its exit status: 1 is "differs".
    edited = run(
        ["git", "-C", directory, "diff", "--quiet", "--no-ext-diff", "HEAD", "--", path], _GIT_SECONDS, owner_of=directory
    )
    return (
        f"; it was edited since commit {commit}"
        if edited.status == 1
        else f"; it is as in commit {commit}"
        if edited.ok
        else ""
    )
