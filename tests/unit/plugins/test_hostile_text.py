# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from outside on its way from the look to the summary, the record and the status: it stays text, and it stays short."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.plans import HEALTH, PUBLIC, Looks, decide, exit_now, service

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _compose_collect,
    _diagnosis_changes,
    _health_report,
    _http_probe,
    _incident_host,
    _incident_status,
    _incident_timeline,
    _outcome,
    _prometheus,
    _summary,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_engine import CannotLook
from ansible_collections.monero_marketplace.incident.plugins.module_utils._triage_words import triage

TEMPLATE = "{{ lookup('pipe','touch /tmp/x') }}"
HOSTILE = {
    "template": f"{TEMPLATE} {{% raw %}}",
    "line breaks": "one\ntwo\r\nthree\u2028four\x85five\x0bsix",
    "escapes": "\x1b[31mred\x1b]0;owned\x07\x1bP1;2|x\x1b\\ \x9b2J\u202eback\u200b",
    "nul": "a\x00b\x07c\x7f",
    "long": "x" * 100_000,
    "no UTF-8": b"caf\xe9 \xff\xfe".decode("utf-8", "surrogateescape"),
}
LONGEST = 4000


@pytest.fixture(params=HOSTILE)
def hostile(request: pytest.FixtureRequest) -> str:
    return HOSTILE[request.param]


