# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What one copy of a database is: its own bytes, its -wal and what SQLite says of it, made one verdict."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _sqlite_check,
    _sqlite_header,
    _sqlite_own_wal,
    _sqlite_tree,
    _sqlite_wal,
)
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_header import Header
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_pages import Pages
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_tree import FREE, SCHEMA, Walk
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_wal import Index, Wal

# The file is whole, and what it says cannot be true: an application may have written it so.
WRONG_VALUES = ("foreign_key_damage", "invariant_damage")
# A backup may be one of these and still be better than none, where a person says so: of the last one nobody can tell all that is asked.
WITH_A_WORD = (*WRONG_VALUES, "suspect")
UNFINISHED = "The checks did not end in time: raise check_timeout."
SENTENCES = 20
NAMED = 5
PAGES = 1000
_ROW = re.compile(r"row (-?\d+)")


@dataclass(frozen=True)
class Rules:
    """What is asked of a copy."""

    full: bool = True
    invariants: tuple[dict[str, str], ...] = ()
    queries: tuple[dict[str, str], ...] = ()
    rows: int = 100
    check_seconds: float = 600.0
    query_seconds: float = 10.0
    walk_seconds: float = 120.0
    # Whether each page and value is walked where SQLite finds nothing, too: some ten times as long as its own check.
    records: bool = True
    key: str | None = None
    # A walk over the same bytes sees the same.
    walked: Walk | None = None


