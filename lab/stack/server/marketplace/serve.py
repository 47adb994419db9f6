# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The packages are Debian's, in the image: where the code is checked they are not there.
# mypy: disable-error-code="import-untyped, import-not-found"
"""Put the parts together, answer until SIGTERM, close cleanly."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import waitress

from . import dialect
from .app import create_app
from .escrow_worker import EscrowWorker
from .escrows import Escrows
from .log import log
from .metrics import BUILD, SCHEMA, DatabaseWatch, StateCollector
from .multisig import Escrow
from .pool import Pool, connect
from .rpc import Rpc
from .seed import SCHEMA_VERSION
from .settings import Settings
from .wallets import DaemonWatch, WalletWatch
from .writer import Writer

PORT = 8080
EVERYWHERE = "0.0.0.0"  # noqa: S104  # inside its container; the host decides what is published
# More than the pool has connections: when they run out, requests must still be refused, not only queued.
THREADS = 16


def serve(settings: Settings) -> int:
    try:
        schema = _schema_version(settings.database_path)
        pool = Pool(settings.database_path, settings.pool_size)
        writer = Writer(settings.database_path, settings.ledger_dir, settings.writer_rate)
    except (dialect.Error, OSError) as problem:
        return _refuse(f"database {settings.database_path}, ledger {settings.ledger_dir}: {problem}")
    if schema > SCHEMA_VERSION:
        return _refuse(f"the database has schema {schema}, this release knows schemas up to {SCHEMA_VERSION}")
    wallets = [WalletWatch(role, url, settings.wallet_login, settings.wallet_name) for role, url in settings.wallets.items()]
    daemon = DaemonWatch(settings.daemon_url) if settings.daemon_url else None
    database = DatabaseWatch(pool)
    BUILD.labels(settings.release, settings.commit).set(1)
    SCHEMA.set(schema)
    StateCollector(pool, wallets, daemon, database)
    watches: list[WalletWatch | DatabaseWatch | DaemonWatch | EscrowWorker] = [*wallets, database]
    if daemon:
        watches.append(daemon)
    if daemon and wallets:
        rpcs = {role: Rpc(url, settings.wallet_login) for role, url in settings.wallets.items()}
        watches.append(EscrowWorker(Escrows(pool), Escrow(rpcs, Rpc(settings.daemon_url)), settings.wallet_name, settings.bugs))
    for thread in (*watches, writer):
        thread.start()
    app = create_app(settings, schema, pool, wallets)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    log("info", "serving", port=PORT, release=settings.release, schema=schema, pool=settings.pool_size)
    waitress.serve(app, host=EVERYWHERE, port=PORT, threads=THREADS, _quiet=True)
    for watch in watches:
        watch.stop()
    writer.stop()
    # The other watches hold nothing that must be closed, and may sit in a wallet's slow answer.
    database.join()
    pool.close()
    log("info", "stopped")
    return 0


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit  # waitress ends its loop on this, lets requests finish and returns


def _schema_version(path: str) -> int:
    connection = connect(path)
    try:
        return int(connection.execute("SELECT max(version) FROM schema_migrations").fetchone()[0])
    finally:
        connection.close()


def _refuse(reason: str) -> int:
    print(f"marketplace: cannot start: {reason}", file=sys.stderr, flush=True)
    return 1