def texts(value: Any) -> Iterator[str]:
    """Every string in it, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts(item)


def assert_plain(value: Any, breaks: bool = True) -> None:
    for text in texts(value):
        text.encode("utf-8")  # fit to be written and sent
        strange = [
            letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf") and not (breaks and letter == "\n")
        ]
        assert not strange, f"{strange} in {text[:200]!r}"
        assert len(text) <= LONGEST, f"{len(text)} characters: {text[:80]!r}…"


def test_what_a_look_brings_home(engine: Any, project_dir: str, recorded: Any, hostile: str) -> None:
    containers = json.loads(recorded("inspect_containers_exited.json"))
    for one in containers:
        one["State"]["Error"] = hostile
        one["Config"]["Labels"]["note"] = hostile
    sick = containers[0]
    sick["State"].update(Status="running", Health={"Status": "unhealthy", "Log": [{"Output": hostile, "End": "x"}]})
    stranger = json.loads(json.dumps(containers[1]))
    stranger["Config"]["Labels"]["com.docker.compose.service"] = hostile
    engine.says("docker_inspect", json.dumps([*containers, stranger]))
    (engine.answers / "docker_logs").write_bytes(hostile.encode("utf-8", "surrogateescape") + b"\nlast\n")
    (engine.answers / "docker_network").write_bytes(hostile.encode("utf-8", "surrogateescape") + b"\n")
    found = _compose_collect.look(_compose_collect.Look(project_dir, docker_timeout=30.0))
    assert {one["name"] for one in found["services"]} == set(json.loads(recorded("compose_config.json"))["services"])
    assert_plain(found)
    assert any(one["log"] and one["log"][-1] == "last" for one in found["services"])


@pytest.mark.parametrize("command", ["docker_info", "docker_compose_config"])
def test_what_the_engine_says_when_it_fails(engine: Any, project_dir: str, hostile: str, command: str) -> None:
    (engine.answers / "said").write_bytes(hostile.encode("utf-8", "surrogateescape"))
    engine.does(command, f"cat {engine.answers}/said >&2; exit 1")
    try:
        assert_plain(_compose_collect.look(_compose_collect.Look(project_dir, docker_timeout=30.0)))
    except CannotLook as problem:
        assert_plain(str(problem), breaks=False)


def test_what_an_endpoint_answers(site: Any, hostile: str) -> None:
    raw = hostile.encode("utf-8", "surrogateescape")
    head = raw.replace(b"\n", b" ").replace(b"\r", b" ")[:60_000]

    def answer(plug: Any) -> None:
        plug.sendall(b"HTTP/1.1 503 " + head + b"\r\nX-Note: " + head + b"\r\nLocation: " + head + b"\r\n")
        plug.sendall(b"Content-Length: %d\r\n\r\n" % len(raw) + raw)

    site.answers = [answer]
    found = _http_probe.get(f"{site.url}/", 3.0).as_dict()
    found["body"] = _compose_collect.clean_text(found["body"])
    assert_plain(found)


def test_where_an_endpoint_sends_us(site: Any, hostile: str) -> None:
    head = hostile.encode("utf-8", "surrogateescape").replace(b"\n", b" ").replace(b"\r", b" ")[:60_000]
    site.answers = [lambda plug: plug.sendall(b"HTTP/1.1 302 X\r\nContent-Length: 0\r\nLocation: " + head + b"\r\n\r\n")]
    assert_plain(_http_probe.get(f"{site.url}/", 3.0).as_dict())


def told(look: dict[str, Any], hostile: str) -> dict[str, Any]:
    """The result of a run over facts that nobody has cleaned."""
    for name in ("server", "nginx"):
        exit_now(look, name)
        service(look, name).update(
            error=hostile, log=[hostile, hostile], probe_output=hostile, state="restarting", restart_count=5
        )
    service(look, "database").update(health="unhealthy", probe_output=hostile)
    for endpoint in look["endpoints"]:
        endpoint.update(status=None, error=hostile, detail=hostile, body=hostile)
    plan = decide(look)
    changes = _diagnosis_changes.changes(look, look)
    problems = [f"start server failed: {hostile}"]
    findings = _health_report.report(plan, plan, changes, [], problems, [], look["disk"], 80.0, [hostile])
    return _outcome.judge({"host": "market-1", "playbook": "outage", "acted": True, "findings": findings})


def test_what_a_summary_says(recorded_look: Looks, hostile: str) -> None:
    plain, result = told(recorded_look("healthy"), "words"), told(recorded_look("healthy"), hostile)
    assert (result["outcome"], result["zero"]) == (plain["outcome"], plain["zero"]) == ("escalated", False)
    record = {"incident": hostile, "severity": hostile, "head": hostile, "failed": False}
    said = _summary.summary(result, record)
    assert_plain(said.split("\n"), breaks=False)
    assert [line[:7] for line in said.split("\n")[1:]] == [line[:7] for line in _summary.summary(plain, record).split("\n")[1:]]


def test_a_template_is_shown_as_it_is(recorded_look: Looks) -> None:
    assert TEMPLATE in _summary.summary(told(recorded_look("healthy"), HOSTILE["template"]))


def test_what_triage_proposes(recorded_look: Looks, hostile: str) -> None:
    def proposed(words: str) -> dict[str, Any]:
        look = recorded_look("crash_loop")
        service(look, "server").update(error=words, log=[words, words], probe_output=words)
        look["endpoints"][0].update(detail=words, body=words)
        look["services"][0]["image"] = words
        site = {
            "server_service": "server",
            "health_url": HEALTH,
            "public_url": PUBLIC,
            "wallet_services": [],
            "error_ratio_limit": 0.05,
        }
        return triage({"host": "market-1", "site": site, "compose": look, "plan": decide(look), "clock": look["clock"]})

    found, plain = proposed(hostile), proposed("words")
    assert (found["severity"], found["playbook"]) == (plain["severity"], plain["playbook"])
    assert_plain(found["text"].split("\n"), breaks=False)
    assert len(found["text"].split("\n")) == len(plain["text"].split("\n"))


def test_what_the_record_keeps(recorded_look: Looks, hostile: str) -> None:
    result = told(recorded_look("healthy"), hostile)
    said = {"event": "outcome", "text": hostile, "data": {"result": result, hostile[:300]: hostile}}
    entry = _incident_timeline.next_entry(None, "INC-1", said)
    line = _incident_timeline.canonical(entry)
    assert "\n" not in line
    assert json.loads(line) == entry
    for text in texts(entry):
        strange = [letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf") and letter != "\n"]
        assert not strange and len(text) <= _incident_timeline.LONGEST_VALUE


def test_holds_and_incidents_at_a_glance(tmp_path: Path, hostile: str) -> None:
    places = _incident_host.Places(state_dir=str(tmp_path), lease_dir=str(tmp_path))
    folder = Path(places.holds)
    folder.mkdir(parents=True)
    hold = {"reason": hostile, "by": hostile, "since": hostile, "playbooks": ["outage", hostile]}
    (folder / "a.json").write_text(json.dumps(hold))
    (folder / "b.json").write_bytes(b"\xff\x00 not json")
    holds = _incident_host.read_holds(places)
    assert [one["readable"] for one in holds] == [True, False]
    incident = {
        "id": hostile,
        "status": hostile,
        "severity": hostile,
        "last": {"event": hostile, "time": hostile, "text": hostile},
    }
    said = _incident_status.status(
        {"incidents": [incident], "open_incident": incident}, {"lease": {"responder": hostile}, "holds": holds}, hostile
    )
    assert_plain(said.split("\n"), breaks=False)


def test_labels_of_prometheus(hostile: str) -> None:
    assert_plain(_prometheus._labels({"metric": {"alertname": hostile, hostile: "value"}}), breaks=False)
