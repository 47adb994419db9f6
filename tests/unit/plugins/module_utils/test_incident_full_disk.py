# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that is full at any step: one sentence, everything that was there as it was, and a later run goes on."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_desk as desk
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_guard as guard
from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_holds as holds
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import sentence_for
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_host import Places
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_record import Said, record
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_refusals import Request

Act = Callable[[Path], Any]


def said(**changes: Any) -> Said:
    known: dict[str, Any] = {"host": "market-1", "playbook": "outage", "responder": "alice", "run_id": "run-1", "event": "note",
                             "text": "x" * 300, "open": True}  # fmt: skip
    return Said(**{**known, **changes})


def places(folder: Path) -> Places:
    return Places(state_dir=str(folder / "state"), lease_dir=str(folder / "run"))


def request(**changes: Any) -> Request:
    known: dict[str, Any] = {"responder": "alice", "controller": "c", "run_id": "run-1", "playbook": "outage", "action": "a",
                             "wait_for_orphan_seconds": 0, "hold_name": "x", "reason": "y"}  # fmt: skip
    return Request(**{**known, **changes})


def write_entry(folder: Path) -> Any:
    return record(str(folder / "desk"), said())


def take_lease(folder: Path) -> Any:
    return guard.acquire(places(folder), request())


def place_hold(folder: Path) -> Any:
    return holds.place(places(folder), request())


def lift_hold(folder: Path) -> Any:
    return holds.lift(places(folder), request())


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.endswith(".lock")}  # fmt: skip


def full_from(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """From this effect on there is no room: half of a write still fits, then nothing; what needs no room works."""
    count = 0
    real_write, real_open, real_mkdir, real_fsync = os.write, os.open, os.mkdir, os.fsync

    def full() -> bool:
        nonlocal count
        count += 1
        return count >= step

    def no_room(path: Any = None) -> OSError:
        return OSError(errno.ENOSPC, "No space left on device", path)

    def write(handle: int, data: bytes) -> int:
        if not full():
            return real_write(handle, data)
        if count == step:
            return real_write(handle, data[: len(data) // 2])
        raise no_room()

    def fsync(handle: int) -> None:
        # A directory's content needs no room at its fsync; a file's may.
        if full() and os.path.isfile(f"/proc/self/fd/{handle}"):
            raise no_room()
        real_fsync(handle)

    def make(path: Any, *more: Any, **named: Any) -> int:
        if more and more[0] & os.O_CREAT and not os.path.exists(path) and full():
            raise no_room(path)
        return real_open(path, *more, **named)

    def mkdir(path: Any, *more: Any, **named: Any) -> None:
        if not os.path.exists(path) and full():
            raise no_room(path)
        real_mkdir(path, *more, **named)

    for name, deed in (("write", write), ("fsync", fsync), ("open", make), ("mkdir", mkdir)):
        monkeypatch.setattr(os, name, deed)


def fresh(_folder: Path) -> None:
    """Nothing there yet."""


def with_records(folder: Path) -> None:
    for number in range(3):
        record(str(folder / "desk"), said(text=f"before {number}"))


def with_lease(folder: Path) -> None:
    granted = guard.acquire(places(folder), request(run_id="run-0"))
    guard.release(places(folder), request(run_id="run-0", token=granted["token"]))


def with_hold(folder: Path) -> None:
    place_hold(folder)


CASES: dict[str, tuple[Callable[[Path], None], Act]] = {
    "first entry": (fresh, write_entry),
    "further entry": (with_records, write_entry),
    "first lease": (fresh, take_lease),
    "further lease": (with_lease, take_lease),
    "hold": (fresh, place_hold),
    "release": (with_hold, lift_hold),
}


@pytest.mark.parametrize(("prepare", "act"), CASES.values(), ids=CASES)
def test_full_at_any_step(tmp_path, monkeypatch, prepare, act):
    step, sentence = 0, ""
    while True:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        prepare(folder)
        before = content(folder)
        with monkeypatch.context() as patch:
            full_from(patch, step)
            try:
                act(folder)
                break
            except OSError as problem:
                sentence = sentence_for(problem)
        assert sentence.startswith(f"No space is left for {folder}"), f"step {step}: {sentence}"
        after = content(folder)
        # A token that was counted up but not given out is no loss.
        changed = {name for name in before if after.get(name) != before[name]} - {"state/fencing.json", "state/attempts.json"}
        assert changed == set(), f"step {step}"
        assert [name for name in after if Path(name).name.startswith(".")] == [], f"step {step}"
        assert all(one["intact"] for one in desk.look(str(folder / "desk"), "market-1", 3600)["incidents"])
        act(folder)
        assert all(one["intact"] and not one["torn"] for one in desk.look(str(folder / "desk"), "market-1", 3600)["incidents"])
    assert step > 4


def test_an_incident_that_could_not_begin_leaves_no_folder(tmp_path, monkeypatch):
    desk_dir = tmp_path / "desk"
    desk_dir.mkdir()
    for step in range(1, 8):
        with monkeypatch.context() as patch:
            full_from(patch, step)
            with pytest.raises(OSError, match="No space"):
                write_entry(tmp_path)
        folders = [path for path in desk_dir.iterdir() if path.is_dir()]
        assert all((path / "incident.json").exists() for path in folders), f"step {step}"
