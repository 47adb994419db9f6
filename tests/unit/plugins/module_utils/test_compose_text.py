# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from outside, times, secrets: what is shown of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_clock as clock
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_secrets as secrets
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _compose_text as text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07words", "words"),
        (b"a\x00b\x08c", "abc"),
        (b"\xff\xfe not utf-8", "\ufffd\ufffd not utf-8"),
        ("{{ lookup('pipe', 'x') }}", "{{ lookup('pipe', 'x') }}"),
        ("turned \u202eround", "turned round"),
        ("tab\there  ", "tab here"),
        ("x" * 100_000, "x" * 499 + "…"),
    ],
)
def test_lines_are_plain(raw: bytes | str, clean: str) -> None:
    assert text.clean_line(raw) == clean


def test_lines_are_counted_from_the_end() -> None:
    raw = b"one\r\ntwo\n\n  \nthree\rfour"
    assert text.clean_lines(raw) == ["one", "two", "three", "four"]
    assert text.clean_lines(raw, last=2) == ["three", "four"]
    assert text.clean_lines(raw, last=0) == []
    assert len(text.clean_text("long\n" * 1000)) <= 2000


def test_a_repeated_line_is_shown_once() -> None:
    assert text.without_repetition(["a", "b", "b", "b", "a"]) == ["a", "b (×3)", "a"]
    assert text.without_repetition([]) == []


def test_a_command_s_words_show_no_login() -> None:
    assert text.sentence_from(b"cannot reach https://user:pass@host/x\n") == "cannot reach https://…@host/x"


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (1023, "1023 B"), (2048, "2.0 KiB"), (1.5 * 1024**3, "1.5 GiB"), (5e13, "45.5 TiB")]
)
def test_sizes(size: float, words: str) -> None:
    assert text.human_bytes(size) == words


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        ("1970-01-01T00:00:10Z", 10.0),
        ("1970-01-01T00:00:10.5Z", 10.5),
        ("1970-01-01T02:00:10+02:00", 10.0),
        ("1969-12-31T22:30:10-01:30", None),
        ("2026-11-24T11:00:00.123456789Z", 1795518000.123456789),
        ("0001-01-01T00:00:00Z", None),
        ("2026-13-01T00:00:00Z", None),
        ("now", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_the_engines_times(stamp: Any, seconds: float | None) -> None:
    assert clock.epoch(stamp) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("2s", 2.0), ("1m30s", 90.0), ("1h", 3600.0), ("500ms", 0.5), ("", None), ("soon", None), (3, None)],
)
def test_composes_durations(written: Any, seconds: float | None) -> None:
    assert clock.duration(written) == seconds


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.3, "0.3 s"), (16, "16 s"), (60, "1 m"), (440, "7 m 20 s"), (3600, "1 h"), (4200, "1 h 10 m")]
)
def test_durations_for_people(seconds: float, words: str) -> None:
    assert clock.human_seconds(seconds) == words


def test_times_for_people() -> None:
    assert clock.utc(1795518000) == "2026-11-24T11:00:00Z"
    assert clock.clock_time(1795518000) == "11:00:00 UTC"


def a_container(environment: list[str], command: list[str]) -> dict[str, Any]:
    return {
        "Id": "1",
        "Args": command,
        "Config": {"Env": environment, "Cmd": command, "Healthcheck": {"Test": ["CMD-SHELL", "curl -u x --token=abcdefg y"]}},
    }


def test_settings_are_kept_without_their_secrets() -> None:
    container = a_container(
        ["DATABASE_PASSWORD=hunter2hunter2", "EMPTY", "A=b=c"],
        [
            "monero-wallet-rpc",
            "--rpc-login",
            "shop:pa55word",
            "--api-token=tok3ntok3n",
            "http://u:p4ss@db/",
            "sh -c SECRET_KEY=qwertz1 x",
        ],
    )
    kept = json.dumps(secrets.redacted(container))
    for value in ("hunter2", "pa55word", "tok3n", "p4ss", "qwertz1", "abcdefg", "b=c"):
        assert value not in kept
    for name in ("DATABASE_PASSWORD", "--rpc-login", "--api-token", "monero-wallet-rpc"):
        assert name in kept
    assert container["Config"]["Env"][0].endswith("hunter2hunter2")  # the original is not touched


def test_known_secrets_are_masked_wherever_they_appear() -> None:
    values = secrets.secret_values(
        [
            a_container(
                ["DATABASE_PASSWORD=hunter2hunter2", "API_KEY=short", "KEY_FILE=/run/secrets/key", "PORT=8080"],
                ["x", "--rpc-login", "shop:pa55word"],
            )
        ]
    )
    assert values == ["hunter2hunter2", "pa55word"]
    assert secrets.masked("cannot open with 'hunter2hunter2'", values) == "cannot open with '<redacted>'"


def test_a_recorded_container_keeps_its_shape(recorded: Callable[[str], str]) -> None:
    for container in json.loads(recorded("inspect_paused.json")):
        safe = secrets.redacted(container)
        assert safe["State"] == container["State"]
        assert all(entry.endswith("=<redacted>") for entry in safe["Config"]["Env"])
