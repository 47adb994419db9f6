# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""One GET, bounded in time as a whole and in size, and what a row of them proves."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any, Callable
from urllib.parse import urlsplit

from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_clock import clock_time
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, clean_text

BODY_LIMIT = 64 * 1024

SAYS = {
    "refused": "connection refused",
    "timeout": "no answer in time",
    "tls": "the TLS handshake failed",
    "reset": "connection reset",
    "closed": "the connection was closed without an answer",
    "unresolved": "the name does not resolve",
    "unreachable": "no route to the host",
    "malformed": "the answer is not HTTP",
}


@dataclass
class Answer:
    """status is None where no HTTP answer came; error then says what kind of silence it was."""

    url: str
    status: int | None
    seconds: float
    error: str | None
    detail: str | None
    body: str
    time: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class BadUrl(ValueError):
    """The URL cannot be asked at all."""


def check_url(url: str) -> None:
    """Refuse what is no http(s) URL, before anything is asked."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in url):
        raise BadUrl(f"'{clean_line(url, 200)}' is no URL: it needs the form http://host:port/path.")
    if parts.username is not None or parts.password is not None:
        raise BadUrl(f"The URL of {parts.hostname} carries a login: it would show in records; leave it out.")


def get(
    url: str, timeout: float, *, validate_certs: bool = True, host_header: str | None = None, limit: int = BODY_LIMIT
) -> Answer:
    """Ask once. A redirect is an answer like any other; a server that drips bytes does not outlast the timeout."""
    began = time.monotonic()
    now = time.time()
    # Made only where it is needed: it reads all authorities of the system.
    context = tls_context(validate_certs) if url.startswith("https:") else None
    try:
        status, raw = fetch(url, timeout, context, host_header=host_header, limit=limit)
    except (OSError, http.client.HTTPException) as silence:
        error, detail = _classify(silence)
        return Answer(url, None, round(time.monotonic() - began, 3), error, detail, "", now)
    return Answer(url, status, round(time.monotonic() - began, 3), None, None, raw.decode("utf-8", "replace"), now)


def tls_context(validate_certs: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def fetch(
    url: str,
    timeout: float,
    context: ssl.SSLContext | None = None,
    *,
    form: str | None = None,
    host_header: str | None = None,
    limit: int = BODY_LIMIT,
) -> tuple[int, bytes]:
    """Status and the first bytes of the body, up to the limit; with a form it is posted. Raises OSError or HTTPException."""
    deadline = time.monotonic() + timeout
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=_left(deadline), context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=_left(deadline))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"User-Agent": "monero_marketplace.incident", "Accept": "application/json, */*", "Connection": "close"}
    if host_header:
        headers["Host"] = host_header
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    # A timeout of the socket begins anew with each byte, those of a handshake too; this one does not.
    # The connection forgets its socket when the answer says that it ends with it.
    plugs: list[socket.socket] = []
    cut = threading.Timer(_left(deadline), lambda: _cut([*plugs, connection.sock]))
    cut.daemon = True
    cut.start()
    try:
        connection.connect()
        plugs.append(connection.sock)
        connection.request("GET" if form is None else "POST", target, body=form, headers=headers)
        with connection.getresponse() as reply:
            body = bytearray()
            while len(body) < limit and not reply.isclosed():
                chunk = reply.read1(min(65536, limit - len(body)))
                if not chunk:
                    break
                body += chunk
            _left(deadline)  # what was cut off is no answer
            return reply.status, bytes(body)
    except (OSError, http.client.HTTPException):
        _left(deadline)
        raise
    finally:
        cut.cancel()
        connection.close()


def _cut(plugs: list[Any]) -> None:
    for plug in plugs:
        with contextlib.suppress(OSError):  # it ended by itself in this very moment
            if plug is not None:
                plug.shutdown(socket.SHUT_RDWR)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


def _classify(silence: OSError | http.client.HTTPException) -> tuple[str, str]:
    detail = clean_line(str(silence) or type(silence).__name__, 200)
    if isinstance(silence, ssl.SSLCertVerificationError):
        return "tls", clean_line(silence.verify_message or detail, 200)
    kinds: tuple[tuple[type[BaseException], str], ...] = (
        # Nobody behind it is no word about a certificate: a proxy of the engine accepts before its container listens.
        (ssl.SSLZeroReturnError, "closed"),
        (ssl.SSLEOFError, "closed"),
        (ssl.SSLError, "tls"),
        (socket.timeout, "timeout"),
        (ConnectionRefusedError, "refused"),
        (http.client.RemoteDisconnected, "closed"),
        (http.client.IncompleteRead, "closed"),
        (ConnectionError, "reset"),
        (socket.gaierror, "unresolved"),
        (http.client.HTTPException, "malformed"),
    )
    for kind, error in kinds:
        if isinstance(silence, kind):
            if kind is ssl.SSLError and "timed out" in detail:
                return "timeout", detail
            return error, detail
    return "unreachable", detail


@dataclass(frozen=True)
class Wanted:
    """What makes an answer good."""

    status: int = 200
    body_contains: str | None = None
    body_json: dict[str, Any] | None = None

    def misses(self, answer: Answer) -> str | None:
        """Why the answer is not good; None where it is."""
        if answer.error is not None:
            return answer.detail if answer.error == "tls" and answer.detail else SAYS[answer.error]
        if answer.status != self.status:
            return f"status {answer.status} instead of {self.status}"
        if self.body_contains is not None and self.body_contains not in answer.body:
            return f"the body lacks '{clean_line(self.body_contains, 60)}'"
        if self.body_json is not None:
            return self._misses_json(answer.body)
        return None

    def _misses_json(self, body: str) -> str | None:
        try:
            found = json.loads(body)
        except ValueError:
            return "the body is not JSON"
        for key, value in (self.body_json or {}).items():
            if not isinstance(found, dict) or key not in found:
                return f"the body has no '{clean_line(str(key), 60)}'"
            if not _holds(value, found[key]):
                return f"the body says {key}={clean_line(json.dumps(found[key]), 60)} instead of {json.dumps(value)}"
        return None


def _holds(wanted: Any, found: Any) -> bool:
    """Every key of a wanted dictionary is there with its value; anything else is equal, and true is not 1."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(key in found and _holds(value, found[key]) for key, value in wanted.items())
    return bool(wanted == found and isinstance(wanted, bool) == isinstance(found, bool))


