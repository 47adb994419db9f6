# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options, selection, and the one lab that all drills share."""

from __future__ import annotations

import datetime
import os
import random
from collections.abc import Iterator

import pytest

from drills.fixture import DrillLab, running_lab
from drills.interruption import Interruption

# Which pools a set takes whole; of the others, rotation takes these shares, the next ones each day: everyone's turn comes.
POOLS = {"main": {"main"}, "rotation": {"main"}, "full": {"main", "often", "rotated"}}
ROTATED_SHARES = {"often": 0.12, "rotated": 0.03}
JUDGES_KILLS = "-interruptions"

INTERRUPTIONS: list[Interruption] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("drills")
    group.addoption("--drill-prefix", default="", help="only drills whose name begins so, e.g. outage-containers")
    group.addoption("--drill-set", choices=sorted(POOLS), default="full", help="main, rotation or full (default)")
    group.addoption("--drill-seed", type=int, default=None, help="kill moments and rotation (default: today's date)")
    group.addoption(
        "--drill-part", default="1/1", help="of the chosen ones every Mth from the Nth: N/M, each part on a lab of its own"
    )
    group.addoption("--drill-list", action="store_true", help="print the drills' names and end")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "drill(name, pool): a drill's name, and main, often or rotated")
    if config.getoption("--drill-seed") is None:
        config.option.drill_seed = int(datetime.datetime.now(datetime.UTC).strftime("%Y%m%d"))


def pytest_report_header(config: pytest.Config) -> str:
    return f"drills: seed {config.getoption('--drill-seed')} (repeat with --drill-seed), set {config.getoption('--drill-set')}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    prefix, chosen = config.getoption("--drill-prefix"), POOLS[config.getoption("--drill-set")]
    share = _share_of_today(config, items) if config.getoption("--drill-set") == "rotation" else set()
    wanted = [item for item in items if _name(item).startswith(prefix) and (_pool(item) in chosen or _name(item) in share)]
    number, parts = map(int, config.getoption("--drill-part").split("/"))
    # What the kills left is judged in each part, over its own.
    mine = sorted({_name(item) for item in wanted})[number - 1 :: parts]
    wanted = [item for item in wanted if _name(item) in mine or _name(item).endswith(JUDGES_KILLS)]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted


def _share_of_today(config: pytest.Config, items: list[pytest.Item]) -> set[str]:
    found: set[str] = set()
    for pool, share in ROTATED_SHARES.items():
        names = sorted({_name(item) for item in items if _pool(item) == pool})
        random.Random(pool).shuffle(names)  # so that a day gets some of each playbook
        count = round(len(names) * share)
        first = _day(config.getoption("--drill-seed")) * count
        found.update(names[(first + number) % len(names)] for number in range(count))
    return found


def _day(seed: int) -> int:
    """The days' number where the seed is a date."""
    try:
        return datetime.datetime.strptime(str(seed), "%Y%m%d").replace(tzinfo=datetime.UTC).toordinal()
    except ValueError:
        return seed


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.getoption("--drill-list"):
        print("\n".join(dict.fromkeys(_name(item) for item in session.items)))
        session.items.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if INTERRUPTIONS:
        terminalreporter.section(f"interruptions, seed {config.getoption('--drill-seed')}")
        for one in INTERRUPTIONS:
            terminalreporter.line(str(one))


def _marker(item: pytest.Item) -> pytest.Mark:
    marker = item.get_closest_marker("drill")
    assert marker is not None, f"{item.nodeid} has no drill marker, so no name"
    return marker


def _name(item: pytest.Item) -> str:
    return str(_marker(item).kwargs["name"])


def _pool(item: pytest.Item) -> str:
    return str(_marker(item).kwargs["pool"])


@pytest.fixture(scope="session")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrillLab]:
    """LAB=drills, or the one that LAB names."""
    with running_lab(os.environ.get("LAB") or "drills", tmp_path_factory.mktemp("drills")) as running:
        yield running


@pytest.fixture
def drill(shared_lab: DrillLab, request: pytest.FixtureRequest) -> DrillLab:
    """The shared lab, healthy, with no trace of an earlier run."""
    shared_lab.begin(_name(request.node))
    return shared_lab


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The drill's own source of chance: the same moments whether it runs alone or among others."""
    return random.Random(f"{request.config.getoption('--drill-seed')} {_name(request.node)}")


@pytest.fixture(scope="session")
def interruptions() -> list[Interruption]:
    """What the kills of this session left, for the last check and the report."""
    return INTERRUPTIONS
