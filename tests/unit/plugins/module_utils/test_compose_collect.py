# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look: what it asks, what it must not ask, and what it says when it cannot see."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_collect as collect
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_engine import CannotLook


def look(project_dir: str, **more: Any) -> dict[str, Any]:
    # A busy machine must not look like a daemon that hangs; tests of that name their own time.
    return collect.look(collect.Look(project_dir, **{"docker_timeout": 30.0, **more}))


def service(found: dict[str, Any], name: str) -> dict[str, Any]:
    one: dict[str, Any] = next(one for one in found["services"] if one["name"] == name)
    return one


def test_one_look_sees_it_all(engine: Any, project_dir: str) -> None:
    found = look(project_dir, services=["server"], disk_paths=["/tmp"])
    assert found["daemon"]["state"] == "running"
    assert found["daemon"]["compose_version"] == "5.6.1"
    assert found["project"] == {"name": "marketplace", "directory": project_dir, "problem": None}
    server = service(found, "server")
    assert (server["state"], server["exit_code"], server["image_present"]) == ("exited", 137, True)
    assert server["log"] == ["a line", "another"]
    assert server["out_of_memory"] == {"claimed": False, "evidence": None, "flag": False, "kernel_asked": True}
    assert service(found, "database")["log"] == []
    assert service(found, "monerod")["state"] == "missing"
    assert [one["purpose"] for one in found["disk"]] == ["engine", "site"]
    json.dumps(found)  # fit to travel


def test_lines_of_a_log_are_counted_where_it_is_asked_for(engine: Any, project_dir: str) -> None:
    engine.says("docker_logs", "Failed to get DB connection\nwell\nFailed to get DB connection\n")
    found = look(project_dir, log_services=["database"], counted=["Failed to get DB connection", "locked"])
    assert service(found, "database")["said"] == {"Failed to get DB connection": 2, "locked": 0}
    assert len(service(found, "database")["log"]) == 3
    assert service(found, "server")["said"] is None
    engine.does("docker_logs", "exit 1")
    assert service(look(project_dir, log_services=["database"], counted=["x"]), "database")["said"] is None


def test_an_image_that_is_absent(engine: Any, project_dir: str) -> None:
    engine.does("docker_image_inspect", "echo '[]'; echo 'Error: No such image: x' >&2; exit 1")
    found = look(project_dir)
    assert service(found, "monerod")["image_present"] is False
    engine.does("docker_image_inspect", "echo 'Error response from daemon: odd' >&2; exit 1")
    assert service(look(project_dir), "monerod")["image_present"] is None


def test_a_daemon_that_is_down_is_not_woken(engine: Any, project_dir: str) -> None:
    engine.says(
        "systemctl_show",
        "Id=docker.service\nLoadState=loaded\nActiveState=inactive\n\nId=docker.socket\nLoadState=loaded\nActiveState=active\n",
    )
    found = look(project_dir)
    assert found["daemon"]["state"] == "stopped"
    assert {one["state"] for one in found["services"]} == {None}
    assert {one["health"] for one in found["services"]} == {"unknown"}
    asked = [call for call in engine.calls if call.startswith("docker")]
    assert sorted(asked) == ["docker compose config --format json", "docker compose version --short"]


def test_compose_is_asked_where_no_daemon_listens(engine: Any, project_dir: str) -> None:
    engine.does("docker_compose_version", f'echo "$DOCKER_HOST" > {engine.answers}/address; echo 5.6.1')
    look(project_dir)
    address = (engine.answers / "address").read_text().strip()
    assert address.startswith("unix://") and not os.path.exists(address[7:])


def test_a_daemon_that_is_down_for_good(engine: Any, project_dir: str) -> None:
    engine.says(
        "systemctl_show",
        "Id=docker.service\nLoadState=loaded\nActiveState=inactive\n\nId=docker.socket\nLoadState=loaded\nActiveState=inactive\n",
    )
    engine.does(
        "docker_info",
        'echo \'{"errors":["Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"]}\'',
    )
    assert look(project_dir)["daemon"]["state"] == "stopped"


def test_a_daemon_that_hangs_is_a_finding_in_bounded_time(engine: Any, project_dir: str) -> None:
    engine.does("docker_info", "sleep 30")
    began = time.monotonic()
    found = look(project_dir, docker_timeout=0.3)
    assert found["daemon"]["state"] == "not_responding"
    assert time.monotonic() - began < 20


def test_a_daemon_that_hangs_only_at_the_second_question(engine: Any, project_dir: str) -> None:
    engine.does("docker_ps", "sleep 30")
    found = look(project_dir, docker_timeout=0.3)
    assert found["daemon"]["state"] == "not_responding"
    assert {one["state"] for one in found["services"]} == {None}


def test_a_busy_host_gets_a_second_chance(engine: Any, project_dir: str) -> None:
    mark = engine.answers / "asked"
    engine.does("docker_info", f'[ -e {mark} ] || {{ touch {mark}; sleep 30; }}; echo \'{{"errors":null,"version":"1"}}\'')
    assert look(project_dir, docker_timeout=3.0)["daemon"]["state"] == "running"


