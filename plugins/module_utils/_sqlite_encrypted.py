# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What one copy of an encrypted database is: whether the key is its own, which pages are damaged, and what SQLCipher says of the rest."""

from __future__ import annotations

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _sqlite_check, _sqlite_cipher
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_damage import PAGES, Rules, Seen, listed, rank
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_header import Header
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_pages import Pages
from ansible_collections.monero_marketplace.incident.plugins.module_utils._sqlite_wal import Wal


def examine(path: str, header: Header, wal: Wal, rules: Rules) -> Seen:
    """Without SQLCipher on the host it stays encrypted, whatever its pages show."""
    seen = Seen(header, "encrypted")
    if rules.key is None:
        seen.sentences.append(f"{header.path} is encrypted, or random bytes: without its key nothing more can be said.")
        return seen
    right, wrong = _pages(path, header, wal, rules.key)
    engine = _sqlite_cipher.module()
    if engine is None:
        told = (
            f"the key is its own, and {len(wrong)} of its pages do not carry its code"
            if right
            else "the key fits no page of it"
        )
        seen.sentences.append(f"{header.path} is encrypted, and this host has no SQLCipher for Python (sqlcipher3): {told}.")
        return seen
    if not right:
        seen.state = "encrypted_wrong_key"
        seen.sentences.append(
            f"The key is not that of {header.path}: no page carries its code. Was it changed, or is it no SQLCipher 4?"
        )
        return seen
    _ask(seen, path, header, wal, rules, engine, wrong)
    return seen


def _pages(path: str, header: Header, wal: Wal, key: str) -> tuple[bool, list[int]]:
    size = _sqlite_cipher.PAGE_SIZE
    count = wal.last_commit_pages or (header.size or 0) // size
    own = wal if wal.valid_commits and wal.page_size == size else None
    with Pages(path, size, _sqlite_cipher.RESERVED, count, own) as pages:
        return _sqlite_cipher.damaged(pages, key)


def _ask(seen: Seen, path: str, header: Header, wal: Wal, rules: Rules, engine: Any, wrong: list[int]) -> None:
    seen.state = "ok"
    header.page_size, header.wal_mode = _sqlite_cipher.PAGE_SIZE, wal.valid_commits > 0
    header.page_count = wal.last_commit_pages or (header.size or 0) // header.page_size
    asked = seen.asked = _sqlite_check.ask(
        path, rules.full, invariants=list(rules.invariants), queries=list(rules.queries), rows=rules.rows,
        check_seconds=rules.check_seconds, query_seconds=rules.query_seconds, key=rules.key, engine=engine,
    )  # fmt: skip
    seen.messages += asked.messages
    if wrong:
        seen.pages.update((number, "") for number in wrong[:PAGES])
        seen.sentences.append(f"Pages that do not carry the key's code are damaged: {listed(wrong)}.")
    rank(seen, "page_damage" if wrong else None, wal)
