# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters' shells: what Jinja hands over, and one sentence for what it should not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.monero_marketplace.incident.plugins.filter import (
    docker_health_changes,
    docker_health_plan,
    service_verify_outage_window,
    service_verify_verdict,
)

Looks = Callable[[str], dict[str, Any]]


def test_confirmations_come_as_a_list_or_with_commas(recorded_look: Looks) -> None:
    plan = docker_health_plan.docker_health_plan
    for given in ("unpause:server", "other, unpause:server", ["unpause:server"]):
        assert plan(recorded_look("paused"), "server", confirm=given)["unpause"] == ["server"]
    for given in ("", [], None, "unpause", "unpause:server2"):
        assert plan(recorded_look("paused"), "server", confirm=given)["unpause"] == []


def test_numbers_come_as_text_too(recorded_look: Looks) -> None:
    plan = docker_health_plan.docker_health_plan
    assert plan(recorded_look("disk_full"), "server", disk_critical="90")["free_disk"]  # type: ignore[arg-type]
    assert not plan(recorded_look("disk_full"), "server", disk_critical=101)["free_disk"]


@pytest.mark.parametrize("wrong", [{}, [], "x", None, {"compose": {}}])
def test_something_else_is_refused(wrong: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="compose_info"):
        docker_health_plan.docker_health_plan(wrong, "server")
    with pytest.raises(AnsibleFilterError, match="compose_info"):
        docker_health_changes.docker_health_changes(wrong, wrong)
    with pytest.raises(AnsibleFilterError, match="http_probe"):
        service_verify_verdict.service_verify_verdict(wrong)


def test_changes(recorded_look: Looks) -> None:
    assert docker_health_changes.docker_health_changes(recorded_look("healthy"), recorded_look("healthy"))["did"] == []


def test_a_skipped_question_to_prometheus_is_none() -> None:
    verdict = service_verify_verdict.service_verify_verdict({"endpoints": []}, {"skipped": True, "changed": False})
    assert verdict["error_ratio"]["sentence"] == "error ratio unproven (no Prometheus named)"


def test_a_window_from_series_or_points() -> None:
    window = service_verify_outage_window.service_verify_outage_window
    points = [[0, 1], [2, 0], [4, 1]]
    assert window(points, 4)["down_seconds"] == 2.0
    assert window([{"labels": {}, "points": points}], 4)["down_seconds"] == 2.0
    assert window([], 4)["complete"] is False
    for wrong in ("x", 5, [1], [{"labels": {}}]):
        with pytest.raises(AnsibleFilterError):
            window(wrong, 4)  # type: ignore[arg-type]


def test_each_file_offers_the_filter_it_is_named_after() -> None:
    for module in (docker_health_plan, docker_health_changes, service_verify_verdict, service_verify_outage_window):
        name = module.__name__.rpartition(".")[2]
        assert list(module.FilterModule().filters()) == [name]
