# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's names: by content, by caller, by port; no container is started here."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import places, ports
from lab.content import digest
from lab.errors import LabError
from lab.host_container import INSIDE_PORTS
from lab.instance import command, ssh_options


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setattr(places, "LONGEST_HOME", 500)
    monkeypatch.setenv("MARKETPLACE_LAB_HOME", str(folder))
    return folder


def test_the_same_content_has_the_same_name_wherever_it_lies(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub/file").write_text("same")
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "file").write_text("other"),
        lambda folder: (folder / "file").chmod(0o755),
        lambda folder: (folder / "file").rename(folder / "moved"),
        lambda folder: (folder / "more").write_text(""),
    ],
    ids=["content", "mode", "name", "one more"],
)
def test_any_change_of_an_input_changes_the_name(tmp_path: Path, change: Callable[[Path], object]) -> None:
    (tmp_path / "file").write_text("same")
    before = digest(tmp_path)
    change(tmp_path)
    assert digest(tmp_path) != before


def test_what_tools_leave_beside_the_sources_changes_no_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("same")
    before = digest(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/file.pyc").write_text("compiled")
    assert digest(tmp_path) == before


@pytest.mark.parametrize("name", ["m", "Market", "market_1", "market 1", "../market", "1market", "market-", "m" * 32])
def test_a_name_that_is_no_host_name_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(LabError, match=r"cannot be a host name.*LAB=market-2"):
        places.checked_name(name)


def test_a_home_too_long_for_a_socket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARKETPLACE_LAB_HOME", "/" + "long/" * 20)
    with pytest.raises(LabError, match="set it to a shorter path"):
        places.home()


def test_ports_of_another_lab_and_ports_in_use_are_left_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(ports, "FIRST", taken - 2)
        (home / "labs/market-1").mkdir(parents=True)
        planned = {name: taken + 8 + offset for offset, name in enumerate(INSIDE_PORTS)}
        (home / "labs/market-1/state.json").write_text(json.dumps({"ports": planned}))
        chosen = ports.free_ports()
    assert chosen["ssh"] >= taken + 18
    assert list(chosen) == list(INSIDE_PORTS)
    assert len(set(chosen.values())) == len(INSIDE_PORTS)


def test_commands_are_shown_as_a_person_would_type_them() -> None:
    assert command("market-1", "up") == "script/lab up"
    assert command("market-2", "break", "hung") == "LAB=market-2 script/lab break hung"


def test_the_host_is_known_before_the_first_connection(tmp_path: Path) -> None:
    state = {"ssh_key": str(tmp_path / "ssh/id"), "known_hosts": str(tmp_path / "ssh/known"), "ports": {"ssh": 20100}}
    options = ssh_options(state)
    assert "StrictHostKeyChecking=yes" in options
    assert f"UserKnownHostsFile={tmp_path / 'ssh/known'}" in options