@dataclass
class Seen:
    """state is one of ok, stale_wal, wal_damage, page_damage, btree_damage, foreign_key_damage, invariant_damage, unfinished, suspect."""

    header: Header
    state: str = "ok"
    sentences: list[str] = field(default_factory=list)
    pages: dict[int, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    rows: dict[str, int | None] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    asked: _sqlite_check.Asked = field(default_factory=_sqlite_check.Asked)
    walked: Walk | None = None
    more: bool = False
    proven: bool = True
    # Nothing but values that SQLite takes: a person may know that they were written so.
    doubtful: bool = False

    def same_as(self, other: Seen) -> bool:
        return (self.state, sorted(self.pages), self.rows) == (other.state, sorted(other.pages), other.rows)

    def damage(self) -> dict[str, Any]:
        kinds = self.walked.objects if self.walked else {}
        names = sorted({name for name in self.pages.values() if name} | set(self.rows))
        objects = [
            {
                "name": name,
                "type": str(
                    kinds.get(name, {}).get("type") or ("table" if name in self.asked.tables or name == SCHEMA else "index")
                ),
                "pages": sorted(number for number, owner in self.pages.items() if owner == name)[:PAGES],
                "readable": name not in self.unreadable,
            }
            for name in names
            if name != FREE
        ]
        return {
            "pages": sorted(self.pages)[:PAGES],
            "objects": objects[:PAGES],
            "rows": self.rows,
            "foreign_keys": self.asked.foreign_keys,
            "messages": self.messages[: _sqlite_check.MESSAGES],
            "more": self.more or self.asked.more or len(self.pages) > PAGES,
            "doubtful": self.doubtful,
        }


def examine(
    path: str, header: Header, wal: Wal, index: Index | None, rules: Rules, asked: _sqlite_check.Asked | None = None
) -> Seen:
    """The copy at this path, which is nobody else's. The worst that is found is the state. asked: what SQLite has said of it already."""
    seen = Seen(header=header)
    own = wal.page_size == (header.page_size or wal.page_size) and wal.valid_commits > 0
    if own and 1 in wal.pages:
        # What counts is the page 1 that is committed last.
        seen.header = _sqlite_header.parse(path, header.size or 0, _sqlite_wal.image(wal, wal.pages[1])[:100])
    current = seen.header
    broken = list(current.problems)
    if not current.page_size:
        _page_one(seen, broken)
        return seen
    count = (wal.last_commit_pages if own else None) or current.page_count
    with Pages(path, current.page_size, current.reserved, count, wal if own else None) as pages:
        fits = wal.page_size == current.page_size
        differing, compared = _sqlite_own_wal.differing(pages, wal, index) if fits else ({}, 0)
        foreign = _sqlite_own_wal.foreign(header, wal, differing, compared)
        seen.asked = asked or _ask(path, rules)
        gone = [number for number in range(1, count + 1) if not pages.there(number) and number != pages.lock_page()]
        shown = sorted(number for number, shows in differing.items() if shows)
        if rules.records or seen.asked.damage or seen.asked.unknown or gone or broken or shown:
            walked = rules.walked or _sqlite_tree.walk(pages, rules.records, rules.walk_seconds)
            seen.walked = _with_doubts(walked, seen.asked)
        _pages(seen, gone, broken, shown)
    broken_with_it = seen.asked.damage in ("page", "tree") or (seen.walked is not None and seen.walked.problems)
    if foreign is None and broken_with_it and own and not wal.problem:
        foreign = _sound_without(path, header, rules)
    hidden = {number for number, shows in differing.items() if not shows}
    if 1 in wal.pages and header.problems:
        hidden.add(1)
    if hidden and foreign is None:
        seen.sentences.append(
            f"Pages {listed(sorted(hidden))} of the database are damaged, and whole only in the -wal: it must not be lost."
        )
    rank(seen, seen.state if seen.state != "ok" else None, wal, foreign)
    return seen


def _ask(path: str, rules: Rules) -> _sqlite_check.Asked:
    return _sqlite_check.ask(
        path,
        rules.full,
        invariants=list(rules.invariants),
        queries=list(rules.queries),
        rows=rules.rows,
        check_seconds=rules.check_seconds,
        query_seconds=rules.query_seconds,
    )


def _page_one(seen: Seen, problems: list[str]) -> None:
    seen.state = "page_damage"
    seen.pages[1] = SCHEMA
    seen.unreadable.add(SCHEMA)
    seen.sentences += [f"The database's {one}." if not one.startswith("page 1") else f"Damaged: {one}." for one in problems]
    seen.messages += problems


def _pages(seen: Seen, gone: list[int], broken: list[str], differing: list[int]) -> None:
    """Pages by their own bytes, then trees, then what SQLite adds."""
    walked = seen.walked
    owners = walked.owners if walked else {}
    state = None
    if broken:
        _page_one(seen, broken)
        state = "page_damage"
    if gone and walked is not None and walked.ended and not walked.problems and not set(gone) & set(owners):
        # Nothing is missing: the number is wrong.
        _page_one(seen, [f"the header on page 1 counts {len(gone)} pages more than the file has, and nothing uses them"])
        state = "page_damage"
    elif gone:
        state = "page_damage"
        seen.pages.update((number, owners.get(number, "")) for number in gone)
        seen.sentences.append(f"The file ends too early: {listed(gone)} of its pages are not in it.")
    for number in differing:
        state = "page_damage"
        seen.pages[number] = owners.get(number, "")
        seen.messages.append(f"page {number} is not what the -wal wrote there")
    if differing:
        seen.sentences.append(
            f"What the -wal wrote into the database is not there any more: {listed(differing)} differ from it."
        )
    if walked is not None and walked.problems:
        kinds = {one.kind for one in walked.problems}
        seen.doubtful = state is None and kinds == {"doubt"} and seen.asked.damage is None
        state = state or ("page_damage" if kinds & {"page", "value", "doubt"} else "btree_damage")
        _walked(seen, walked)
    asked = seen.asked
    seen.messages += [one for one in asked.messages if one not in seen.messages]
    for number in sorted(asked.pages):
        if asked.damage in ("page", "tree"):
            seen.pages.setdefault(number, owners.get(number, ""))
    for name, times in asked.named.items():
        if asked.damage:
            seen.rows.setdefault(_table_of(name, walked), times if asked.damage != "page" else None)
    seen.state = state or "ok"


def _with_doubts(walked: Walk, asked: _sqlite_check.Asked) -> Walk:
    """A value that looks damaged and can be legal is damage where SQLite finds some on its page or in its table, or the walk does; else it is
    named as what it is: nobody but its writer can tell."""
    if not walked.doubts:
        return walked
    malformed = asked.damage in ("page", "tree")
    pages = {one.page for one in walked.problems} | (asked.pages if malformed else set())
    names = {one.owner for one in walked.problems} | (set(asked.named) if malformed else set())
    tables = {_table_of(name, walked) for name in names}
    proven = [one for one in walked.doubts if one.page in pages or _table_of(one.owner, walked) in tables]
    open_ones = [replace(one, kind="doubt") for one in walked.doubts if one not in proven]
    return replace(walked, problems=[*walked.problems, *proven, *open_ones], doubts=[])


def _walked(seen: Seen, walked: Walk) -> None:
    seen.more = seen.more or walked.more > 0
    groups: dict[tuple[str, str], list[int]] = {}
    for one in walked.problems:
        if one.page:
            seen.pages[one.page] = one.owner
        if one.kind == "page":
            seen.unreadable.add(one.owner)
        table = _table_of(one.owner, walked)
        if one.owner not in ("", FREE):
            row = _ROW.match(one.what) if one.kind in ("value", "doubt") else None
            known = seen.rows.get(table, 0)
            seen.rows[table] = known + 1 if row and known is not None else None
        seen.messages.append(f"page {one.page} ({one.owner or 'nobody'}): {one.what}")
        groups.setdefault((one.owner, one.kind), []).append(one.page)
    told = {
        "page": "damaged", "tree": "out of place", "value": "with values that SQLite cannot have written",
        "doubt": "with values that are damage, unless somebody wrote them so",
    }  # fmt: skip
    for (owner, kind), numbers in sorted(groups.items(), key=lambda item: ("page", "value", "tree", "doubt").index(item[0][1])):
        first = next(one.what for one in walked.problems if (one.owner, one.kind) == (owner, kind))
        whose = f"of {owner}" if owner else "that nothing uses"
        seen.sentences.append(f"Pages {whose} are {told[kind]}: {listed(sorted(set(numbers)))} ({first}).")
    if not walked.ended:
        seen.more = True


def _table_of(name: str, walked: Walk | None) -> str:
    known = (walked.objects if walked else {}).get(name, {})
    return str(known.get("table") or name.partition(".")[0])


def listed(numbers: list[int]) -> str:
    """17-19, 23 and 4 more"""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    told = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs[:8])
    return f"{len(numbers)} ({told}{f' and {len(runs) - 8} more ranges' if len(runs) > 8 else ''})"


