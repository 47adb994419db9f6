# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A payout caught half way: one wallet has signed, the second signature is awaited, and only the database knows of the round."""

from __future__ import annotations

import json
from typing import Any

from lab.errors import LabError
from lab.faults import healing
from lab.faults.outside import must_show
from lab.instance import Lab
from lab.shell import wait_until
from lab.stack.project import WALLET_NAME

SUMMARY = "one payout waits for its second signature: its escrow is in state signing"

AMOUNT = 10**9
LONG_SECONDS, USUAL_SECONDS = 3600, 1
SITE = "http://127.0.0.1:8080"
OPEN = "SELECT id FROM escrows WHERE state = 'signing'"


def break_(lab: Lab) -> None:
    escrow = int(_send(lab, "POST", "/api/escrows", wallet=WALLET_NAME, amount_piconero=AMOUNT)["id"])
    must_show("a funded escrow", lambda: state(lab, escrow) == "funded", 180)
    _wait(lab, LONG_SECONDS)
    _send(lab, "POST", f"/api/escrows/{escrow}/release")
    must_show("an escrow that is being signed", lambda: state(lab, escrow) == "signing", 180)
    # The state is there before the signature is.
    line = f'"event": "escrow half signed", "escrow": {escrow},'
    must_show("half a signature", lambda: line in lab.compose(["logs", "--no-log-prefix", "server"]).stdout, 180)


def heal_(lab: Lab) -> None:
    """Every round is brought to its end by the application itself: it goes on, or exchanges afresh and signs anew."""
    healing.heal(lab)
    _wait(lab, USUAL_SECONDS)
    if wait_until(lambda: not _open(lab), 60, every=0.5):
        return
    for escrow in _open(lab):
        _send(lab, "POST", f"/api/escrows/{escrow}/release")
    if not wait_until(lambda: not _open(lab), 240, every=0.5):
        raise LabError(f"A signing round of {lab.name} stays open: see `script/lab logs server`.")


def state(lab: Lab, escrow: int) -> str:
    """How far the server says that an escrow is."""
    return str(json.loads(lab.get("health", f"/api/escrows/{escrow}")[1]).get("state"))


def _open(lab: Lab) -> list[int]:
    found = lab.run(["sqlite3", "-readonly", "/data/marketplace.db", OPEN], check=True).stdout
    return [int(number) for number in found.split()]


def _wait(lab: Lab, seconds: int) -> None:
    _send(lab, "PUT", "/api/admin/settings/signing_seconds", value=seconds)


def _send(lab: Lab, method: str, path: str, **body: Any) -> dict[str, Any]:
    told = lab.run(
        ["curl", "--silent", "--show-error", "--fail", "--max-time", "10", "--request", method, "--header",
         "Content-Type: application/json", "--data", json.dumps(body), f"{SITE}{path}"], check=True,
    ).stdout  # fmt: skip
    return dict(json.loads(told))
