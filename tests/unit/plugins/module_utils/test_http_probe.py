# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One GET against a real socket, and what a row of them proves."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils._http_probe import (
    Answer,
    BadUrl,
    Wanted,
    check_url,
    get,
    probe,
)


def test_an_answer(site: Any) -> None:
    site.answers = [(200, b'{"status":"ok"}')]
    answer = get(f"{site.url}/api/health?x=1", 3, host_header="shop.example")
    assert (answer.status, answer.error, answer.body) == (200, None, '{"status":"ok"}')
    assert site.asked[0].startswith("GET /api/health?x=1 HTTP/1.1\r\n")
    assert "\r\nHost: shop.example\r\n" in site.asked[0]


@pytest.mark.parametrize("status", [204, 301, 404, 502, 503])
def test_every_status_is_an_answer(site: Any, status: int) -> None:
    site.answers = [(status, b"")]
    assert get(site.url, 3).status == status


def drip(plug: socket.socket) -> None:
    plug.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _byte in range(3000):
        plug.sendall(b"x")
        time.sleep(0.02)


def drip_and_close(plug: socket.socket) -> None:
    plug.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    for _byte in range(3000):
        plug.sendall(b"x")
        time.sleep(0.02)


def drip_headers(plug: socket.socket) -> None:
    plug.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(3000):
        plug.sendall(f"X-{number}: y\r\n".encode())
        time.sleep(0.02)


def hang(plug: socket.socket) -> None:
    time.sleep(60)


@pytest.mark.parametrize("behaviour", [drip, drip_and_close, drip_headers, hang])
def test_who_hangs_or_drips_is_silent_in_time(site: Any, behaviour: Any) -> None:
    site.answers = [behaviour]
    began = time.monotonic()
    answer = get(site.url, 0.4)
    assert (answer.status, answer.error) == (None, "timeout")
    assert time.monotonic() - began < 15


def reset(plug: socket.socket) -> None:
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (lambda _plug: None, "closed"),
        (reset, "reset"),
        (lambda plug: plug.sendall(b"SSH-2.0-OpenSSH\r\n"), "malformed"),
        (lambda plug: plug.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), None),
    ],
)
def test_kinds_of_silence(site: Any, behaviour: Any, error: str | None) -> None:
    site.answers = [behaviour]
    assert get(site.url, 3).error == error


def test_nobody_listens_and_no_such_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert get(f"http://127.0.0.1:{port}/", 3).error == "refused"
    assert get("http://no-such-host.invalid/", 3).error == "unresolved"