def _sound_without(path: str, header: Header, rules: Rules) -> str | None:
    """A database that is sound alone and broken with a -wal whose frames are whole: they are not of one making."""
    if header.problems:
        return None
    alone = path + ".alone"
    os.link(path, alone)
    try:
        asked = _sqlite_check.ask(
            alone, True, invariants=[], queries=[], rows=1, check_seconds=rules.check_seconds, query_seconds=rules.query_seconds
        )
        with Pages(alone, header.page_size, header.reserved, header.page_count) as pages:
            walked = _sqlite_tree.walk(pages, False, rules.walk_seconds)
    finally:
        os.unlink(alone)
    sound = asked.ended and not asked.not_opened and asked.damage is None and walked.ended and not walked.problems
    return "the database is sound without it, and broken with it" if sound else None


def rank(seen: Seen, state: str | None, wal: Wal, foreign: str | None = None) -> None:
    """The state, by the worst of what its own bytes, its -wal and SQLite show, and the sentences in that order."""
    asked = seen.asked
    first: list[str] = []
    if state is None and asked.damage in ("page", "tree"):
        # Where the walk found nothing: what is malformed to SQLite is not always a page's own fault.
        state = "page_damage" if asked.damage == "page" else "btree_damage"
    if foreign is not None:
        state = "stale_wal"
        first.append(
            f"The -wal beside the database is not its own: {foreign}. Opening them together would damage the database."
        )
    elif wal.problem:
        state = "wal_damage" if wal.proven else state or "wal_damage"
        first.append(f"The -wal is damaged: {wal.problem}")
        seen.proven = wal.proven or state != "wal_damage"
    if state is None and asked.foreign_keys:
        state = "foreign_key_damage"
    if state is None and (asked.damage == "rule" or any(one["rows"] for one in asked.invariants.values())):
        state = "invariant_damage"
    # What SQLite could not check is proven by the walk alone.
    ended = asked.ended and not (asked.unknown and seen.walked is not None and not seen.walked.ended)
    if state is None and not ended:
        state = "unfinished"
    if state is None and (asked.unknown or any(one["problem"] for one in asked.invariants.values())):
        state = "suspect"
    seen.state = state or "ok"
    if asked.damage and asked.messages:
        seen.sentences.append(f"SQLite says: {asked.messages[0]}.")
    if asked.unknown:
        seen.sentences.append(_unknown(seen))
    by_table: dict[tuple[str, str], int] = {}
    for one in asked.foreign_keys:
        by_table[(one["table"], one["parent"])] = by_table.get((one["table"], one["parent"]), 0) + 1
    for (table, parent), count in by_table.items():
        seen.sentences.append(f"{count} rows of {table} name a row of {parent} that is not there.")
    for name, found in asked.invariants.items():
        if found["problem"]:
            seen.sentences.append(f"The invariant {name} could not be asked: {found['problem']}.")
        elif found["rows"]:
            seen.sentences.append(f"The invariant {name} is broken by {found['rows']} rows.")
    if not ended:
        seen.sentences.append(UNFINISHED)
    if wal.note and foreign is None:
        seen.sentences.append(wal.note)
    if seen.walked is not None and not seen.walked.ended:
        seen.sentences.append("Not every page and value could be looked at in time: raise walk_timeout.")
    seen.sentences = (first + seen.sentences)[:SENTENCES]


def _unknown(seen: Seen) -> str:
    """What this host's SQLite does not know is no damage, and nothing that needs it was checked."""
    asked, walked = seen.asked, seen.walked
    told = []
    for what, tables in list(asked.unknown.items())[:NAMED]:
        more = f" and {len(tables) - NAMED} more" if len(tables) > NAMED else ""
        told.append(what + (f" ({', '.join(tables[:NAMED])}{more})" if tables else ""))
    kept = (
        "cannot read the schema, and checked nothing"
        if asked.unread
        else "does not know what the schema uses, and left that unchecked"
    )
    sound = walked is not None and walked.ended and not walked.problems and seen.state == "suspect"
    whole = " Its pages are whole." if sound else ""
    return f"SQLite {asked.version} of this host {kept}: {'; '.join(told)}.{whole}"
