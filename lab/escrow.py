# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Escrow of a lab from outside: its funds, an exchange as the application makes it, and a payment signed by two.

The work is done by the program that lies in the project on the lab's host (lab/stack/escrow/escrow.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from lab.errors import LabError
from lab.instance import Lab
from lab.places import COMPOSE_DIR
from lab.stack.project import WALLET_NAME

PROGRAM = f"{COMPOSE_DIR}/escrow/escrow.py"
SECONDS = 400


def funds(lab: Lab, wallet: str = WALLET_NAME) -> dict[str, dict[str, Any]]:
    """By role: balance, unlocked (piconero), import_needed, height, address."""
    return dict(json.loads(_run(lab, ["funds", "--wallet", wallet])))


def exchange(lab: Lab, wallet: str = WALLET_NAME) -> None:
    """All three wallets take in what the other two export, until none asks for more."""
    _run(lab, ["exchange", "--wallet", wallet])


def pay(lab: Lab, wallet: str = WALLET_NAME, signers: Sequence[str] = ("buyer", "vendor"), anyway: bool = False) -> str:
    """Id of a transaction back to the escrow that two wallets signed and a block now holds; exchanged before and after.

    Refused while the application has a signing round open, unless anyway.
    """
    said = _run(lab, ["pay", "--wallet", wallet, "--signers", *signers, *(["--anyway"] if anyway else [])])
    found = re.search(r"\b[0-9a-f]{64}\b", said)
    if found is None:
        raise LabError(f"The escrow program names no transaction: {said.strip()}")
    return found.group()


def open_home(lab: Lab) -> None:
    """The wallet that the server opens at its start is open in each wallet RPC."""
    _run(lab, ["home"])


def follows_the_chain(lab: Lab) -> bool:
    """Whether every wallet reaches the daemon: after a start of that one they need a few seconds."""
    return lab.run(["python3", PROGRAM, "funds"], timeout=SECONDS).returncode == 0


def _run(lab: Lab, words: Sequence[str]) -> str:
    return lab.run(["python3", PROGRAM, *words], check=True, timeout=SECONDS).stdout
