# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Causes in the project's files: named with their place, and nothing done that needs the file."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.plans import HEALTH, PUBLIC, Looks, decide, doing, exit_now, roots, service

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _health_report

SYNTAX = {
    "kind": "syntax",
    "readable": False,
    "sentence": "docker-compose.yml cannot be read at line 106, column 4: did not find expected key",
    "file": "/site/docker-compose.yml",
    "line": 106,
    "column": 4,
    "variable": None,
    "services": [],
}
VARIABLE = {
    **SYNTAX,
    "kind": "missing_variable",
    "sentence": "the setting SESSION_KEY has no value, and is required for services.server.environment.SESSION_KEY",
    "file": None,
    "line": None,
    "column": None,
    "variable": "SESSION_KEY",
    "services": ["server"],
}
SECRET = {
    **VARIABLE,
    "kind": "missing_file",
    "readable": True,
    "sentence": "secrets/login does not exist, and server cannot start without it",
    "file": "/site/secrets/login",
    "variable": None,
}
EXPIRED, VALID = 1000.0, 9e12


def with_problem(look: dict[str, Any], problem: dict[str, Any]) -> dict[str, Any]:
    look["project"] = {"name": "marketplace", "directory": "/site", "problem": problem}
    return look


def escalations(decided: dict[str, Any]) -> str:
    return " ".join(one["sentence"] for one in decided["escalate"])


def test_half_an_edit_is_told_with_its_place_and_stops_no_start(recorded_look: Looks) -> None:
    look = with_problem(recorded_look("containers_exited"), SYNTAX)
    decided = decide(look)
    assert roots(decided)[0] == ("compose-broken", None)
    assert "docker-compose.yml at line 106, column 4" in escalations(decided)
    assert doing(decided) == ["start:server,nginx"]
    assert len(decided["steps"][0]["containers"]) == 2, "by the engine: Compose refuses every command"


def test_even_a_stack_that_waits_for_health_is_started_by_the_engine(recorded_look: Looks) -> None:
    look = recorded_look("containers_exited")
    exit_now(look, "database")
    service(look, "server")["waits_for"] = ["database"]
    assert decide(look)["steps"][0]["containers"] == [], "Compose waits for the database's health"
    with_problem(look, SYNTAX)
    step = decide(look)["steps"][0]
    assert len(step["containers"]) == len(step["services"]) > 1


def test_a_restart_without_compose_names_the_container(recorded_look: Looks) -> None:
    look = recorded_look("unhealthy")
    assert decide(look)["steps"][0]["containers"] == []
    step = decide(with_problem(look, SYNTAX))["steps"][0]
    assert (step["do"], step["containers"]) == ("restart", [service(look, "server")["container_id"]])


def test_a_service_that_only_the_file_knows_is_not_forgotten(recorded_look: Looks) -> None:
    look = with_problem(recorded_look("healthy"), SYNTAX)
    look["services"] = [one for one in look["services"] if one["name"] != "server"]
    decided = decide(look)
    assert decided["causes"][0]["evidence"] == ["server has no container, and without the file none can be created"]
    assert doing(decided) == []


def test_a_healthy_stack_with_a_broken_file_needs_a_person_and_no_step(recorded_look: Looks) -> None:
    decided = decide(with_problem(recorded_look("healthy"), SYNTAX))
    assert (doing(decided), decided["serving"], decided["settled"]) == ([], True, False)
    assert escalations(decided).startswith("Mend /site/docker-compose.yml at line 106, column 4")


def test_a_missing_setting_is_named_and_never_invented(recorded_look: Looks) -> None:
    decided = decide(with_problem(recorded_look("containers_exited"), VARIABLE))
    assert roots(decided)[0] == ("setting-missing", None)
    assert doing(decided) == ["start:server,nginx"], "its container still has the value"
    said = escalations(decided)
    assert "Put SESSION_KEY back into /site/.env" in said and "the container of server still has its value" in said
    assert "no value is invented" in said


def test_a_missing_secret_stops_only_the_start_that_would_fail(recorded_look: Looks) -> None:
    decided = decide(with_problem(recorded_look("containers_exited"), SECRET))
    assert ("secret-missing", "server") in roots(decided)
    assert "/site/secrets/login" in escalations(decided)
    assert "server" not in " ".join(doing(decided))


