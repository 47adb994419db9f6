# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What a scratch file that came out of an archive is, and whether it is a whole database."""

from __future__ import annotations

import os
import re
from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import (
    _sqlite_check,
    _sqlite_damage,
    _sqlite_header,
    _sqlite_look,
    _sqlite_wal,
)

HEADER = b"SQLite format 3\x00"
QUERY_SECONDS = 60.0
FACTS = ("bytes", "page_size", "page_count", "schema_version", "schema_sha256", "tables")
_DUMP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:--|/\*|\.|(?:pragma|begin|create|insert|drop|delete|attach|select|savepoint|vacuum)\b)", re.I
)


def kind_of(path: str) -> str:
    """database, dump (SQL as text), encrypted (or no database at all: nobody can tell without its key), or empty."""
    with open(path, "rb") as file:
        first = file.read(4096)
    if not first:
        return "empty"
    if first.startswith(HEADER):
        return "database"
    return "dump" if b"\0" not in first and _DUMP.match(first) else "encrypted"


def look(path: str, key: str, invariants: list[dict[str, str]], seconds: float) -> dict[str, Any]:
    """The verdict on a file that is ours alone: state, sentences, and its summary."""
    if kind_of(path) == "encrypted":
        options = _sqlite_look.Options(
            copy=False, key=key or None, invariants=tuple(invariants), check_seconds=seconds, query_seconds=QUERY_SECONDS
        )
        return _said(_sqlite_look.look(path, options))
    header, wal = _sqlite_header.look_at(path), _sqlite_wal.read(path + "-wal")
    # SQLite's own words are enough for a yes, and as fast as they can be; which pages are damaged helps nobody choose.
    asked = _sqlite_check.ask(
        path, True, invariants=invariants, queries=[], rows=1, check_seconds=seconds, query_seconds=QUERY_SECONDS
    )
    if asked.unknown:
        # Where they are not, each page is walked.
        rules = _sqlite_damage.Rules(check_seconds=seconds, query_seconds=QUERY_SECONDS, walk_seconds=seconds)
        seen = _sqlite_damage.examine(path, header, wal, None, rules, asked)
    else:
        seen = _sqlite_damage.Seen(header, asked=asked)
        _sqlite_damage.rank(seen, "page_damage" if header.problems else None, wal)
    return _said(
        {
            **header.facts(),
            "bytes": os.path.getsize(path),
            "state": seen.state,
            "sentences": seen.sentences or header.problems,
            "tables": asked.tables,
            "schema_sha256": asked.schema_sha256,
            "schema_version": asked.user_version,
        },
        asked.rules_seconds,
    )


def _said(found: dict[str, Any], rules_seconds: float = 0.0) -> dict[str, Any]:
    if found["state"] in _sqlite_damage.WRONG_VALUES and _sqlite_damage.UNFINISHED in found["sentences"]:
        found["state"] = "unfinished"  # wrong values say nothing of the pages that nobody has read
    summary = {**{name: found.get(name) for name in FACTS}, "sentences": found["sentences"][:3]}
    return {"state": found["state"], "sentences": found["sentences"], "summary": summary, "rules_seconds": rules_seconds}
