# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on a port, by a /proc that changes while it is read."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _host_ports

WANTED = {"service": "prometheus", "address": "", "port": 9090, "protocol": "tcp"}
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
SOCKET = "   0: 00000000:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """One socket listens, and no process has it."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(HEAD + SOCKET)
    return tmp_path


def has_it(proc: Path, pid: str) -> None:
    (proc / pid / "fd").mkdir(parents=True)
    os.symlink("socket:[4711]", proc / pid / "fd/5")
    (proc / pid / "comm").write_text("docker-proxy\n")


def test_its_parent_is_named(proc: Path) -> None:
    has_it(proc, "77")
    assert _host_ports.holders([WANTED], str(proc))[0]["parent"] is None
    (proc / "77/stat").write_text("77 (a (proxy) x) S 12 77 77 0 -1\n")
    assert _host_ports.holders([WANTED], str(proc))[0]["parent"] == 12


def after_one_look(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: change())


def test_a_listener_without_a_process_stays_one(proc: Path) -> None:
    began = time.monotonic()
    (found,) = _host_ports.holders([WANTED], str(proc))
    assert (found["pid"], found["command"], found["address"]) == (None, None, "0.0.0.0")
    assert time.monotonic() - began < 15


def test_a_listener_that_is_gone_a_moment_later_is_none(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    after_one_look(monkeypatch, lambda: (proc / "net/tcp").write_text(HEAD))
    assert _host_ports.holders(iter([WANTED]), str(proc)) == []


def test_a_process_that_shows_a_moment_later_is_named(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    after_one_look(monkeypatch, lambda: has_it(proc, "77"))
    (found,) = _host_ports.holders([WANTED], str(proc))
    assert (found["pid"], found["command"]) == (77, "docker-proxy")


def test_who_is_seen_at_once_is_not_waited_for(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    has_it(proc, "77")
    after_one_look(monkeypatch, lambda: pytest.fail("it was waited for nothing"))
    assert [one["pid"] for one in _host_ports.holders([WANTED], str(proc))] == [77]
