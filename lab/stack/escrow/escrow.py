# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The server's package lies beside this file on the host only.
# mypy: disable-error-code="import-not-found, no-any-return"
"""Escrow by hand, on the host itself and as root: make wallets, ask for their funds, exchange, and really pay.

`pay` proves that escrow works: a transaction that two wallets signed is in a block, or the exit status is 1. It leaves open
what was open, and all three wallets ready for the next payout. It refuses while the application has a round of its own open.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# The project's folder is a Git worktree that has to stay clean.
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "server"))

from marketplace.multisig import FAILED, ROLES, Escrow, MultisigError  # noqa: E402
from marketplace.rpc import Rpc  # noqa: E402

HOME = "escrow_1"
AMOUNT = 50_000_000_000
DATABASE = "/data/marketplace.db"
# Of a mined block 60 others have to follow until it can be spent, and a ring takes 16 outputs.
FUNDING_BLOCKS, RIPENING_BLOCKS = 40, 65
SHAPE = "{{.Id}} {{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"


class RefusedError(Exception):
    """One sentence: what, and what to do about it."""


def containers() -> dict[str, tuple[int, str]]:
    """Process and address of each service that runs."""
    label = "com.docker.compose.service"
    listed = _docker(
        "ps", "--filter", "label=com.docker.compose.project=marketplace", "--format", f'{{{{.ID}}}} {{{{.Label "{label}"}}}}'
    )
    names = dict(line.split() for line in listed.splitlines())
    found = {}
    for line in _docker("inspect", "--format", SHAPE, *names).splitlines():
        identity, pid, *addresses = line.split()
        if addresses:
            found[names[identity[:12]]] = (int(pid), addresses[0])
    return found


def _docker(*words: str) -> str:
    answer = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise RefusedError(f"Docker does not say where the wallets are: {answer.stderr.strip()[-200:]}")
    return answer.stdout


class Site:
    """The three wallets and the daemon of this host."""

    def __init__(self) -> None:
        found = containers()
        missing = [name for name in ("monerod", *map(_service, ROLES)) if name not in found]
        if missing:
            raise RefusedError(f"No container runs of {', '.join(missing)}: nothing can be signed.")
        login = (HERE.parent / "secrets/wallet_rpc_login").read_text(encoding="utf-8").strip().partition("=")[2]
        self._pids = {role: found[_service(role)][0] for role in ROLES}
        wallets = {role: Rpc(f"http://{found[_service(role)][1]}:18082", login) for role in ROLES}
        self.escrow = Escrow(wallets, Rpc(f"http://{found['monerod'][1]}:18081"))

    def open_names(self) -> dict[str, str]:
        """The wallet that each RPC has open, by the key file its process holds; empty where none is."""
        return {role: _held_keys(pid) for role, pid in self._pids.items()}

    def open(self, name: str) -> None:
        opened = self.open_names()
        self.escrow.each(lambda role: None if opened[role] == name else self.escrow.open_one(role, name))

    def restore(self, before: dict[str, str]) -> None:
        """What was open is open again, and where nothing was, nothing is."""
        now = self.open_names()

        def put_back(role: str) -> None:
            if before[role] and before[role] != now[role]:
                self.escrow.open_one(role, before[role])
            if not before[role]:
                self.escrow.close_one(role)

        self.escrow.each(put_back)


def _service(role: str) -> str:
    return f"monero-wallet-rpc-{role}"


def _held_keys(pid: int) -> str:
    """The container's first process is the engine's init; the wallet's is its child."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    for child in (str(pid), *children):
        for number in os.listdir(f"/proc/{child}/fd"):
            try:
                file = os.readlink(f"/proc/{child}/fd/{number}")
            except FileNotFoundError:
                continue  # closed since the listing
            if file.endswith(".keys"):
                return Path(file).name.removesuffix(".keys")
    return ""