def test_a_missing_secret_of_a_service_that_runs_is_told_before_it_matters(recorded_look: Looks) -> None:
    decided = decide(with_problem(recorded_look("healthy"), SECRET))
    assert roots(decided) == [("setting-missing", None)]
    assert doing(decided) == []


def refused(look: dict[str, Any], file: dict[str, Any] | None) -> dict[str, Any]:
    """The site's certificate has expired; what lies in the file is another matter."""
    public = next(one for one in look["endpoints"] if one["url"] == PUBLIC)
    public.update(status=None, error="tls", detail="certificate has expired")
    dates = {"not_before": 0.0, "not_after": EXPIRED, "sha256": "aa"}
    look["certificates"] = {"served": {PUBLIC: dates}, "file": file}
    look["network"] = {"nginx": [{"service": "nginx", "container_id": "c" * 64, "pid": 7, "options": [], "workers": []}]}
    return look


def in_file(not_after: float, problem: str | None = None) -> dict[str, Any]:
    return {"path": "/site/site.crt", "not_before": 0.0, "not_after": not_after, "sha256": "bb", "problem": problem}


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (None, "marketplace_certificate_path"),
        (in_file(EXPIRED), "Renew /site/site.crt, which expired 1970-01-01T00:16:40Z"),
        (in_file(0, "/site/site.crt holds no certificate"), "/site/site.crt holds no certificate"),
    ],
)
def test_an_expired_certificate_needs_a_person(recorded_look: Looks, file: dict[str, Any] | None, words: str) -> None:
    decided = decide(refused(recorded_look("healthy"), file))
    assert roots(decided) == [("certificate-expired", "nginx")]
    assert "it was valid until 1970-01-01T00:16:40Z" in decided["causes"][0]["sentence"]
    assert decided["causes"][0]["evidence"][0] == f"GET {HEALTH}: 200"
    assert words in escalations(decided)
    assert doing(decided) == []


def test_a_renewed_file_is_taken_in_by_a_reload_once(recorded_look: Looks) -> None:
    look = refused(recorded_look("healthy"), in_file(VALID / 1000))
    decided = decide(look)
    assert doing(decided) == ["reload:nginx"]
    assert decided["steps"][0]["details"] == [{"masters": [{"container_id": "c" * 64, "options": []}]}]
    assert "still serves the old certificate" in escalations(decide(look, tried=("reload:nginx",)))
    look["network"]["nginx"] = []
    assert "tell it to read its certificate again" in escalations(decide(look))


def test_another_reason_of_refusal_is_not_called_expired(recorded_look: Looks) -> None:
    look = refused(recorded_look("healthy"), None)
    look["certificates"]["served"][PUBLIC]["not_after"] = VALID
    assert roots(decide(look)) == [("certificate-refused", "nginx")]
    look["certificates"] = None
    assert roots(decide(look)) == [("certificate-refused", "nginx")]


def test_serving_is_told_apart_from_settled(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    service(look, "database").update(state="restarting", exit_code=2, restart_count=5)
    decided = decide(look)
    assert (decided["settled"], decided["serving"]) == (False, True)
    look["endpoints"][0].update(status=503)
    assert not decide(look)["serving"]


def test_what_is_planned_to_come_up_slowly_has_more_time(recorded_look: Looks) -> None:
    look = recorded_look("healthy")
    service(look, "server").update(health="starting", start_period=60.0, started_at=look["taken_at"])
    decided = decide(look)
    assert (decided["decided"], decided["start_period"], doing(decided)) == (False, 60.0, [])
    assert decide(recorded_look("healthy"))["start_period"] == 0


@pytest.mark.parametrize(("ahead", "words"), [(301.2, "301 s ahead of"), (-45.0, "45 s behind"), (29.0, None), (0.0, None)])
def test_a_wrong_clock_is_told_though_nothing_acts(recorded_look: Looks, ahead: float, words: str | None) -> None:
    decided = decide(recorded_look("healthy"))
    changes = {"did": [], "untouched": 11}
    risk = _health_report.report(decided, decided, changes, [], [], [], [], 80, [], clock_ahead=ahead)["risk"]
    assert (words in " ".join(risk)) if words else not risk
