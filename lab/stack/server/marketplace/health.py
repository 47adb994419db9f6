# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `/api/health` says: whether customers can be served, and if not, why."""

from __future__ import annotations

import time
from typing import Any

from . import dialect
from .pool import BUSY_SECONDS, NoConnectionError, Pool, transaction
from .settings import Settings
from .wallets import READY, WalletWatch

PROBE_BUSY_MILLISECONDS = 1000


def write_probe(pool: Pool) -> float:
    """Seconds that one real committed write takes, by the way every request goes."""
    started = time.monotonic()
    with pool.connection() as connection:
        connection.execute(f"PRAGMA busy_timeout={PROBE_BUSY_MILLISECONDS}")
        try:
            with transaction(connection):
                connection.execute("UPDATE settings SET value = ? WHERE name = 'health_probe'", (str(time.time()),))
        finally:
            connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
    return time.monotonic() - started


def report(settings: Settings, schema: int, pool: Pool, wallets: list[WalletWatch]) -> tuple[dict[str, Any], int]:
    """The answer and its HTTP status: 503 where nobody can buy, 200 and `degraded` where only payouts wait."""
    body: dict[str, Any] = {
        "version": settings.release,
        "commit": settings.commit,
        "schema": schema,
        "wallets": {wallet.role: wallet.state for wallet in wallets},
    }
    reasons = [f"wallet {wallet.role}: {wallet.state}" for wallet in wallets if wallet.state != READY]
    status, code = ("degraded", 200) if reasons else ("ok", 200)
    try:
        body["database"] = {"status": "ok", "write_seconds": round(write_probe(pool), 4)}
    except (NoConnectionError, dialect.Error) as problem:
        body["database"] = {"status": "failed"}
        reasons.insert(0, f"database: {problem}")
        status, code = "unavailable", 503
    return {"status": status, "reasons": reasons, **body}, code
