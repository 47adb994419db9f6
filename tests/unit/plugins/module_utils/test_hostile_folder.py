# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database's folder is the application's. Whoever has taken that over names files there as he likes, and we read them as root."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.database_restores import do, make, wanted

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _database_keep,
    _database_plan,
    _database_shelf,
    _sqlite_ask,
    _sqlite_copy,
    _sqlite_look,
    _wallet_files,
    _wallet_proof,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_files import (
    name_of_handle,
    open_regular,
    stranger_on_the_way,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_copy import NoCopy
from ansible_collections.monero_marketplace.incident.plugins.module_utils._wallet_swap import NotRestored

STRANGER = 10001
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a folder is given to another user")
COUNT = {"name": "new", "sql": "SELECT count(*) FROM orders WHERE note = 'new'"}


def half_written(folder: Path, names: Path, committed: bool = False) -> str:
    """A database whose rows are changed on the disk, with the journal that has them as they were and names another file at its end."""
    folder.mkdir(parents=True)
    path = folder / "marketplace.db"
    with closing(sqlite3.connect(folder / "work.db", isolation_level=None)) as work:
        work.executescript("PRAGMA synchronous=OFF; CREATE TABLE orders(id INTEGER PRIMARY KEY, note TEXT);")
        work.executemany("INSERT INTO orders(note) VALUES (?)", [("old",)] * 50)
        work.execute("PRAGMA cache_size=1")
        work.execute("BEGIN IMMEDIATE")
        work.execute("UPDATE orders SET note = 'new'")
        journal = (folder / "work.db-journal").read_bytes()
        work.execute("COMMIT")
    shutil.move(folder / "work.db", path)
    name = os.fsencode(names)
    numbers = len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big")
    joined = (2**30 // 4096 + 1).to_bytes(4, "big") + name + numbers + _sqlite_copy._JOINED
    Path(f"{path}-journal").write_bytes(journal + joined)
    return str(path)


def asked(path: str, scratch: Path) -> dict[str, Any]:
    return _sqlite_ask.ask(path, [COUNT], str(scratch), _sqlite_ask.Bounds())


def looked(path: str, scratch: Path, frozen: bool = True) -> dict[str, Any]:
    options = _sqlite_look.Options(scratch_dir=str(scratch), frozen=frozen, copy_seconds=5.0, lock_seconds=0.2)
    return _sqlite_look.look(path, options)


@pytest.mark.parametrize("how", [asked, looked])
def test_a_file_that_a_journal_names_stays(tmp_path: Path, how: Callable[..., dict[str, Any]]) -> None:
    victim = tmp_path / "freezes" / "payouts.json"
    victim.parent.mkdir()
    victim.write_text("{}")
    path = half_written(tmp_path / "data", victim)
    assert how(path, tmp_path / "scratch")["state"] in ("read", "ok")
    assert victim.exists()


@pytest.mark.parametrize(("there", "new"), [("absolute", 0), ("beside", 0), ("gone", 50)])
def test_without_the_file_that_joins_it_a_transaction_was_committed(tmp_path: Path, there: str, new: int) -> None:
    """As SQLite decides it. In a container the folder has another path."""
    joins = tmp_path / "data" / "main.db-mj1" if there == "absolute" else Path("/in/the/container/main.db-mj1")
    path = half_written(tmp_path / "data", joins)
    if there != "gone":
        (tmp_path / "data" / "main.db-mj1").write_bytes(b"")
    answer = asked(path, tmp_path / "scratch")
    assert answer["queries"]["new"]["rows"] == [[new]]


def linked(place: Path, victim: Path) -> None:
    place.symlink_to(victim)


def piped(place: Path, _victim: Path) -> None:
    os.mkfifo(place)


@pytest.mark.parametrize("plant", [linked, piped])
@pytest.mark.parametrize("suffix", _sqlite_copy.SIDECARS)
def test_a_link_or_a_pipe_beside_it_is_named_and_neither_followed_nor_waited_for(
    tmp_path: Path, suffix: str, plant: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "passwd"
    victim.write_text("root:x:0:0")
    victim.chmod(0o644)
    path = half_written(tmp_path / "data", tmp_path / "none")
    Path(f"{path}-journal").unlink()
    plant(Path(path + suffix), victim)
    began = time.monotonic()
    for found in (
        asked(path, tmp_path / "scratch"),
        looked(path, tmp_path / "scratch"),
        looked(path, tmp_path / "scratch", False),
    ):
        said = " ".join([str(found["problem"]), *found.get("sentences", [])])
        assert found["state"] in ("unreadable", "suspect") and f"{path}{suffix}" in said
    assert time.monotonic() - began < 30
    with pytest.raises(NoCopy):
        _sqlite_copy.copy(path, str(tmp_path), 5.0)
    assert victim.stat().st_mode & 0o777 == 0o644 and victim.read_text() == "root:x:0:0"


def test_a_file_is_opened_by_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    linked(tmp_path / "link", tmp_path / "file")
    piped(tmp_path / "pipe", tmp_path)
    for name in ("link", "pipe", "."):
        with pytest.raises(OSError, match=r"it is (no regular file|a link)"):
            open_regular(str(tmp_path / name))
    handle = open_regular(str(tmp_path / "file"))
    (tmp_path / "file").unlink()
    with os.fdopen(open_regular(name_of_handle(handle))) as file:
        assert file.read() == "content"
    os.close(handle)
    for plant in (linked, piped):
        keys = tmp_path / f"{plant.__name__}.keys"
        plant(keys, tmp_path / "passwd")
        for read in (_wallet_files.keys_in_shape, lambda path: _wallet_proof._copied(path, str(tmp_path / "copy"))):
            with pytest.raises(OSError, match="it is"):
                read(str(keys))


@needs_root
def test_no_copy_lies_where_others_could_exchange_it(tmp_path: Path) -> None:
    theirs = tmp_path / "data"
    theirs.mkdir()
    assert stranger_on_the_way(str(theirs / "scratch")) is None
    os.chown(theirs, STRANGER, STRANGER)
    assert stranger_on_the_way(str(theirs / "scratch")) == str(theirs)
    with (
        pytest.raises(NoCopy, match=f"others can exchange what lies in {theirs} "),
        _sqlite_copy.scratch(str(theirs / "scratch")),
    ):
        pass
    assert not (theirs / "scratch").exists()
    path = half_written(tmp_path / "shop", tmp_path / "none")
    for found in (asked(path, theirs / "scratch"), looked(path, theirs / "scratch")):
        assert found["state"] == "unreadable" and str(theirs) in str(found["problem"]) + " ".join(found.get("sentences", []))
    # Through a link of theirs, too.
    (theirs / "link").symlink_to(tmp_path)
    assert stranger_on_the_way(str(theirs / "link" / "scratch")) == str(theirs)
    os.chown(theirs, 0, 0)
    theirs.chmod(0o777)
    assert stranger_on_the_way(str(theirs)) == str(theirs)
    theirs.chmod(0o1777)
    assert stranger_on_the_way(str(theirs)) is None


@needs_root
def test_what_is_taken_out_of_a_database_lies_among_our_own_where_its_folder_is_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "marketplace.db")
    for place in (_database_shelf.scratch_of(path, ""), _database_plan.checked_in(path)):
        assert os.path.dirname(place) == str(tmp_path)
    ours = tmp_path / "ours"
    monkeypatch.setattr(_sqlite_copy, "OURS", str(ours))
    theirs = tmp_path / "data"
    theirs.mkdir()
    os.chown(theirs, STRANGER, STRANGER)
    places = _database_shelf.scratch_of(str(theirs / "m.db"), ""), _database_plan.checked_in(str(theirs / "m.db"))
    assert [place for place in places if not f"{place}/".startswith(f"{ours}/")] == []
    os.makedirs(places[1])
    _database_plan.wipe(str(theirs / "m.db"))
    assert os.listdir(tmp_path) == ["data"], "check mode leaves nothing"


def test_keeping_a_copy_writes_into_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = wanted(tmp_path, "preserved")
    make(Path(order.path))
    victim = tmp_path / "passwd"
    victim.write_text("root:x:0:0")
    real = _database_keep.remove

    def quick(path: str) -> None:
        real(path)
        if path.endswith(".partial") and not os.path.lexists(path):
            os.symlink(victim, path)

    monkeypatch.setattr(_database_keep, "remove", quick)
    with pytest.raises((NotRestored, OSError)):
        do(order)
    assert victim.read_text() == "root:x:0:0"
