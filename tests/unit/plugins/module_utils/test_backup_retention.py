# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Age as retention counts it: a clock that jumps makes nothing old, and a host that was off gets back to what is usual."""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_retention import tidied
from ansible_collections.monero_marketplace.incident.plugins.module_utils._backup_shelf import DATABASE, WALLETS, Kind, archives

HOUR, DAY = 3600.0, 86400.0
NOW = 1_790_000_000.0
BOTH = pytest.mark.parametrize(("kind", "role", "days"), [(DATABASE, "database", 30), (WALLETS, "buyer", 90)])


class Host:
    """Its clock, and a backup with retention at each moment that it is told."""

    def __init__(self, folder: Path, kind: Kind, role: str, days: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._kind, self._role, self._days = folder, kind, role, days
        self.now = NOW
        monkeypatch.setattr(time, "time", lambda: self.now)

    def put(self, created: float) -> None:
        path = self._folder / self._kind.name_of(self._role, created)
        path.write_bytes(b"archive")
        Path(f"{path}.sha256").write_text(sha256(b"archive").hexdigest() + "\n")
        Path(f"{path}.manifest.json").write_text("{}")

    def run(self, now: float) -> dict[str, Any]:
        self.now = now
        self.put(now)
        return tidied(str(self._folder), self._kind, self._role, lambda _one: True, self._days, 3, "")

    def there(self) -> list[float]:
        return [one.created for one in archives(str(self._folder), self._kind)]


@pytest.fixture
def host(tmp_path: Path, kind: Kind, role: str, days: float, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, kind, role, days, monkeypatch)


@BOTH
@pytest.mark.parametrize("ahead", [10, 40, 400])
def test_a_clock_that_ran_ahead_removes_nothing(host: Host, days: float, ahead: float) -> None:
    # A whole retention's worth, so that the next one made in time would be the oldest one's end.
    before = [NOW - hours * HOUR for hours in range(0, int(days * 24), 5)]
    for created in before:
        host.put(created)
    for run in (1, 2, 3):
        found = host.run(NOW + ahead * DAY + run * HOUR)
        assert found["removed"] == []
    assert "the clock jumped" in found["why"] and "no backup was made" in found["why"]
    # The clock is right again.
    host.run(NOW + 4 * HOUR)
    assert [one for one in host.there() if one <= NOW] == before


@BOTH
def test_a_host_that_was_off_is_back_to_what_is_usual_after_a_while(host: Host, days: float) -> None:
    for day in range(20):
        host.put(NOW + day * DAY)
    back = NOW + (20 + 40 + days) * DAY
    for day in range(int(days) + 2):
        found = host.run(back + day * DAY)
        # What is older goes by and by: never all of it in one run, as if it had grown old over night.
        assert len(found["removed"]) <= days / 10 + 2
    assert min(host.there()) == back + DAY and found["why"] == ""


@pytest.mark.parametrize(("kind", "role", "days"), [(DATABASE, "database", 30)])
@pytest.mark.parametrize("on", [(0,), (0, 1)])
def test_gaps_that_come_back_do_not_keep_all_for_ever(host: Host, on: tuple[int, ...]) -> None:
    for week in range(60):
        for day in on:
            host.run(NOW + (7 * week + day) * DAY)
    assert len(host.there()) <= 30


@pytest.mark.parametrize(("kind", "role", "days"), [(DATABASE, "database", 1), (DATABASE, "database", 0)])
def test_a_short_retention_of_hourly_ones_ends(host: Host) -> None:
    for hour in range(60):
        host.run(NOW + hour * HOUR)
    assert len(host.there()) in (25, 3)
