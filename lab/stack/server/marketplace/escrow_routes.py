# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The packages are Debian's, in the image: where the code is checked they are not there.
# mypy: disable-error-code="import-not-found, untyped-decorator"
"""What may be asked about escrows over HTTP."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask, Response, jsonify, request

from .escrows import Escrows

OUTCOMES = {"release": "released", "refund": "refunded"}
MOST_SECONDS = 3600


def add_routes(app: Flask, escrows: Escrows) -> None:
    @app.post("/api/escrows")
    def register() -> tuple[Response, int]:
        body = _json()
        wallet, amount = str(body.get("wallet", "")), body.get("amount_piconero")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", wallet):
            return jsonify(error="wallet must be the name of an escrow wallet"), 400
        if not isinstance(amount, int) or not 0 < amount < 10**18:
            return jsonify(error="amount_piconero must be a positive whole number"), 400
        return jsonify(id=escrows.register(wallet, amount), state="created"), 201

    @app.get("/api/escrows/<int:escrow>")
    def show(escrow: int) -> tuple[Response, int]:
        row = escrows.read(escrow)
        return (jsonify(**row), 200) if row else (jsonify(error="unknown escrow"), 404)

    @app.post("/api/escrows/<int:escrow>/<any(release, refund):ending>")
    def end(escrow: int, ending: str) -> tuple[Response, int]:
        if escrows.ask(escrow, OUTCOMES[ending]):
            return jsonify(id=escrow, outcome=OUTCOMES[ending]), 202
        return jsonify(error="this escrow is unknown, settled, or was promised to end otherwise"), 409

    @app.put("/api/admin/settings/signing_seconds")
    def signing_seconds() -> tuple[Response, int]:
        value = _json().get("value")
        if not isinstance(value, (int, float)) or not 0 <= value <= MOST_SECONDS:
            return jsonify(error=f"value must be a number from 0 to {MOST_SECONDS}"), 400
        escrows.set_signing_seconds(value)
        return jsonify(value=value), 200


def _json() -> dict[str, Any]:
    body = request.get_json(silent=True)
    return body if isinstance(body, dict) else {}
