# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project whose files cannot be read: what is said of them, and what its containers still tell."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_collect as collect
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_engine import CannotLook
from ansible_collections.monero_marketplace.incident.plugins.module_utils._project_problem import absent_files, problem_of

DIRECTORY = "/site"
FILE = "/site/docker-compose.yml"
KEYS = ("kind", "file", "line", "column", "variable")

# What Compose 5.6.1 and older ones really said.
SAID = (
    (
        "go-yaml load error in parser (while parsing a block mapping) at L48.C3-L106.C4: did not find expected key",
        ("syntax", FILE, 106, 4, None),
        "docker-compose.yml cannot be read at line 106, column 4: did not find expected key, in what begins at line 48",
    ),
    (
        "go-yaml load error in scanner at L104.C7: mapping values are not allowed in this context",
        ("syntax", FILE, 104, 7, None),
        "docker-compose.yml cannot be read at line 104, column 7: mapping values are not allowed in this context",
    ),
    (
        "go-yaml load error in scanner (while scanning a quoted scalar) at L93.C11-C19: found unexpected end of stream",
        ("syntax", FILE, 93, 19, None),
        "docker-compose.yml cannot be read at line 93, column 19: found unexpected end of stream",
    ),
    (
        "yaml: line 37: did not find expected key",
        ("syntax", FILE, 37, None, None),
        "docker-compose.yml cannot be read at line 37: did not find expected key",
    ),
    (
        "yaml: line 4, column 7: did not find expected key",
        ("syntax", FILE, 4, 7, None),
        "docker-compose.yml cannot be read at line 4, column 7: did not find expected key",
    ),
    (
        'failed to parse /site/docker-compose.yml: yaml: construct errors: line 2: line 109: mapping key "ports" already defined at '
        "line 108",
        ("syntax", FILE, 109, None, None),
        'docker-compose.yml cannot be read at line 109: mapping key "ports" already defined at line 108',
    ),
    (
        "error while interpolating services.server.environment.SESSION_KEY: required variable SESSION_KEY is missing a value: "
        "the server signs with it",
        ("missing_variable", None, None, None, "SESSION_KEY"),
        "the setting SESSION_KEY has no value, and is required for services.server.environment.SESSION_KEY: the server signs with it",
    ),
    (
        "env file /site/server.env not found: stat /site/server.env: no such file or directory",
        ("missing_file", "/site/server.env", None, None, None),
        "server.env does not exist, and docker-compose.yml names it",
    ),
    (
        'failed to read /site/.env: line 6: unterminated quoted value "hunter2',
        ("syntax", "/site/.env", 6, None, None),
        ".env cannot be read at line 6: unterminated quoted value …",
    ),
    (
        "yaml: unmarshal errors:\n  line 5: cannot unmarshal !!str `hunter2...` into int",
        ("syntax", FILE, 5, None, None),
        "docker-compose.yml cannot be read at line 5: cannot unmarshal !!str … into int",
    ),
    (
        'service "nginx" depends on undefined service "servre": invalid compose project',
        ("invalid", FILE, None, None, None),
        'docker-compose.yml is refused: service "nginx" depends on undefined service "servre": invalid compose project',
    ),
    (
        "invalid interpolation format for services.server.environment.KEY.\nYou may need to escape any $ with another $.\n${KEY:-hunter2",
        ("invalid", FILE, None, None, None),
        "docker-compose.yml is refused: invalid interpolation format for services.server.environment.KEY. "
        "You may need to escape any $ with another $.…",
    ),
)


@pytest.mark.parametrize(("said", "facts", "sentence"), SAID)
def test_compose_words_become_facts(said: str, facts: tuple[Any, ...], sentence: str) -> None:
    found = problem_of(said.encode(), DIRECTORY, [FILE])
    assert tuple(found[key] for key in KEYS) == facts
    assert found["sentence"] == sentence
    assert not found["readable"]
    assert "hunter2" not in json.dumps(found)


def test_of_several_files_none_is_accused() -> None:
    found = problem_of(b"yaml: line 3: odd", DIRECTORY, [FILE, "/site/docker-compose.override.yml"])
    assert found["file"] is None
    assert found["sentence"] == "one of docker-compose.yml, docker-compose.override.yml cannot be read at line 3: odd"


