# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules' shells: arguments in, one JSON answer out, one sentence when something is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.monero_marketplace.incident.plugins.modules import (
    compose_info,
    container_log,
    http_probe,
    prometheus_query,
)

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def answer(module: Any, **arguments: Any) -> dict[str, Any]:
        with patch_module_args(arguments), pytest.raises(SystemExit):
            module.main()
        return dict(json.loads(capsys.readouterr().out))

    return answer


def test_compose_info_answers_also_in_check_mode(run: Run, engine: Any, project_dir: str) -> None:
    for check in (False, True):
        found = run(compose_info, project_dir=project_dir, services=["server"], _ansible_check_mode=check)
        assert not found["changed"] and "skipped" not in found
        assert found["compose"]["project"]["name"] == "marketplace"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"services": ["sever"]}, "no service 'sever'"),
        ({"project_dir": "/nonexistent"}, "does not exist"),
        ({"probe_urls": ["shop"]}, "is no URL"),
        ({"docker_timeout": 0}, "above 0"),
    ],
)
def test_compose_info_fails_with_one_sentence(
    run: Run, engine: Any, project_dir: str, more: dict[str, Any], words: str
) -> None:
    found = run(compose_info, **{"project_dir": project_dir, **more})
    assert found["failed"] and words in found["msg"] and "\n" not in found["msg"]


@pytest.fixture
def dirs(tmp_path: Path, project_dir: str) -> dict[str, str]:
    names = ("keep_dir", "state_dir", "lease_dir")
    return {"project_dir": project_dir, **{name: str(tmp_path / name) for name in names}}


def test_logs_are_kept_once(run: Run, engine: Any, dirs: dict[str, str]) -> None:
    predicted = run(container_log, state="kept", services=["server"], _ansible_check_mode=True, **dirs)
    assert predicted["changed"] and not Path(dirs["keep_dir"]).exists()
    first = run(container_log, state="kept", services=["server"], **dirs)
    assert first["changed"] and [one["service"] for one in first["kept"]] == ["server"]
    assert predicted["kept"][0]["path"] == first["kept"][0]["path"]
    second = run(container_log, state="kept", services=["server"], **dirs)
    assert not second["changed"] and second["kept"][0]["sha256"] == first["kept"][0]["sha256"]


def test_a_log_that_cannot_be_kept_does_not_stop_the_repair(run: Run, engine: Any, dirs: dict[str, str]) -> None:
    engine.does("docker_logs", "exit 1")
    found = run(container_log, state="kept", services=["server"], **dirs)
    assert not found.get("failed") and not found["changed"]
    assert found["problems"][0].startswith("The log of server was not kept: ")


def test_a_stale_token_keeps_nothing(run: Run, engine: Any, dirs: dict[str, str]) -> None:
    found = run(container_log, state="kept", services=["server"], token="7", **dirs)
    assert found["failed"] and "token 7" in found["msg"]
    assert not Path(dirs["keep_dir"]).exists()


def test_a_daemon_that_is_down_shows_no_log(run: Run, engine: Any, dirs: dict[str, str]) -> None:
    engine.does("docker_info", "sleep 9")
    found = run(container_log, state="kept", services=["server"], docker_timeout=0.2, **dirs)
    assert found["failed"] and "Docker does not answer" in found["msg"]


@pytest.fixture
def oversized(engine: Any, tmp_path: Path, recorded: Callable[[str], str]) -> Path:
    """The server's log is large, and the server runs."""
    log = tmp_path / "server-json.log"
    log.write_bytes(b'{"log":"a line"}\n' * 10_000)
    containers = json.loads(recorded("inspect_paused.json"))
    for one in containers:
        one["LogPath"] = str(log) if "server" in one["Name"] else ""
        one["State"].update(Status="running", Running=True, Paused=False)
    engine.says("docker_inspect", json.dumps(containers))
    return log


