# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Compose and the engine answered, read from recorded answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_parse as parse

Recorded = Callable[[str], str]


def test_the_project_keeps_no_secret(recorded: Recorded) -> None:
    config = json.loads(recorded("compose_config.json"))
    config["services"]["server"]["environment"]["DATABASE_PASSWORD"] = "hunter2-hunter2"
    project = parse.project(json.dumps(config))
    assert "hunter2" not in repr(project)
    assert project.name == "marketplace"
    server = project.services["server"]
    assert server.image == "marketplace/server:r1"
    assert server.depends_on["database"] == "service_healthy"
    assert (server.health_interval, server.start_period) == (2.0, 10.0)


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"name": "x"}', '{"name": 1, "services": {}}'])
def test_an_answer_of_another_shape_is_unusable(text: str) -> None:
    with pytest.raises(parse.Unusable):
        parse.project(text)


def test_services_of_unusual_shapes() -> None:
    project = parse.project(
        json.dumps(
            {
                "name": "shop",
                "services": {
                    "built": {
                        "build": {"context": "."},
                        "depends_on": {"migrate": {"condition": "service_completed_successfully"}},
                    },
                    "migrate": {"image": "a"},
                    "many": {"image": "a", "deploy": {"replicas": 3}, "depends_on": ["built"]},
                    "none": {"image": "a", "scale": 0, "healthcheck": {"disable": True, "interval": "1m30s"}},
                    "empty": None,
                },
            }
        )
    )
    assert project.services["built"].image == "shop-built"
    assert project.services["migrate"].job and not project.services["built"].job
    assert project.services["many"].containers == 3
    assert project.services["many"].depends_on == {"built": "service_started"}
    assert project.services["none"].containers == 0
    assert project.services["none"].health_interval is None


def containers(recorded: Recorded, name: str) -> dict[str, dict[str, Any]]:
    by_service = parse.of_project(parse.objects(recorded(f"inspect_{name}.json")), "marketplace")
    return {service: parse.container(those[0]) for service, those in by_service.items()}


def test_a_killed_container(recorded: Recorded) -> None:
    server = containers(recorded, "containers_exited")["server"]
    assert (server["state"], server["exit_code"], server["restart_count"]) == ("exited", 137, 0)
    assert server["health"] == "unknown"  # the engine repeats the last verdict
    assert server["finished_at"] > server["started_at"]
    assert server["restart_policy"] == "unless-stopped"
    assert server["probe_output"] is None


def test_a_crash_loop(recorded: Recorded) -> None:
    server = containers(recorded, "crash_loop")["server"]
    assert server["restart_count"] >= 2
    assert (server["state"], server["exit_code"]) in {("restarting", 1), ("running", None)}


def test_a_paused_container_says_nothing_about_its_health(recorded: Recorded) -> None:
    server = containers(recorded, "paused")["server"]
    assert (server["state"], server["health"]) == ("paused", "unknown")
    assert server["exit_code"] is None


def test_a_running_one(recorded: Recorded) -> None:
    database = containers(recorded, "paused")["database"]
    assert (database["state"], database["health"]) == ("running", "healthy")
    assert database["health_interval"] == 2.0
    assert database["pid"] > 0
    assert database["probe_ended"]


def test_containers_of_compose_run_and_of_other_projects_are_not_the_services(recorded: Recorded) -> None:
    found = parse.objects(recorded("inspect_paused.json"))
    count = sum(len(those) for those in parse.of_project(found, "marketplace").values())
    found[0]["Config"]["Labels"]["com.docker.compose.oneoff"] = "True"
    found[1]["Config"]["Labels"]["com.docker.compose.project"] = "other"
    assert sum(len(those) for those in parse.of_project(found, "marketplace").values()) == count - 2


def test_the_worst_container_speaks() -> None:
    states = [("running", "healthy"), ("exited", "unknown"), ("running", "unhealthy")]
    those = [{"state": state, "health": health} for state, health in states]
    assert parse.worst(those)["state"] == "exited"
    assert parse.worst([those[0], those[2]])["health"] == "unhealthy"
    assert parse.worst([{"state": "restarting", "health": "unknown"}, *those])["state"] == "restarting"


@pytest.mark.parametrize(
    ("reference", "same"),
    [
        ("marketplace/server:r1", True),
        ("docker.io/marketplace/server:r1", True),
        ("marketplace/server", False),
        ("marketplace/server:r2", False),
        ("registry:5000/marketplace/server:r1", False),
        ("other/server:r1", False),
        ("marketplace/server@sha256:abc", True),
        ("marketplace/server:r9@sha256:abc", True),
        ("marketplace/server@sha256:abd", False),
    ],
)
def test_which_image_a_reference_names(reference: str, same: bool) -> None:
    image = {"Id": "sha256:ff", "RepoTags": ["marketplace/server:r1"], "RepoDigests": ["marketplace/server@sha256:abc"]}
    assert parse.same_image(reference, image) is same


def test_more_images() -> None:
    assert parse.same_image("nginx", {"Id": "x", "RepoTags": ["nginx:latest"]})
    assert parse.same_image("docker.io/library/nginx:latest", {"Id": "x", "RepoTags": ["nginx:latest"]})
    assert parse.same_image("reg:5000/nginx", {"Id": "x", "RepoTags": ["reg:5000/nginx:latest"]})
    assert parse.same_image("sha256:ff", {"Id": "sha256:ff", "RepoTags": None})
    assert not parse.same_image("nginx", {"Id": "x", "RepoTags": None, "RepoDigests": None})


@pytest.mark.parametrize(
    ("text", "version"),
    [("2.18.1", (2, 18, 1)), ("v2.17.3", (2, 17, 3)), ("5.6.1", (5, 6, 1)), ("2.29", (2, 29, 0)), ("dev", None)],
)
def test_versions_of_compose(text: str, version: Any) -> None:
    assert parse.compose_version(text) == version


def test_composes_words_without_the_value_of_a_variable() -> None:
    said = parse.compose_words(b'invalid interpolation format for services.server.environment.PASSWORD: "s3cret${"')
    assert "s3cret" not in said and "environment.PASSWORD" in said
    plain = parse.compose_words(b"yaml: line 4, column 7: did not find expected key")
    assert plain == "yaml: line 4, column 7: did not find expected key"


@pytest.mark.parametrize(("text", "size"), [("1.2GB (50%)", 1_200_000_000), ("0B", 0), ("  17.5kB", 17_500), ("?", None)])
def test_sizes_of_the_engine(text: str, size: int | None) -> None:
    assert parse.engine_bytes(text) == size


@pytest.mark.parametrize("text", ["{", '{"a": 1}', "3"])
def test_inspect_of_another_shape_is_unusable(text: str) -> None:
    with pytest.raises(parse.Unusable):
        parse.objects(text)
