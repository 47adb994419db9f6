# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of faults of the database: what each asks of database.yml, of data_corruption.yml and of triage.yml."""

from __future__ import annotations

from dataclasses import dataclass

from drills.faults import NOBODY, Fault

CORRUPTION = "playbooks/data_corruption.yml"
BOTH = frozenset({"server", "database"})


@dataclass(frozen=True)
class DatabaseFault(Fault):
    """What such a fault asks beyond the others. A confirm that ends in * is completed from what the plan says."""

    playbook: str = "database"
    # What triage proposes; nothing where nobody sees the fault yet.
    triage: str = ""
    harms: frozenset[str] = NOBODY
    # Whether database.yml changes anything.
    acts: bool = False
    mends: bool = False
    # Whether it is damage, so that the next command is data_corruption.yml.
    damage: bool = False
    # What the site has in its inventory beside the lab's own.
    site: tuple[str, ...] = ()
    # Whether nobody can read any more which rows there were; of a single page of a table, those of a backup can be named.
    unreadable: bool = False
    # The pool of its drill of data_corruption.yml.
    restored: str = "rotated"


@dataclass(frozen=True)
class DamageFault(DatabaseFault):
    """Damage is left to data_corruption.yml."""

    damage: bool = True
    grave: bool = True


FAULTS = (
    DamageFault("database-page-flip-table", cause=("damaged", "orders"), triage="data_corruption", restored="often"),
    DamageFault("database-page-flip-index", cause=("orders_created",), triage="data_corruption"),
    DamageFault(
        "database-page-flip-first",
        cause=("damaged",),
        triage="data_corruption",
        harms=BOTH,
        restless=frozenset({"server"}),
        unreadable=True,
    ),
    DamageFault("database-page-flip-freelist", cause=("damaged",)),
    DamageFault(
        "database-truncated",
        cause=("damaged",),
        triage="data_corruption",
        harms=BOTH,
        restless=frozenset({"server"}),
        unreadable=True,
    ),
    DamageFault(
        "database-zeroed",
        cause=("no SQLite database",),
        triage="data_corruption",
        harms=BOTH,
        restless=frozenset({"server"}),
        unreadable=True,
    ),
    DamageFault("database-deleted", cause=("was deleted", "still has it open"), harms=frozenset({"database"})),
    DamageFault("database-stale-wal", cause=("write-ahead log",), harms=BOTH, unreadable=True),
    DamageFault("database-wal-lost", cause=("deleted",)),
    DamageFault("database-wal-flipped", cause=("write-ahead log",), harms=BOTH, unreadable=True),
    DamageFault("database-foreign-keys", cause=("refer to rows which are not there",)),
    DamageFault("database-invariant", cause=("an escrow is paid what it holds",)),
    DatabaseFault(
        "database-locked",
        pool="main",
        mends=True,
        acts=True,
        triage="database",
        cause=("python3", "holds a write lock"),
        confirm="end_lock_holder:*",
        never=("corrupt", "damage is suspected"),
    ),
    DatabaseFault(
        "database-wal-grown",
        mends=True,
        acts=True,
        cause=("has not ended its reading transaction", "write-ahead log has grown"),
        confirm="end_lock_holder:*",
    ),
    DatabaseFault(
        "database-pool-exhausted",
        mends=True,
        acts=True,
        triage="database",
        cause=("every connection of server to the database is taken",),
        harms=frozenset({"server"}),
    ),
    DatabaseFault(
        "database-readonly",
        # Owner and mode of files are mended there.
        triage="outage",
        cause=("cannot write to /data/marketplace.db",),
        harms=frozenset({"server"}),
    ),
    DatabaseFault(
        "database-wrong-key",
        cause=("encrypted", "marketplace_database_key does not open it"),
        harms=BOTH,
        restless=frozenset({"server"}),
        site=("-e", "marketplace_database_key=the-key-of-this-year"),
    ),
)
