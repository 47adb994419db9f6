# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The packages are Debian's, in the image: where the code is checked they are not there.
# mypy: disable-error-code="import-not-found"
"""What Prometheus sees: counted where it happens, read at the scrape where it is a state."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import REGISTRY, GaugeMetricFamily

from . import dialect
from .health import write_probe
from .log import log
from .pool import NoConnectionError, Pool
from .wallets import DaemonWatch, WalletWatch

# A series appears with its first request: no 5xx before the first one.
REQUESTS = Counter("http_requests_total", "Requests answered", ["method", "endpoint", "status"])
DURATION = Histogram(
    "http_request_duration_seconds",
    "Time to answer",
    ["endpoint"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 2, 5, 10),
)
BUILD = Gauge("marketplace_build_info", "The release that runs", ["release", "commit"])
SCHEMA = Gauge("marketplace_schema_version", "Newest migration of the database")


class StateCollector:
    """Gauges that cost nothing to read: they are asked for at each scrape."""

    def __init__(self, pool: Pool, wallets: list[WalletWatch], daemon: DaemonWatch | None, database: DatabaseWatch) -> None:
        self._pool, self._wallets, self._daemon, self._database = pool, wallets, daemon, database
        REGISTRY.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        pool = self._pool
        yield _gauge("diesel_connection_pool_size", "Connections of the pool", pool.size)
        yield _gauge("diesel_connection_pool_in_use", "Connections taken", pool.in_use)
        yield _gauge("diesel_connection_pool_waiting", "Requests that wait for a connection", pool.waiting)
        yield _gauge("marketplace_database_up", "1 if the last write probe succeeded", self._database.up)
        yield _gauge("escrow_pending_age_seconds", "Age of the oldest escrow not settled", self._database.pending_age())
        escrows = GaugeMetricFamily("marketplace_escrows", "Escrows by state", labels=["state"])
        for state, count in self._database.escrows.items():
            escrows.add_metric([state], count)
        yield escrows
        up = GaugeMetricFamily("wallet_rpc_up", "1 if the wallet's RPC answers", labels=["wallet"])
        for wallet in self._wallets:
            up.add_metric([wallet.role], wallet.answers)
        yield up
        if self._daemon:
            yield _gauge("monero_daemon_up", "1 if the daemon answers", self._daemon.up)
            yield _gauge("monero_daemon_synchronized", "1 if the daemon says so", self._daemon.synchronized)
            yield _gauge("monero_daemon_height", "Height of the chain", self._daemon.height)
            block = GaugeMetricFamily("monero_daemon_last_block_timestamp_seconds", "Its last block's time", labels=["network"])
            block.add_metric([self._daemon.network], self._daemon.last_block)
            yield block


class DatabaseWatch(threading.Thread):
    """Probes the database like a request does, every few seconds, and counts escrows."""

    EVERY_SECONDS = 2.0

    def __init__(self, pool: Pool) -> None:
        super().__init__(name="database", daemon=True)
        self.up = False
        self.escrows: dict[str, int] = {}
        self._oldest_pending: int | None = None
        self._pool = pool
        self._stopping = threading.Event()

    def pending_age(self) -> float:
        return time.time() - self._oldest_pending if self._oldest_pending else 0.0

    def run(self) -> None:
        while not self._stopping.is_set():
            try:
                write_probe(self._pool)
                with self._pool.connection() as connection:
                    rows = connection.execute("SELECT state, count(*) FROM escrows GROUP BY state").fetchall()
                    pending = connection.execute(
                        "SELECT min(updated_at) FROM escrows WHERE state IN ('created', 'funded', 'signing')"
                    ).fetchone()
                self.escrows, self._oldest_pending, self.up = dict(rows), pending[0], True
            except (NoConnectionError, dialect.Error) as problem:
                log("error", "database probe failed", reason=str(problem))
                self.up = False
            self._stopping.wait(self.EVERY_SECONDS)

    def stop(self) -> None:
        self._stopping.set()


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))
