# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we name to people exists: playbooks, pages, scripts, tests."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rules.collection import PROJECT, load, place, playbooks, project_files

COVERAGE = PROJECT / "docs" / "coverage.md"
STEPS = 108
# The tables from which the drills of a test are made.
FAULTS = sorted((PROJECT / "tests" / "drills").glob("*faults.py"))

# A path in a sentence, a command or a link. Made from parts, the part in braces is checked where it is set.
NAMED = re.compile(r"\b(?:playbooks/[\w/{}\[\]'\"-]+\.yml|docs/[\w/-]+\.md|script/[a-z_]+|inventories/(?:example|lab)\b)")
MADE = re.compile(r"[{\[]")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def rows() -> list[list[str]]:
    """The coverage table's cells."""
    lines = [line for line in COVERAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[1:]]


def missing(named: str) -> str | None:
    """Why a path, or a test as pytest names it, cannot be found; None when it is there."""
    path, _colons, test = named.partition("::")
    if not (PROJECT / path).exists():
        return f"{named}: no such file"
    if not test:
        return None
    text = (PROJECT / path).read_text(encoding="utf-8")
    function, _bracket, case = test.rstrip("]").partition("[")
    if not re.search(rf"^def {re.escape(function)}\(", text, re.MULTILINE):
        return f"{named}: no such test"
    if re.search(r"import .*\bFAULTS\b", text):
        text += "".join(table.read_text(encoding="utf-8") for table in FAULTS)
    return f"{named}: no such case" if case and f'"{case}"' not in text else None


def test_every_step_of_the_handbook_has_one_row():
    identifiers = [row[0] for row in rows()]
    assert len(identifiers) == len(set(identifiers)) == STEPS
    assert all(re.fullmatch(r"[A-Z]{1,2}\d?-\d+", identifier) for identifier in identifiers)


def problems(row: list[str]) -> list[str]:
    """What is wrong with a row."""
    identifier, step, delivered, shown = row
    named = re.findall(r"`([^`]+)`", delivered + shown)
    found = [problem for problem in map(missing, named) if problem]
    if (delivered == "open") != (shown == "open"):
        found.append("delivered but shown by nothing, or the other way round")
    if not step or not (named or delivered == "open"):
        found.append("incomplete")
    return [f"{identifier}: {problem}" for problem in found]


def test_what_the_rows_name_exists():
    assert [problem for row in rows() for problem in problems(row)] == []


def test_a_row_that_names_nothing_real_would_be_seen():
    assert missing("playbooks/no_such_playbook.yml")
    assert missing("tests/drills/test_outage.py::test_no_such_test")
    assert missing("tests/drills/test_outage.py::test_outage[no-such-fault]")
    assert missing("tests/drills/test_outage.py::test_outage[stack-down]") is None


def unknown(text: str) -> list[str]:
    """Paths in a text that are not there."""
    return [name for name in NAMED.findall(text) if not MADE.search(name) and not (PROJECT / name).exists()]


def test_what_a_summary_may_name_exists():
    sources = project_files("plugins/*.py", "roles/*.yml", "playbooks/*.yml", "lab/*.py")
    assert [(place(path), name) for path in sources for name in unknown(path.read_text(encoding="utf-8"))] == []


def test_what_a_page_names_exists():
    for path in project_files("*.md"):
        text = path.read_text(encoding="utf-8")
        assert (place(path), unknown(text)) == (place(path), [])
        links = [link for link in LINK.findall(text) if not (path.parent / link).exists()]
        assert (place(path), links) == (place(path), [])


def test_a_command_that_leads_nowhere_would_be_seen():
    assert unknown("next: ansible-playbook playbooks/no_such_playbook.yml") == ["playbooks/no_such_playbook.yml"]
    assert unknown("read docs/no_such_page.md") == ["docs/no_such_page.md"]


def values(data: object, wanted: str) -> Iterator[str]:
    """Values of a key at any depth."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key == wanted:
                yield str(value)
            yield from values(value, wanted)
    elif isinstance(data, list):
        for value in data:
            yield from values(value, wanted)


def test_a_playbook_calls_itself_by_its_own_name():
    # Commands to go on with are made from it.
    called = [(path.stem, value) for path in playbooks() for value in values(load(path), "incident_playbook")]
    assert called
    assert [pair for pair in called if pair[0] != pair[1]] == []
