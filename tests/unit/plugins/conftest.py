# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of a real host, recorded in the lab, one file for each."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _backup_retention

RECORDED = Path(__file__).parent / "recorded"
# Where the project lay when it was recorded.
RECORDED_DIR = "/opt/marketplace/4.5/docker"


@pytest.fixture
def recorded() -> Callable[[str], str]:
    """The text of a recorded answer."""
    return lambda name: (RECORDED / name).read_text(encoding="utf-8")


@pytest.fixture
def recorded_look(recorded: Callable[[str], str]) -> Callable[[str], dict[str, Any]]:
    """What compose_info found under a fault of the lab; a fresh copy each time."""
    return lambda fault: dict(json.loads(recorded(f"look_{fault}.json")))


@pytest.fixture
def no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few archives stand for those that were made between them too."""
    monkeypatch.setattr(_backup_retention, "COUNTED", 1e9)


class FakeEngine:
    """A docker (and systemctl, dmesg, journalctl) on PATH that repeats recorded answers and notes what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.answers = folder / "answers"
        self.answers.mkdir()
        self.calls_file = folder / "calls"
        self.calls_file.touch()
        bin_folder = folder / "bin"
        bin_folder.mkdir()
        self.path = str(bin_folder)
        for command in ("docker", "systemctl", "dmesg", "journalctl"):
            script = bin_folder / command
            script.write_text(
                "#!/bin/sh\n"
                f'echo "{command} $*" >> {self.calls_file}\n'
                f'name="{command}_$1"; case "$1" in compose|image|system) name="{command}_$1_$2";; "") name={command};; esac\n'
                f"answer={self.answers}/$name\n"
                '[ -e "$answer.sh" ] && exec sh "$answer.sh" "$@"\n'
                '[ -e "$answer" ] && exec cat "$answer"\n'
                'echo "no answer recorded for $name" >&2; exit 9\n'
            )
            script.chmod(0o755)

    def says(self, question: str, text: str) -> None:
        (self.answers / question).write_text(text, encoding="utf-8")

    def does(self, question: str, script: str) -> None:
        (self.answers / f"{question}.sh").write_text(script, encoding="utf-8")

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines()


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: Callable[[str], str]) -> FakeEngine:
    """A healthy engine as the lab's was, with the containers of fault containers-exited."""
    folder = tmp_path / "engine"
    folder.mkdir()
    fake = FakeEngine(folder)
    monkeypatch.setenv("PATH", f"{fake.path}:/usr/bin:/bin")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    fake.says("docker_compose_config", recorded("compose_config.json").replace(RECORDED_DIR, str(tmp_path / "project")))
    fake.says("docker_compose_version", "5.6.1\n")
    fake.says("docker_info", '{"errors":null,"version":"20.10.24","root_dir":"/","live_restore":false}\n')
    containers = json.loads(recorded("inspect_containers_exited.json"))
    fake.says("docker_ps", "".join(f"{one['Id']}\n" for one in containers))
    fake.says("docker_inspect", json.dumps(containers))
    fake.says("docker_image_inspect", recorded("image_inspect.json"))
    fake.says("docker_logs", "a line\n\x1b[31manother\x1b[0m\n")
    fake.says("systemctl_show", recorded("systemctl_show.txt"))
    fake.says("dmesg", "[    1.0] nothing about memory\n")
    return fake


@pytest.fixture
def project_dir(tmp_path: Path) -> str:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "docker-compose.yml").write_text("services: {}\n")
    (folder / "secrets").mkdir()
    (folder / "secrets/wallet_rpc_login").write_text("rpc-login=user:password\n")
    return str(folder)


class Site:
    """A web server that answers what it is told; a callable gets the raw connection."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plug, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(plug,), daemon=True).start()

    def _answer(self, plug: socket.socket) -> None:
        with plug, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                request += plug.recv(65536)
            # A body left unread would turn the closing of the connection into a reset, and cut our answer.
            told = re.search(rb"(?i)\r\ncontent-length: *(\d+)", request)
            while told and len(request.partition(b"\r\n\r\n")[2]) < int(told[1]):
                request += plug.recv(65536)
            self.asked.append(request.decode())
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if callable(answer):
                answer(plug)
                return
            status, body = answer
            plug.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.close()


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A keyring with one key, and its agent, which ends with the test."""
    home = tmp_path / "g"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    make = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "backup@example.org", "rsa2048", "encrypt", "never"]
    subprocess.run(make, check=True, capture_output=True)
    yield "backup@example.org"
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "gpg-agent"], check=True)
