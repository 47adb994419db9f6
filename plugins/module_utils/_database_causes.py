# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""The table of causes of playbooks/database.yml, the root first. docs/causes.md is made from it too."""

from __future__ import annotations

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _database_causes_files, _database_causes_use
from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import Cause

PAGE = "docs/database.md"
CORRUPTION_PAGE = "docs/data_corruption.md"

# The first that applies; as long as it does, nothing is restarted or ended.
FILE_CAUSES = (
    Cause(
        "database-frozen",
        _database_causes_files.frozen,
        means="the database is being examined or restored",
        evidence="the freeze `database` on the host, with who placed it and why",
        answer="left alone; playbooks/data_corruption.yml goes on where it was",
        drill="database-payout-after-backup",
        page=CORRUPTION_PAGE,
    ),
    Cause(
        "database-missing",
        _database_causes_files.missing,
        means="there is no file where the database should be, and no process has it open",
        evidence="the path, and the open files of all processes",
        answer="left to playbooks/data_corruption.yml; nothing is restarted, a program could make an empty one",
        drill="",
        page=CORRUPTION_PAGE,
    ),
    Cause(
        "database-deleted",
        _database_causes_files.deleted,
        means="the database was deleted while a process has it open: that process holds the last copy",
        evidence="pid, command and descriptor in /proc",
        answer="nothing is stopped or restarted; playbooks/data_corruption.yml rescues it through /proc first",
        drill="database-deleted",
        page=CORRUPTION_PAGE,
    ),
    Cause(
        "database-empty",
        _database_causes_files.empty,
        means="the database is a file of 0 bytes",
        evidence="its size",
        answer="left to playbooks/data_corruption.yml",
        drill="",
        page=CORRUPTION_PAGE,
    ),
    Cause(
        "database-key",
        _database_causes_files.wrong_key,
        means="the database is encrypted, and the key that is known does not open it, nor does the server's",
        evidence="a copy that the key does not open, and an endpoint that does not serve",
        answer="left to a person, who knows which key changed; nothing is restored, a wrong key is no damage",
        drill="database-wrong-key",
        page=PAGE,
    ),
    Cause(
        "database-damaged",
        _database_causes_files.damaged,
        means="pages, tables, the write-ahead log, references or values of the database are damaged, as far as can be told while it is in use",
        evidence="a copy that was examined: which pages, tables and rows, where the log's checksums end; the server's own words",
        answer="suspected only; left to playbooks/data_corruption.yml, which freezes the writers and looks twice",
        drill="database-page-flip-table",
        page=CORRUPTION_PAGE,
    ),
    Cause(
        "database-unwritable",
        _database_causes_files.unwritable,
        means="the server may not write to the database, though its file system is writable",
        evidence="the server's own words, against the table of mounts and the owners of the files",
        answer="left to playbooks/outage.yml where it is an owner or a stale mount, else to a person; nothing is restored",
        drill="database-readonly",
        page=PAGE,
    ),
)

# Each that applies. The first is the root: what is only sick because of a lock is left alone until it is gone.
USE_CAUSES = (
    Cause(
        "lock-held",
        _database_causes_use.lock_held,
        means="a process keeps the write lock, so nobody else can write",
        evidence="the kernel's table of locks, twice some seconds apart: pid, command, user, container, since when",
        answer="with a confirmation it gets SIGTERM, by its pid and the time it was started, and its open transaction is rolled back; a "
        "service that a container lives by is restarted instead",
        drill="database-locked",
        page=PAGE,
    ),
    Cause(
        "reader-forgotten",
        _database_causes_use.reader_forgotten,
        means="a transaction that only reads is never ended, so that the write-ahead log cannot be written back and grows",
        evidence="the size of the log that still counts, and who has had a read lock in two looks",
        answer="with a confirmation it gets SIGTERM",
        drill="database-wal-grown",
        page=PAGE,
    ),
    Cause(
        "database-service",
        _database_causes_use.service_sick,
        means="the database service is down or unhealthy",
        evidence="the state of its container, its health check, its last lines",
        answer="its log is kept, then it is started, or restarted once; anything else is left to playbooks/outage.yml",
        drill="",
        page=PAGE,
    ),
    Cause(
        "pool-exhausted",
        _database_causes_use.pool_exhausted,
        means="every connection of the server's pool is taken and none comes back",
        evidence="its health endpoint in two looks, the pool's size, use and queue as Prometheus has them, its log",
        answer="the server is restarted cleanly where it is sure that no signing round is open, else with a confirmation; not while it is frozen",
        drill="database-pool-exhausted",
        page=PAGE,
    ),
    Cause(
        "server-unexplained",
        _database_causes_use.server_sick,
        means="the server does not serve, and nothing about the database explains it",
        evidence="its health endpoint and the state of its container",
        answer="left to playbooks/outage.yml",
        drill="",
        page=PAGE,
    ),
)