def probe(
    ask: Callable[[float], Answer],
    url: str,
    wanted: Wanted,
    *,
    count: int,
    interval: float,
    deadline: float,
    timeout: float,
    wait: Callable[[float], None],
    monotonic: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Ask until enough good answers came in a row or the time is over; a bad one starts the row anew.

    Questions are spaced by their beginnings, so a slow answer does not stretch the row.
    """
    over = monotonic() + deadline
    good: list[Answer] = []
    answers: list[dict[str, Any]] = []
    last: Answer | None = None
    why: str | None = None
    while len(good) < count:
        began = monotonic()
        if last is not None and began >= over:
            break
        last = ask(max(0.05, min(timeout, over - began)))
        why = wanted.misses(last)
        good = [] if why else [*good, last]
        answers.append(
            {
                "time": last.time,
                "status": last.status,
                "seconds": last.seconds,
                "error": last.error,
                "good": why is None,
                "why": why,
            }
        )
        if len(good) < count:
            pause = min(began + interval, over) - monotonic()
            if pause > 0:
                wait(pause)
    proven = len(good) >= count
    return {
        "url": url,
        "good": proven,
        "streak": len(good),
        "answers": answers[-50:],
        "asked": len(answers),
        "first_good": good[0].time if good else None,
        "last_good": good[-1].time if good else None,
        "status": last.status if last else None,
        "error": last.error if last else None,
        "body": clean_text(last.body) if last else "",
        "why": None if proven else (why or f"only {len(good)} good answers in a row"),
        "sentence": _sentence(url, good, count, len(answers), why, deadline),
    }


def silent(url: str, deadline: float) -> dict[str, Any]:
    """The verdict on a URL whose name was not even resolved when the time was over."""
    return {
        "url": url,
        "good": False,
        "streak": 0,
        "answers": [],
        "asked": 0,
        "first_good": None,
        "last_good": None,
        "status": None,
        "error": "timeout",
        "body": "",
        "why": SAYS["timeout"],
        "sentence": f"GET {url}: {SAYS['timeout']} ({deadline:.0f} s)",
    }


def _sentence(url: str, good: list[Answer], count: int, asked: int, why: str | None, deadline: float) -> str:
    if len(good) >= count:
        status = good[-1].status
        return f"GET {url} {status}" + (f" ×{count} over {good[-1].time - good[0].time:.0f} s" if count > 1 else "")
    if why is None:
        since = clock_time(good[0].time)
        return f"GET {url}: good since {since}, but only {len(good)} of {count} times when {deadline:.0f} s were over"
    return f"GET {url}: {why} (asked {asked} times in {deadline:.0f} s)"
