# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Light hosts by name, and what their inventory says; no container is started here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from lab import cli, fleet, instance, places
from lab.engine import Engine
from lab.host_container import INSIDE_PORTS
from lab.light_seed import PROJECT_FILES, SERVICES
from rules.collection import PROJECT


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(places, "LONGEST_HOME", 500)
    monkeypatch.setenv("MARKETPLACE_LAB_HOME", str(tmp_path))
    return tmp_path


def test_light_hosts_of_one_lab_are_not_those_of_another(home: Path) -> None:
    for name in ("market-1", "market-1-light-02", "market-1-light-01", "market-2-light-01", "market-1-light"):
        (home / "labs" / name).mkdir(parents=True)
    assert fleet.names("market-1") == ["market-1-light-01", "market-1-light-02"]
    assert fleet.names("market-2") == ["market-2-light-01"]


def test_an_interrupted_start_is_named(home: Path) -> None:
    (home / "labs/market-1-light-01").mkdir(parents=True)
    assert fleet.status("market-1") == {"market-1-light-01": "not complete"}


@pytest.mark.parametrize("count", ["0", "-1", "1000"])
def test_a_number_that_is_not_possible_is_refused(home: Path, capsys: pytest.CaptureFixture[str], count: str) -> None:
    assert cli.main(["fleet", "up", "--", count]) == 1
    assert "not possible: between 1 and" in capsys.readouterr().err


def test_the_site_of_a_light_host_names_only_what_a_site_may_name() -> None:
    known = yaml.safe_load((PROJECT / "roles/marketplace/defaults/main.yml").read_text())
    assert set(fleet.SITE) <= set(known)
    assert set(fleet.PORTS) <= set(INSIDE_PORTS)


def test_its_project_is_two_services_with_health_checks_as_far_apart_as_real_ones() -> None:
    project = yaml.safe_load((places.LIGHT / "docker-compose.yml").read_text())
    assert sorted(project["services"]) == sorted(SERVICES)
    assert {service["healthcheck"]["interval"] for service in project["services"].values()} == {"30s"}
    assert {path.name for path in places.LIGHT.iterdir()} == {"Dockerfile", *PROJECT_FILES}


@pytest.mark.parametrize("words", [["heal"], ["break", "hung"]])
def test_faults_of_a_whole_marketplace_are_not_for_a_light_host(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    folder = home / "labs/market-1-light-01"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"fleet": "market-1", "authority": ""}))
    monkeypatch.setenv("LAB", "market-1-light-01")
    monkeypatch.setattr(instance, "running_engine", lambda: Engine(host=None, ours=False))
    assert cli.main(words) == 1
    said = capsys.readouterr().err
    assert "is a light host" in said and "`script/lab fleet up` make it anew" in said
