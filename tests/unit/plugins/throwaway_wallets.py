# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wallets for tests: files that the stand-in for docker (wallet_docker.py) opens, and where it stands."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _wallet_proof

STAND_IN = Path(__file__).with_name("wallet_docker.py")
ADDRESS = "4Shared"


def keys(secret: str, password: str = "", address: str = ADDRESS) -> bytes:
    """Keys in the outer shape that Monero's have: a nonce, a length, and so many bytes."""
    said = json.dumps({"address": address, "secret": secret, "password": password}).ljust(200).encode()
    return bytes(8) + bytes([len(said) & 0x7F | 0x80, len(said) >> 7]) + said


def cache(height: int) -> bytes:
    return json.dumps({"height": height}).encode()


def make(folder: Path, name: str, secret: str, height: int | None = 101, password: str = "") -> Path:
    """A wallet in a folder; its base path."""
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / name
    Path(f"{base}.keys").write_bytes(keys(secret, password))
    if height is not None:
        base.write_bytes(cache(height))
    return base


class Docker:
    """The stand-in: its moods, and what it was asked."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def mood(self, mood: str) -> None:
        (self.home / "mood").write_text(mood, encoding="ascii")

    @property
    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.home / "calls").read_text(encoding="utf-8").splitlines()]

    @property
    def runs(self) -> bool:
        """Whether the throw-away is at work."""
        note = self.home / "running"
        if not note.exists():
            return False
        state = Path("/proc") / note.read_text(encoding="ascii") / "stat"
        return state.exists() and ") Z" not in state.read_text(encoding="ascii")


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """Put the stand-in where `docker` is looked for; it listens beside us, not in a network of its own."""
    programs, home = folder / "programs", folder / "docker"
    programs.mkdir(parents=True)
    home.mkdir()
    (programs / "docker").write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n', encoding="utf-8")
    (programs / "docker").chmod(0o755)
    timeout = shutil.which("timeout")
    assert timeout is not None
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), os.environ["PATH"]]))
    monkeypatch.setenv("WALLET_DOCKER", str(home))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(_wallet_proof, "PORT", free.getsockname()[1])
    monkeypatch.setattr(
        _wallet_proof, "_connected", lambda _pid, port, seconds: socket.create_connection(("127.0.0.1", port), seconds)
    )
    return Docker(home)