def test_tls_that_is_none(site: Any) -> None:
    site.answers = [lambda plug: plug.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")]
    answer = get(site.url.replace("http:", "https:"), 1)
    assert answer.error in ("tls", "timeout", "reset", "closed")
    assert answer.status is None


@pytest.mark.parametrize("behaviour", [lambda _plug: None, lambda plug: plug.recv(9)])
def test_a_door_with_nobody_behind_says_nothing_of_a_certificate(site: Any, behaviour: Any) -> None:
    """As the engine's proxy does while its container comes up: it accepts, and closes at once."""
    with socket.create_server(("127.0.0.1", 0)) as door:

        def close_at_once() -> None:
            plug, _address = door.accept()
            with plug:
                behaviour(plug)

        threading.Thread(target=close_at_once, daemon=True).start()
        assert get(f"https://127.0.0.1:{door.getsockname()[1]}/", 2).error in ("closed", "reset")


def test_a_large_body_is_cut(site: Any) -> None:
    site.answers = [(200, b"x" * 300_000)]
    assert len(get(site.url, 3).body) == 65536


@pytest.mark.parametrize(
    "url", ["", "shop", "ftp://x/", "http://", "http://a b/", "http://x:99999/", "http://[::1", "http://u:p@x/"]
)
def test_urls_that_cannot_be_asked(url: str) -> None:
    with pytest.raises(BadUrl) as told:
        check_url(url)
    assert "u:p" not in str(told.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/api/health", "https://shop.example/", "http://[::1]:80/"])
def test_urls_that_can(url: str) -> None:
    check_url(url)


def an_answer(status: int | None = 200, body: str = "", error: str | None = None) -> Answer:
    return Answer("http://x/", status, 0.1, error, None, body, 0.0)


@pytest.mark.parametrize(
    ("wanted", "answer", "why"),
    [
        (Wanted(), an_answer(), None),
        (Wanted(), an_answer(503), "status 503 instead of 200"),
        (Wanted(), an_answer(None, error="refused"), "connection refused"),
        (Wanted(body_contains="ok"), an_answer(body="not OK"), "lacks 'ok'"),
        (Wanted(body_json={"status": "ok"}), an_answer(body='{"status":"ok","more":1}'), None),
        (Wanted(body_json={"status": "ok"}), an_answer(body='{"status":"bad"}'), 'status="bad" instead of "ok"'),
        (Wanted(body_json={"status": "ok"}), an_answer(body="[]"), "no 'status'"),
        (Wanted(body_json={"status": "ok"}), an_answer(body="<html>"), "not JSON"),
        (Wanted(body_json={"db": {"up": True}}), an_answer(body='{"db":{"up":1}}'), "instead of"),
        (Wanted(body_json={"db": {"up": True}}), an_answer(body='{"db":{"up":true,"x":2}}'), None),
        (Wanted(body_json={"n": 1}), an_answer(body='{"n":true}'), "instead of"),
    ],
)
def test_what_makes_an_answer_good(wanted: Wanted, answer: Answer, why: str | None) -> None:
    found = wanted.misses(answer)
    assert found is None if why is None else (found is not None and why in found)


class Clock:
    """Time that passes only while somebody waits or an answer takes its time."""

    def __init__(self, statuses: list[int], each: float = 0.0) -> None:
        self.now = 100.0
        self.statuses = statuses
        self.each = each

    def ask(self, _timeout: float) -> Answer:
        self.now += self.each
        status = self.statuses.pop(0) if self.statuses else 200
        return Answer("http://x/", status, self.each, None, None, "", self.now)

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def probe(self, count: int = 3, interval: float = 2.0, deadline: float = 20.0) -> dict[str, Any]:
        return probe(
            self.ask, "http://x/", Wanted(), count=count, interval=interval, deadline=deadline, timeout=3.0, wait=self.wait,
            monotonic=lambda: self.now,
        )  # fmt: skip


def test_a_row_of_good_answers_proves() -> None:
    found = Clock([200, 200, 200]).probe()
    assert (found["good"], found["streak"], found["asked"]) == (True, 3, 3)
    assert (found["first_good"], found["last_good"]) == (100.0, 104.0)
    assert found["sentence"] == "GET http://x/ 200 ×3 over 4 s"
    assert found["why"] is None


def test_a_bad_answer_starts_the_row_anew() -> None:
    found = Clock([200, 200, 503, 200, 200, 200]).probe()
    assert (found["good"], found["asked"], found["first_good"]) == (True, 6, 106.0)


def test_the_deadline_ends_it_and_says_why() -> None:
    clock = Clock([503] * 100)
    found = clock.probe(deadline=9.0)
    assert (found["good"], found["first_good"]) == (False, None)
    assert clock.now == 109.0
    assert found["asked"] == 5
    assert "status 503" in found["sentence"] and "status 503" in found["why"]


def test_good_but_not_often_enough() -> None:
    found = Clock([503, 503, 503, 503]).probe(deadline=9.0)
    assert (found["good"], found["streak"]) == (False, 1)
    assert "1 of 3" in found["sentence"]
    assert found["why"] == "only 1 good answers in a row"


def test_slow_answers_do_not_stretch_the_row() -> None:
    found = Clock([200] * 3, each=1.5).probe()
    assert found["last_good"] - found["first_good"] == 4.0
    slower = Clock([200] * 3, each=2.5).probe()
    assert slower["last_good"] - slower["first_good"] == 5.0


def test_one_answer_is_asked_for_in_any_case() -> None:
    assert Clock([200]).probe(count=1, deadline=0.0)["good"]
