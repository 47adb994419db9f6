# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""Make a database of SQL as text, as `sqlite3 .dump` writes it, without trusting it.

It goes through the library and never through the sqlite3 command, for which a line such as `.shell` in it is an order. What reaches outside
of the new file is refused, and so is what ends before it says that it is at its end.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from contextlib import closing
from typing import Any, Iterator

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_query
from ansible_collections.monero_marketplace.incident.plugins.module_utils._compose_text import clean_line, human_bytes

STATEMENT_BYTES = 64 * 1024 * 1024
PAGE_BYTES = 4096
STEPS = 100_000
PRAGMAS = (
    "foreign_keys",
    "user_version",
    "application_id",
    "encoding",
    "legacy_alter_table",
    "defer_foreign_keys",
    "analysis_limit",
)
# What stays within the one file. Attaching others, virtual tables and settings of the library are not among it.
_STAYS = {
    getattr(sqlite3, f"SQLITE_{name}")
    for name in (
        "CREATE_TABLE", "CREATE_INDEX", "CREATE_VIEW", "CREATE_TRIGGER", "DROP_TABLE", "DROP_INDEX", "DROP_VIEW", "DROP_TRIGGER",
        "INSERT", "UPDATE", "DELETE", "SELECT", "READ", "TRANSACTION", "SAVEPOINT", "REINDEX", "ANALYZE", "ALTER_TABLE",
    )
} | {33}  # fmt: skip
_WORD = re.compile(r"\s*([A-Za-z]+)")


class BadDump(Exception):
    """kind: unsafe, damaged, too_big or too_slow. The text goes after the archive's path."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def play(dump: str, target: str, most: int, seconds: float) -> None:
    """The database that the text describes, as a new file."""
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.close(handle)
    try:
        with (
            closing(sqlite3.connect(target, isolation_level=None)) as database,
            open(dump, encoding="utf-8", newline="\n") as text,
        ):
            _Player(database, most, seconds).play(text)
    except UnicodeDecodeError:
        raise BadDump("damaged", "holds bytes that are no text in UTF-8") from None


class _Player:
    def __init__(self, database: sqlite3.Connection, most: int, seconds: float) -> None:
        self._database = database
        self._refused = ""
        self._begun = self._opened = self._ended = False
        # A scratch file: what a crash leaves of it is thrown away, so nothing is written twice.
        for setting in ("journal_mode=OFF", "synchronous=OFF", "trusted_schema=OFF", "foreign_keys=OFF"):
            database.execute(f"PRAGMA {setting}")
        database.execute(f"PRAGMA max_page_count={max(1, most // PAGE_BYTES)}")
        set_limit = getattr(database, "setlimit", None)  # from Python 3.11 on
        if set_limit is not None:
            set_limit(0, STATEMENT_BYTES)
        deadline = time.monotonic() + seconds
        database.set_progress_handler(lambda: int(time.monotonic() > deadline), STEPS)
        database.set_authorizer(self._authorize)

    def play(self, text: Any) -> None:
        for statement in _statements(text):
            word = _WORD.match(statement)
            self._one(statement, word[1].upper() if word else "")
        if self._opened and not self._ended:
            raise BadDump("damaged", "ends before it says that it is at its end (COMMIT)")
        if self._begun:
            self._run("COMMIT")

    def _one(self, statement: str, word: str) -> None:
        if self._ended and word not in ("PRAGMA", "ANALYZE", ""):
            raise BadDump("damaged", "goes on behind its end")
        if word == "ROLLBACK":
            raise BadDump("damaged", "ends with ROLLBACK: whoever wrote it met errors")
        if word == "VACUUM":
            raise BadDump("unsafe", "is refused: its SQL wants to write another file (VACUUM), which no backup needs")
        if word in ("COMMIT", "END"):
            self._ended = True
        elif word == "BEGIN":
            self._opened = True
        elif word == "PRAGMA":
            self._run(statement)
        else:
            if not self._begun:
                self._begun = True
                self._run("BEGIN")
            self._run(statement)

    def _run(self, statement: str) -> None:
        try:
            self._database.execute(statement).close()
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as problem:
            said = clean_line(str(problem), 120)
            if self._refused:
                raise BadDump("unsafe", f"is refused: its SQL wants {self._refused}, which no backup needs") from None
            if "interrupted" in said:
                raise BadDump("too_slow", "took longer to be read than it may (database_timeout)") from None
            if "full" in said or "too big" in said:
                raise BadDump("too_big", "makes a larger database than it may (max_bytes)") from None
            raise BadDump("damaged", f"holds SQL that cannot be run: {said}") from None

    def _authorize(self, action: int, first: Any, second: Any, *_more: Any) -> int:
        if action in _STAYS:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            if str(second).lower() not in _sqlite_query.FORBIDDEN_FUNCTIONS:
                return sqlite3.SQLITE_OK
            self._refused = f"the function {clean_line(str(second), 40)}"
        elif action == sqlite3.SQLITE_PRAGMA:
            if str(first).lower() in PRAGMAS:
                return sqlite3.SQLITE_OK
            self._refused = f"the setting {clean_line(str(first), 40)}"
        elif action == sqlite3.SQLITE_ATTACH:
            self._refused = "to open another file (ATTACH)"
        else:
            self._refused = f"something that is not in a backup (action {action})"
        return sqlite3.SQLITE_DENY


def _statements(text: Any) -> Iterator[str]:
    """One after the other; memory holds no more than one of them."""
    pending = ""
    while True:
        line = text.readline(STATEMENT_BYTES)
        if not line:
            break
        if not pending.strip():
            bare = line.strip()
            if bare.startswith("."):
                raise BadDump("unsafe", "is refused: it holds a command for the sqlite3 program, which no backup needs")
            if not bare or bare.startswith("--"):
                continue
        pending += line
        if len(pending) > STATEMENT_BYTES:
            raise BadDump("too_big", f"holds a statement of more than {human_bytes(STATEMENT_BYTES)}")
        if line.rstrip().endswith(";") and sqlite3.complete_statement(pending):
            yield from _parted(pending)
            pending = ""
    if pending.strip():
        raise BadDump("damaged", "ends in the middle of a statement")


def _parted(several: str) -> Iterator[str]:
    """Most lines hold one statement; where there may be more, each ends where SQLite says so."""
    if several.count(";") == 1:
        yield several
        return
    start = at = 0
    while (at := several.find(";", at) + 1) > 0:
        if sqlite3.complete_statement(several[start:at]):
            yield several[start:at]
            start = at