def refuses(
    engine: Any, project_dir: str, recorded: Any, said: str = "yaml: line 37: did not find expected key"
) -> list[dict[str, Any]]:
    """Compose cannot read the folder whose containers run."""
    containers: list[dict[str, Any]] = json.loads(recorded("inspect_containers_exited.json"))
    for one in containers:
        one["Config"]["Labels"]["com.docker.compose.project.working_dir"] = project_dir
    engine.says("docker_inspect", json.dumps(containers))
    engine.does("docker_compose_config", f"echo '{said}' >&2; exit 15")
    return containers


def test_the_containers_tell_what_the_file_does_not(engine: Any, project_dir: str, recorded: Any) -> None:
    containers = refuses(engine, project_dir, recorded)
    found = collect.look(collect.Look(project_dir, services=["server", "nginx", "nobody"], docker_timeout=30.0))
    assert (found["project"]["name"], found["project"]["problem"]["line"]) == ("marketplace", 37)
    assert len(found["services"]) == len(containers)
    server = next(one for one in found["services"] if one["name"] == "server")
    assert (server["state"], server["exit_code"], server["image_present"]) == ("exited", 137, True)
    assert "database" in server["depends_on"] and "monero-wallet-rpc-buyer" in server["waits_for"]
    assert server["health_interval"] is not None and server["wanted_containers"] == 1


def test_a_file_knows_its_last_commit(engine: Any, project_dir: str, recorded: Any) -> None:
    refuses(engine, project_dir, recorded)
    git = ["git", "-C", project_dir, "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "first"]):
        subprocess.run([*git, *words], check=True)
    look = collect.Look(project_dir, docker_timeout=30.0)
    assert "; it is as in commit " in collect.look(look)["project"]["problem"]["sentence"]
    (Path(project_dir) / "docker-compose.yml").write_text("services: [\n")
    assert "; it was edited since commit " in collect.look(look)["project"]["problem"]["sentence"]


def test_without_containers_nothing_is_known(engine: Any, project_dir: str) -> None:
    engine.does("docker_compose_config", "echo 'yaml: line 37: did not find expected key' >&2; exit 15")
    with pytest.raises(CannotLook, match="line 37"):
        collect.look(collect.Look(project_dir, docker_timeout=30.0))


def notes_of(containers: list[dict[str, Any]], root: Path) -> None:
    """What the engine writes down for itself."""
    for one in containers:
        folder = root / "containers" / one["Id"]
        folder.mkdir(parents=True)
        (folder / "config.v2.json").write_text(json.dumps({"ID": one["Id"], "Config": one["Config"]}))


def test_a_daemon_that_is_down_is_told_beside_the_file(
    engine: Any, project_dir: str, recorded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose the containers are must be known, or those that live on without a daemon would not be ended cleanly."""
    notes_of(refuses(engine, project_dir, recorded), tmp_path / "root")
    monkeypatch.setattr(collect._compose_host, "engine_root", lambda: str(tmp_path / "root"))
    unit = "Id=docker.service\nLoadState=loaded\nActiveState=inactive\n\nId=docker.socket\nLoadState=loaded\nActiveState=inactive\n"
    engine.says("systemctl_show", unit)
    engine.does("docker_info", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    found = collect.look(collect.Look(project_dir, services=["server"], docker_timeout=30.0))
    assert (found["daemon"]["state"], found["project"]["problem"]["kind"]) == ("stopped", "syntax")
    assert found["project"]["name"] == "marketplace"
    assert {one["name"] for one in found["services"]} >= {"server", "nginx"}
    assert {one["state"] for one in found["services"]} == {None}


def test_a_secret_that_is_gone(engine: Any, project_dir: str) -> None:
    secret = Path(project_dir) / "secrets/wallet_rpc_login"
    secret.unlink()
    problem = collect.look(collect.Look(project_dir, docker_timeout=30.0))["project"]["problem"]
    assert (problem["kind"], problem["readable"], problem["file"]) == ("missing_file", True, str(secret))
    assert "server" in problem["services"]
    assert problem["sentence"].startswith("secrets/wallet_rpc_login does not exist, and monero-wallet-rpc-buyer, ")


def test_many_files_that_are_gone() -> None:
    wanted = {f"/site/{name}": ["server"] for name in "abcde"}
    found = absent_files(wanted, DIRECTORY)
    assert found is not None
    assert found["sentence"] == "a, b, c and 2 more do not exist, and server cannot start without them"
    assert absent_files({}, DIRECTORY) is None
