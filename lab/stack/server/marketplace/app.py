# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The packages are Debian's, in the image: where the code is checked they are not there.
# mypy: disable-error-code="import-not-found, untyped-decorator"
"""The HTTP side: what customers ask for, health, metrics."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, jsonify, request, session
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from . import dialect, health
from .escrow_routes import add_routes
from .escrows import Escrows
from .log import log
from .metrics import DURATION, REQUESTS
from .pool import NoConnectionError, Pool, transaction
from .settings import Settings
from .wallets import WalletWatch

QUIET = ("/api/health", "/health", "/metrics")


def create_app(settings: Settings, schema: int, pool: Pool, wallets: list[WalletWatch]) -> Flask:
    app = Flask("marketplace")
    app.secret_key = settings.session_key
    _observe(app)
    add_routes(app, Escrows(pool))

    @app.get("/")
    def front() -> str:
        return "<!doctype html><title>Marketplace</title><h1>Marketplace</h1><p>Open for trade.</p>\n"

    @app.get("/health")
    @app.get("/api/health")
    def healthy() -> tuple[Response, int]:
        body, code = health.report(settings, schema, pool, wallets)
        if code != 200:
            log("error", "unhealthy", reasons=body["reasons"])
        return jsonify(body), code

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)

    @app.post("/api/login")
    def login() -> tuple[Response, int]:
        with pool.connection() as connection:
            user = connection.execute("SELECT id, role FROM users WHERE name = ?", (str(_json().get("name", "")),)).fetchone()
        if user is None:
            return jsonify(error="unknown user"), 401
        session["user"] = user[0]
        return jsonify(id=user[0], role=user[1]), 200

    @app.get("/api/orders")
    def orders() -> Response:
        with pool.connection() as connection:
            rows = connection.execute(
                "SELECT reference, status, total_piconero, created_at FROM orders ORDER BY id DESC LIMIT 20"
            ).fetchall()
        names = ("reference", "status", "total_piconero", "created_at")
        return jsonify(orders=[dict(zip(names, row, strict=True)) for row in rows])

    @app.post("/api/orders")
    def order() -> tuple[Response, int]:
        total = _json().get("total_piconero")
        if not isinstance(total, int) or not 0 < total < 10**18:
            return jsonify(error="total_piconero must be a positive whole number"), 400
        now = int(time.time())
        reference = f"C-{time.time_ns():x}"
        with pool.connection() as connection, transaction(connection):
            connection.execute(
                "INSERT INTO orders (reference, buyer_id, vendor_id, status, revision, total_piconero, created_at,"
                " updated_at) VALUES (?, (SELECT min(id) FROM users), (SELECT max(id) FROM users), 'open', 1, ?, ?, ?)",
                (reference, total, now, now),
            )
        return jsonify(reference=reference), 201

    @app.get("/api/orders/export")
    def export() -> Response:
        """The orders since a day. A day that is none raises before the connection goes back: each such request
        leaks one, until every other request fails. The fault `unhealthy` is this defect and a clumsy client."""
        connection = pool.acquire()
        since = datetime.strptime(request.args.get("since", ""), "%Y-%m-%d").replace(tzinfo=UTC)
        rows = connection.execute(
            "SELECT reference, status FROM orders WHERE created_at >= ? ORDER BY id LIMIT 1000",
            (int(since.timestamp()),),
        ).fetchall()
        pool.release(connection)
        return Response("".join(f"{reference},{status}\n" for reference, status in rows), content_type="text/csv")

    @app.post("/api/pictures")
    def picture() -> tuple[Response, int]:
        digest, size = hashlib.sha256(), 0
        while block := request.stream.read(1 << 20):
            digest.update(block)
            size += len(block)
        return jsonify(sha256=digest.hexdigest(), bytes=size), 201

    return app


def _json() -> dict[str, Any]:
    body = request.get_json(silent=True)
    return body if isinstance(body, dict) else {}


def _observe(app: Flask) -> None:
    """Every answer is counted, timed and logged; what went wrong inside is a status, not a broken connection."""

    @app.before_request
    def begin() -> None:
        g.started = time.monotonic()

    @app.after_request
    def end(response: Response) -> Response:
        endpoint = request.url_rule.rule if request.url_rule else "unknown"
        seconds = time.monotonic() - g.started
        REQUESTS.labels(request.method, endpoint, response.status_code).inc()
        DURATION.labels(endpoint).observe(seconds)
        if endpoint not in QUIET:
            log("info", "request", method=request.method, path=request.path, status=response.status_code,
                seconds=round(seconds, 4))  # fmt: skip
        return response

    @app.errorhandler(NoConnectionError)
    def exhausted(problem: NoConnectionError) -> tuple[Response, int]:
        log("error", str(problem), path=request.path)
        return jsonify(error="Failed to get DB connection"), 503

    @app.errorhandler(dialect.Error)
    @app.errorhandler(ValueError)
    def failed(problem: Exception) -> tuple[Response, int]:
        log("error", "request failed", path=request.path, reason=str(problem), kind=type(problem).__name__)
        return jsonify(error="internal error"), 500
