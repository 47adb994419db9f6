# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restored backup lacks, told by the writer's ledger and by the backup itself, against the list that the restore wrote."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from drills.ledger import ORDERS, Ledger, Row, expected
from lab.faults import backups, database
from lab.instance import Lab

# Orders that the writer alone changes: its own, and those of the seed.
WRITERS = ("W-", "S-")

# Opens the archive by gpg and gunzip, asks it, and leaves nothing. $0 the archive, the passphrase on standard input, $1 the question.
ASK = r"""
set -o pipefail
umask 077
image=$(mktemp /var/tmp/image.XXXXXX)
trap 'rm -f "$image"*' EXIT
gpg --batch --quiet --pinentry-mode loopback --passphrase-fd 3 --decrypt "$0" 3<&0 | gunzip > "$image"
python3 -c "${1//"$2"/"$image"}"
"""
ESCROWS = r"""
import json, sqlite3
database = sqlite3.connect("file:/data/marketplace.db?mode=ro", uri=True)
print(json.dumps(dict(database.execute("SELECT id, state FROM escrows WHERE wallet_name IS NOT NULL"))))
"""


def of_archive(lab: Lab, archive: str, question: str) -> dict[str, Any]:
    """What a program that asks the database gets from the image in an archive."""
    command = ["bash", "-e", "-c", ASK, archive, question, database.PATH]
    return dict(json.loads(lab.run(command, stdin=backups.passphrase() + "\n", check=True).stdout))


def orders_of(lab: Lab, archive: str) -> dict[str, Row]:
    return {reference: (row[0], row[1], row[2], row[3]) for reference, row in of_archive(lab, archive, ORDERS).items()}


def true_losses(ledger: Ledger, image: dict[str, Row]) -> dict[str, set[str]]:
    """For each order of the writer's what became of it since the image; two answers where a kill left it in doubt."""
    found = {}
    for reference, states in expected(ledger.entries()).items():
        kinds = {_kind(image.get(reference), state) for state in states}
        if kinds != {""}:
            found[reference] = kinds
    return found


def _kind(restored: Row, lost: Row) -> str:
    if restored == lost:
        return ""
    if restored is None:
        return "new"
    return "deleted" if lost is None else "changed"


def told_losses(desk: Path) -> list[dict[str, Any]]:
    """The loss list that was brought to the desk, encrypted as the backups are; it is named by the backup."""
    assert not list(desk.rglob("marketplace-db-*.jsonl")), "rows lie on the desk in clear"
    lists = sorted(desk.rglob("marketplace-db-*.jsonl.gpg"), key=lambda path: path.stat().st_mtime)
    assert lists, f"there is no loss list on the desk: {[str(path) for path in desk.rglob('*')]}"
    command = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--decrypt", str(lists[-1])]
    plain = subprocess.run(command, input=backups.passphrase().encode() + b"\n", capture_output=True, check=True).stdout
    return [json.loads(line) for line in plain.decode().splitlines()]


def orders_told(told: list[dict[str, Any]]) -> dict[str, str]:
    """What became of each order."""
    return {
        str((one["before"] or one["after"] or {}).get("reference")): str(one["change"])
        for one in told
        if one["table"] == "orders"
    }


def assert_exact(told: list[dict[str, Any]], truth: dict[str, set[str]], readable: bool = True) -> None:
    """Not one order more than the ledger has, and where everything could be read not one less; a row may be called unknown."""
    # What a customer placed is in the writer's ledger only when the writer moved it on.
    said = {
        reference: change for reference, change in orders_told(told).items() if reference in truth or reference[:2] in WRITERS
    }
    wrong = [
        f"{reference}: the list says {said.get(reference, 'nothing')}, the ledger {sorted(truth.get(reference, {'nothing'}))}"
        for reference in sorted(said.keys() | (truth.keys() if readable else set()))
        if said.get(reference) != "unknown" and said.get(reference, "") not in truth.get(reference, {""})
    ]
    assert not wrong, f"{len(wrong)} of {len(truth)} losses are told wrongly:\n" + "\n".join(wrong[:20])