def make(site: Site, names: list[str]) -> None:
    """Escrow wallets that are funded, ripe to be spent, and exchanged; the first one is left open."""
    escrow = site.escrow
    # Their first start, on a machine that may be busy with other labs.
    escrow.wait(240)
    for name in names:
        escrow.mine(FUNDING_BLOCKS, escrow.make(name))
    escrow.mine(RIPENING_BLOCKS)
    for name in reversed(names):
        escrow.open(name)
        escrow.exchange()
    print(json.dumps({"wallets": names, "balance": escrow.balances()["buyer"]["balance"]}))


def funds(site: Site, wallet: str) -> None:
    before = site.open_names()
    try:
        site.open(wallet)
        site.escrow.refresh()
        said = site.escrow.each(lambda role: _funds_of(site.escrow, role))
    finally:
        site.restore(before)
    print(json.dumps(said))


def _funds_of(escrow: Escrow, role: str) -> dict[str, Any]:
    balance = escrow.ask(role, "get_balance", account_index=0)
    return {
        "balance": balance["balance"],
        "unlocked": balance["unlocked_balance"],
        "import_needed": balance["multisig_import_needed"],
        "height": escrow.ask(role, "get_height")["height"],
        "address": escrow.ask(role, "get_address", account_index=0)["address"],
    }


def exchange(site: Site, wallet: str) -> None:
    before = site.open_names()
    try:
        site.open(wallet)
        site.escrow.exchange()
    finally:
        site.restore(before)
    print(f"The three wallets of {wallet} have exchanged what the next signatures need.")


def pay(site: Site, wallet: str, signers: list[str]) -> None:
    escrow = site.escrow
    before = site.open_names()
    try:
        site.open(wallet)
        escrow.exchange()
        half = escrow.first_signature(signers[0], AMOUNT, escrow.address())
        signed, txid = escrow.second_signature(signers[1], half)
        escrow.submit(signers[1], signed)
        height = escrow.confirm(txid)
        escrow.exchange()
    finally:
        site.restore(before)
    print(f"Block {height} holds transaction {txid}, signed by {signers[0]} and {signers[1]}.")


def refuse_while_signing() -> None:
    try:
        connection = sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True, timeout=5)
        rounds = connection.execute("SELECT count(*) FROM escrows WHERE state = 'signing'").fetchone()[0]
        connection.close()
    except sqlite3.Error as problem:
        raise RefusedError(
            f"Whether a signing round is open cannot be told from {DATABASE} ({problem}): nothing was signed."
        ) from problem
    if rounds:
        raise RefusedError(
            f"{rounds} signing round(s) of the application are open, and an exchange would void them: nothing was signed."
        )


def home(site: Site) -> None:
    """The server's home wallet open in each RPC, as after the server's start."""
    site.escrow.wait()
    site.open(HOME)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("make").add_argument("names", nargs="+")
    verbs.add_parser("home")
    for verb in ("funds", "exchange", "pay"):
        verbs.add_parser(verb).add_argument("--wallet", default=HOME)
    paying = verbs.choices["pay"]
    paying.add_argument("--signers", nargs=2, choices=ROLES, default=["buyer", "vendor"])
    paying.add_argument("--anyway", action="store_true", help="though a round of the application's is open")
    chosen = parser.parse_args()
    try:
        if chosen.verb == "pay" and not chosen.anyway:
            refuse_while_signing()
        site = Site()
        if chosen.verb == "make":
            make(site, chosen.names)
        elif chosen.verb == "home":
            home(site)
        elif chosen.verb == "funds":
            funds(site, chosen.wallet)
        elif chosen.verb == "exchange":
            exchange(site, chosen.wallet)
        else:
            pay(site, chosen.wallet, chosen.signers)
    except (RefusedError, MultisigError, *FAILED) as problem:
        words = " ".join(str(problem).split())[:300] or type(problem).__name__
        print(f"escrow {chosen.verb} failed: {words}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