def test_an_archive_is_predicted_made_and_not_made_twice(run: Run, engine: Any, oversized: Path, dirs: dict[str, str]) -> None:
    size = oversized.stat().st_size
    engine.does("docker_pause", "true")
    engine.does("docker_unpause", "true")
    predicted = run(container_log, state="archived", minimum_bytes=1000, _ansible_check_mode=True, _ansible_diff=True, **dirs)
    assert predicted["changed"] and predicted["freed_bytes"] == size == oversized.stat().st_size
    assert predicted["diff"]["after"] == {"server": "0 B"}
    done = run(container_log, state="archived", minimum_bytes=1000, **dirs)
    assert done["changed"] and done["freed_bytes"] == size and oversized.stat().st_size == 0
    assert [one["service"] for one in done["paused"]] == ["server"]
    again = run(container_log, state="archived", minimum_bytes=1000, **dirs)
    assert not again["changed"] and again["freed_bytes"] == 0


def test_a_terminated_archive_leaves_nothing_paused(engine: Any, oversized: Path, dirs: dict[str, str], tmp_path: Path) -> None:
    mark = tmp_path / "paused"
    engine.does("docker_pause", f"touch {mark}; sleep 20")
    engine.does("docker_unpause", f"rm -f {mark}")
    arguments = {"ANSIBLE_MODULE_ARGS": {"state": "archived", "minimum_bytes": 1000, "docker_timeout": 15.0, **dirs}}
    (tmp_path / "arguments").write_text(json.dumps(arguments))
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).resolve().parents[4] / ".collections"))
    child = subprocess.Popen(
        [sys.executable, str(container_log.__file__), str(tmp_path / "arguments")],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert mark.exists()
    child.send_signal(signal.SIGTERM)
    child.wait(20)
    assert not mark.exists()


def test_a_probe_proves_several_endpoints(run: Run, site: Any) -> None:
    site.answers = [(200, b'{"status":"ok"}')]
    found = run(
        http_probe, urls=[site.url + "/a", site.url + "/b"], count=2, interval=0.05, deadline=5, body_json={"status": "ok"},
        _ansible_check_mode=True,
    )  # fmt: skip
    assert found["good"] and len(found["endpoints"]) == 2 and len(site.asked) == 4
    assert found["first_good"] == max(one["first_good"] for one in found["endpoints"])


def test_a_probe_that_proves_nothing_is_a_finding(run: Run, site: Any) -> None:
    site.answers = [(503, b"no")]
    found = run(http_probe, urls=[site.url], count=2, interval=0.05, deadline=0.3)
    assert not found["good"] and "failed" not in found and found["first_good"] is None
    assert not run(http_probe, urls=[])["good"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"urls": ["x"]}, "is no URL"),
        ({"urls": ["http://u:p@x/"]}, "carries a login"),
        ({"count": 0}, "above 0"),
        ({"count": 5, "interval": 10.0, "deadline": 30.0}, "raise 'deadline'"),
    ],
)
def test_a_probe_that_makes_no_sense(run: Run, options: dict[str, Any], words: str) -> None:
    found = run(http_probe, **{"urls": ["http://127.0.0.1:1/"], **options})
    assert found["failed"] and words in found["msg"]


def test_prometheus_is_asked_several_things(run: Run, site: Any) -> None:
    site.answers = [(200, b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"2"]}]}}')]
    queries = [{"name": name, "query": "up"} for name in ("requests", "errors")]
    found = run(prometheus_query, url=site.url, queries=queries, _ansible_check_mode=True)
    assert found["answered"] and found["problem"] is None
    assert {name: one["samples"][0]["value"] for name, one in found["results"].items()} == {"requests": 2.0, "errors": 2.0}


def test_a_silent_prometheus_is_a_finding(run: Run) -> None:
    found = run(prometheus_query, url="http://127.0.0.1:1", queries=[{"name": "up", "query": "up"}])
    assert not found["answered"] and "failed" not in found
    assert found["problem"].startswith("Prometheus at http://127.0.0.1:1, up: ")
    assert found["results"]["up"]["samples"] == []


def test_two_queries_of_one_name(run: Run) -> None:
    queries = [{"name": "up", "query": "up"}] * 2
    assert "same name" in run(prometheus_query, url="http://127.0.0.1:1", queries=queries)["msg"]
