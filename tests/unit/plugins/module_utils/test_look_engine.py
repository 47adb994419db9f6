# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's process, its firewall rules and the boot, as a look sees them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _compose_engine,
    _engine_files,
    _engine_process,
    _look_engine,
)

# Of the lab's host, shortened.
NAT = """-P PREROUTING ACCEPT
-P POSTROUTING ACCEPT
-N DOCKER
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i br-b0077c3a697b -p tcp -m tcp --dport 443 -j DNAT --to-destination 172.19.0.4:443
"""
FORWARD = "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -o docker0 -j DOCKER\n"
FORWARD_28 = "-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-FORWARD\n"


@pytest.mark.parametrize(
    ("nat", "forward", "count"),
    [
        (NAT, FORWARD, 0),
        (NAT, FORWARD_28, 0),
        ("-P PREROUTING ACCEPT\n", "-P FORWARD ACCEPT\n", 3),
        # `iptables -F` empties the chains and leaves them there.
        ("-P PREROUTING ACCEPT\n-N DOCKER\n", "-P FORWARD DROP\n", 2),
        (NAT, "-P FORWARD DROP\n", 1),
        ("-N DOCKER-SOMETHING\n-A PREROUTING -j DOCKER-SOMETHING\n", FORWARD, 2),
    ],
)
def test_rules_that_are_gone(nat: str, forward: str, count: int) -> None:
    assert len(_look_engine.missing_rules(nat, forward)) == count


class Firewall:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def says(self, command: str, nat: str, forward: str, times: int = 1000) -> None:
        """These rules at first; the whole ones after so many questions."""
        script = self.folder / command
        script.write_text(
            f"#!/bin/sh\necho x >> {self.folder}/{command}.asked\n"
            f"[ $(wc -l < {self.folder}/{command}.asked) -le {times} ] || {{ printf '%s' '{NAT}{FORWARD}'; exit 0; }}\n"
            f"case \"$*\" in *nat*) printf '%s' '{nat}';; *) printf '%s' '{forward}';; esac\n"
        )
        script.chmod(0o755)


@pytest.fixture
def firewall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Firewall:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(_look_engine, "SECOND_ASKING_AFTER", 0.0)
    monkeypatch.setattr(_look_engine, "SETTINGS", str(tmp_path / "daemon.json"))
    return Firewall(tmp_path / "bin")


def test_whole_rules(firewall: Firewall) -> None:
    firewall.says("iptables", NAT, FORWARD)
    assert _look_engine.firewall(3) == {"missing": []}


def test_flushed_rules(firewall: Firewall) -> None:
    firewall.says("iptables", "", "")
    found = _look_engine.firewall(3)
    assert found is not None and found["missing"][0] == "nat has no chain DOCKER"


def test_rules_that_come_a_moment_later_are_whole(firewall: Firewall) -> None:
    firewall.says("iptables", "", "", times=2)
    assert _look_engine.firewall(3) == {"missing": []}


def test_rules_of_the_other_kind_serve_as_well(firewall: Firewall) -> None:
    firewall.says("iptables", "", "")
    firewall.says("iptables-legacy", NAT, FORWARD)
    assert _look_engine.firewall(3) == {"missing": []}


def test_without_a_word_of_iptables_nothing_is_known(firewall: Firewall) -> None:
    assert _look_engine.firewall(3) is None
    script = firewall.folder / "iptables"
    script.write_text("#!/bin/sh\necho 'Permission denied' >&2; exit 4\n")
    script.chmod(0o755)
    assert _look_engine.firewall(3) is None


@pytest.mark.parametrize("settings", ['{"iptables": false}', '{"firewall-backend": "nftables"}'])
def test_a_daemon_that_makes_no_rules_misses_none(firewall: Firewall, tmp_path: Path, settings: str) -> None:
    firewall.says("iptables", "", "")
    (tmp_path / "daemon.json").write_text(settings)
    assert _look_engine.firewall(3) is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('{"iptables": true}', None),
        ('{"iptables": true\nx}', "is no JSON at line 2, column 1"),
        ("[]", "holds no JSON object"),
        ("\udcff", "cannot be read"),
        (None, None),
    ],
)
def test_settings_with_which_no_daemon_starts(tmp_path: Path, settings: str | None, words: str | None) -> None:
    path = tmp_path / "daemon.json"
    if settings is not None:
        path.write_bytes(settings.encode("utf-8", "surrogateescape"))
    problem = _look_engine.settings_problem(str(path))
    assert problem is None if words is None else words in str(problem)


@pytest.fixture
def dockerd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A process of that name, whose pid the daemon's file tells."""
    program = tmp_path / "dockerd"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    process = subprocess.Popen([str(program), "60"])
    (tmp_path / "docker.pid").write_text(f"{process.pid}\n")
    monkeypatch.setattr(_engine_process, "PID_FILE", str(tmp_path / "docker.pid"))
    monkeypatch.setattr(_engine_process, "SECOND_LOOK_AFTER", 0.05)
    yield process
    process.kill()
    process.wait()


def halt(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)


def test_a_halted_daemon_is_not_even_asked(dockerd: subprocess.Popen[bytes], engine: Any) -> None:
    assert _engine_process.halted() is None
    halt(dockerd)
    found = _compose_engine.read_daemon(3)
    assert (found.state, found.detail) == ("not_responding", f"dockerd (pid {dockerd.pid}) is halted by a signal (state T)")
    assert not [call for call in engine.calls if call.startswith("docker info")]
    assert _engine_process.describe()["state"] == "T"


def test_a_pid_file_of_another_process_names_no_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Any) -> None:
    (tmp_path / "docker.pid").write_text(str(os.getpid()))
    monkeypatch.setattr(_engine_process, "PID_FILE", str(tmp_path / "docker.pid"))
    assert _engine_process.daemon_pid() is None


def test_an_engine_elsewhere_is_no_process_of_this_host(
    dockerd: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2376")
    halt(dockerd)
    assert _engine_process.halted() is None
    found = _look_engine.look("running", "/nonexistent", "/nonexistent", 1)
    assert (found["firewall"], found["living"], found["process"]) == (None, None, None)


def test_who_lives_is_looked_for_where_it_matters(monkeypatch: pytest.MonkeyPatch, engine: Any) -> None:
    asked: list[str] = []
    monkeypatch.setattr(_engine_files, "living", lambda root: asked.append(root) or [])
    monkeypatch.setattr(_look_engine, "firewall", lambda _timeout: {"missing": []})
    assert _look_engine.look("running", "/root", "/nonexistent", 1)["living"] is None
    monkeypatch.setattr(_look_engine, "firewall", lambda _timeout: {"missing": ["nat has no chain DOCKER"]})
    assert _look_engine.look("running", "/flushed", "/nonexistent", 1)["living"] == []
    assert _look_engine.look("stopped", "/dead", "/nonexistent", 1)["living"] == []
    assert asked == ["/flushed", "/dead"]


def test_the_boot_is_that_of_this_host_and_not_of_the_machine_around_it() -> None:
    booted = _look_engine.look("running", "/", "/", 1)["booted_at"]
    assert booted is not None and booted.endswith("Z")