@pytest.mark.parametrize(
    ("question", "script", "words"),
    [
        ("docker_info", "echo 'permission denied while trying to connect to the Docker daemon socket' >&2; exit 1", "become"),
        ("docker_compose_config", "echo 'yaml: line 4, column 7: did not find expected key' >&2; exit 15", "line 4, column 7"),
        ("docker_compose_config", "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1", "2.18"),
        ("docker_compose_config", "echo 'open .env: permission denied' >&2; exit 1", "become"),
        ("docker_compose_config", "echo Name: old", "2.18"),
        ("docker_compose_version", "echo 2.17.2", "too old"),
    ],
)
def test_what_a_person_must_mend_first(engine: Any, project_dir: str, question: str, script: str, words: str) -> None:
    engine.does(question, script)
    with pytest.raises(CannotLook, match=words) as told:
        look(project_dir)
    assert "\n" not in str(told.value)


def test_wrong_folders(engine: Any, tmp_path: Path) -> None:
    with pytest.raises(CannotLook, match="does not exist"):
        look(str(tmp_path / "absent"))
    with pytest.raises(CannotLook, match="holds no Compose file"):
        look(str(tmp_path))
    assert engine.calls == []


def test_a_compose_file_named_in_the_environment_file(engine: Any, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("COMPOSE_FILE=production.yml\n")
    assert look(str(tmp_path))["project"]["name"] == "marketplace"


def test_an_unknown_service_is_answered_with_the_known_ones(engine: Any, project_dir: str) -> None:
    with pytest.raises(CannotLook, match=r"no service 'sever'; it has database, .*server"):
        look(project_dir, services=["sever"])


def test_no_docker_at_all(engine: Any, project_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(CannotLook, match="not installed"):
        look(project_dir)


def test_the_kernels_word_claims_memory(engine: Any, project_dir: str, recorded: Any) -> None:
    containers = json.loads(recorded("inspect_containers_exited.json"))
    server = next(one for one in containers if "server" in one["Name"])
    line = f"oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/docker/{server['Id']},task=python3"
    engine.does("dmesg", "echo 'dmesg: read kernel buffer failed: Operation not permitted' >&2; exit 1")
    finished = collect.epoch(server["State"]["FinishedAt"])
    engine.says("journalctl_--dmesg", f"{finished:.3f} market kernel: {line}\n")
    memory = service(look(project_dir), "server")["out_of_memory"]
    assert memory["claimed"] and memory["evidence"] == line
    engine.does("journalctl_--dmesg", "exit 1")
    memory = service(look(project_dir), "server")["out_of_memory"]
    assert (memory["claimed"], memory["kernel_asked"]) == (False, False)


def test_a_secret_the_application_prints_is_masked(engine: Any, project_dir: str, recorded: Any) -> None:
    containers = json.loads(recorded("inspect_containers_exited.json"))
    for one in containers:
        one["Config"]["Env"].append("DATABASE_PASSWORD=hunter2hunter2")
    engine.says("docker_inspect", json.dumps(containers))
    engine.says("docker_logs", "cannot open the database with hunter2hunter2\n")
    found = look(project_dir)
    assert service(found, "server")["log"] == ["cannot open the database with <redacted>"]
    assert "hunter2" not in json.dumps(found)


def test_a_pause_of_our_own_is_told_from_a_foreign_one(engine: Any, project_dir: str, recorded: Any, tmp_path: Path) -> None:
    containers = json.loads(recorded("inspect_paused.json"))
    engine.says("docker_inspect", json.dumps(containers))
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    assert not service(look(project_dir, state_dir=str(state_dir)), "server")["paused_by_us"]
    server = next(one for one in containers if "server" in one["Name"])
    (state_dir / "log_archive.json").write_text(json.dumps({"container_id": server["Id"]}))
    assert service(look(project_dir, state_dir=str(state_dir)), "server")["paused_by_us"]


def test_a_hiccup_of_an_endpoint_does_not_count(
    engine: Any, project_dir: str, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers = [one for one in json.loads(recorded("inspect_paused.json")) if "database" in one["Name"]]
    config = json.loads(recorded("compose_config.json"))
    config["services"] = {"database": config["services"]["database"]}
    engine.says("docker_compose_config", json.dumps(config))
    engine.says("docker_inspect", json.dumps(containers))
    answers = [503, 200]

    def get(url: str, timeout: float, **_options: Any) -> Any:
        return collect._http_probe.Answer(url, answers.pop(0), 0.01, None, None, "", 0.0)

    monkeypatch.setattr(collect._http_probe, "get", get)
    monkeypatch.setattr(collect, "SECOND_ASKING_AFTER", 0.01)
    found = look(project_dir, probe_urls=["http://127.0.0.1:1/"])
    assert found["endpoints"][0]["status"] == 200
    answers.extend([503, 503])
    assert look(project_dir, probe_urls=["http://127.0.0.1:1/"])["endpoints"][0]["status"] == 503


def test_several_containers_of_one_service(engine: Any, project_dir: str, recorded: Any) -> None:
    containers = json.loads(recorded("inspect_paused.json"))
    nginx = json.loads(json.dumps(next(one for one in containers if "nginx" in one["Name"])))
    nginx.update(Id="f" * 64, Name="/marketplace-nginx-2")
    nginx["State"].update(Status="exited", ExitCode=1, Running=False)
    engine.says("docker_inspect", json.dumps([*containers, nginx]))
    found = service(look(project_dir), "nginx")
    assert found["state"] == "exited" and found["container_id"] == "f" * 64
    assert len(found["containers"]) == 2


def test_what_could_go_is_asked_only_when_the_disk_is_full(
    engine: Any, project_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.says("docker_system_df", "Images\t547.1MB (99%)\nContainers\t0B (0%)\nLocal Volumes\t1GB\nBuild Cache\t1.5GB\n")
    engine.says("docker_images", "sha256:a\nsha256:a\nsha256:b\n")
    assert look(project_dir)["reclaimable"] == {"build_cache_bytes": None, "dangling_images_bytes": None}
    assert not any("system df" in call for call in engine.calls)
    monkeypatch.setattr(collect, "RECLAIM_ABOVE_PERCENT", 0.0)
    engine.does(
        "docker_image_inspect",
        'case "$*" in *sha256:b) echo \'[{"Id":"a","Size":5},{"Id":"b","Size":7}]\';; *) echo "[]";; esac',
    )
    assert look(project_dir)["reclaimable"] == {"build_cache_bytes": 1_500_000_000, "dangling_images_bytes": 12}
    engine.does("docker_system_df", "sleep 30")
    engine.does("docker_images", "exit 1")
    found = look(project_dir, docker_timeout=0.5)["reclaimable"]
    assert found == {"build_cache_bytes": None, "dangling_images_bytes": None}


def test_a_compose_file_named_in_the_environment(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPOSE_FILE", "production.yml")
    assert look(str(tmp_path))["project"]["name"] == "marketplace"
    monkeypatch.delenv("COMPOSE_FILE")
    (tmp_path / ".env").write_text("A=b\n")
    with pytest.raises(CannotLook, match="holds no Compose file"):
        look(str(tmp_path))


def test_an_engine_elsewhere_has_no_unit_here(engine: Any, project_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/1000/docker.sock")
    assert look(project_dir)["daemon"]["unit"] == {"docker": None, "socket": None}
    assert not any(call.startswith("systemctl") for call in engine.calls)


def test_a_daemon_nobody_answers_for_although_its_unit_is_active(engine: Any, project_dir: str) -> None:
    engine.does("docker_info", 'echo \'{"errors":["Cannot connect to the Docker daemon"]}\'')
    found = look(project_dir)["daemon"]
    assert (found["state"], "active" in found["detail"]) == ("not_responding", True)
    engine.does("docker_info", "echo odd >&2; exit 1")
    found = look(project_dir)["daemon"]
    assert (found["state"], found["detail"]) == ("not_responding", "odd")


def test_a_container_that_went_away_meanwhile_is_only_missing(engine: Any, project_dir: str, recorded: Any) -> None:
    containers = [one for one in json.loads(recorded("inspect_paused.json")) if "nginx" not in one["Name"]]
    (engine.answers / "left").write_text(json.dumps(containers))
    engine.does("docker_inspect", f"cat {engine.answers}/left; echo 'Error: No such container: x' >&2; exit 1")
    found = look(project_dir)
    assert service(found, "nginx")["state"] == "missing"
    assert service(found, "database")["state"] == "running"


def test_what_is_not_up_is_said_in_one_line(engine: Any, project_dir: str) -> None:
    assert "; server: exited" in collect.not_up(look(project_dir))
    services = [
        {"name": "server", "state": "running", "health": "starting", "wanted_containers": 1},
        {"name": "nginx", "state": "running", "health": "healthy", "wanted_containers": 1},
        {"name": "node", "state": "running", "health": "none", "wanted_containers": 1},
        {"name": "report", "state": "exited", "health": "none", "wanted_containers": 0},
    ]
    assert collect.not_up({"services": services}) == "server: starting"


def test_a_firewall_that_does_not_answer_leaves_the_rest_of_the_look(
    engine: Any, project_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect._look_engine, "look", lambda *_what: time.sleep(90))
    began = time.monotonic()
    found = look(project_dir, docker_timeout=2.0)
    assert found["engine"] == {} and len(found["services"]) > 0
    assert time.monotonic() - began < 60


def test_before_docker_is_restarted_for_its_ports_it_is_looked_at_who_would_end(
    engine: Any, project_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect._look_engine, "look", lambda *_what: {"living": None})
    monkeypatch.setattr(collect._look_engine, "at_stake", lambda *_what: {"living": ["all of them"]})
    for kept in (True, False):
        monkeypatch.setattr(collect._look_network, "look", lambda *_what, kept=kept: {"holders": [{"kept_by_engine": kept}]})
        assert look(project_dir)["engine"]["living"] == (["all of them"] if kept else None)
