# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What customers were promised, from the writer's ledger on another file system, against the database."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from lab.instance import Lab

# Fewer changes than these during a drill would prove nothing.
LEAST = {"insert": 20, "update": 5, "delete": 5}
GAIN_SECONDS = 60.0

Row = tuple[str, int, int, int] | None

# Runs on the host: every order in one consistent read, without touching the file.
ORDERS = r"""
import json, sqlite3
database = sqlite3.connect("file:/data/marketplace.db?mode=ro", uri=True, timeout=10)
print(json.dumps({reference: row for reference, *row in database.execute(
    "SELECT reference, status, revision, total_piconero,"
    " (SELECT count(*) FROM order_items WHERE order_id = orders.id) FROM orders")}))
"""


class Ledger:
    """The ledger of one lab, counted from now."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._path = lab.ledger / "ledger.jsonl"
        self._at_start = committed(self.entries())

    def assert_nothing_lost(self) -> None:
        """Enough was written while the drill ran, and every committed change is in the database."""
        self.wait_for_gain()
        before = self.entries()
        orders = self._orders()
        later = {change["key"] for entry in self.entries()[len(before) :] for change in entry.get("changes", ())}
        wrong = [
            f"{key}: the ledger says {sorted(map(str, states))}, the database {orders.get(key)}"
            for key, states in expected(before).items()
            if key not in later and orders.get(key) not in states
        ]
        assert not wrong, f"{len(wrong)} committed changes are not in the database:\n" + "\n".join(wrong[:20])

    def wait_for_gain(self) -> None:
        """Until enough was written since the drill began."""
        deadline = time.monotonic() + GAIN_SECONDS
        while True:
            gained = committed(self.entries()) - self._at_start
            if all(gained[operation] >= least for operation, least in LEAST.items()):
                return
            assert time.monotonic() < deadline, f"too little was written during the drill: {dict(gained)} of {LEAST}"
            time.sleep(0.5)

    def entries(self) -> list[dict[str, Any]]:
        """Every whole line; a kill may have torn one."""
        return list(_parsed(self._path.read_bytes().split(b"\n")[:-1]))

    def _orders(self) -> dict[str, Row]:
        answer = self._lab.run(["python3", "-c", ORDERS], check=True)
        return {reference: (row[0], row[1], row[2], row[3]) for reference, row in json.loads(answer.stdout).items()}


def _parsed(lines: Iterable[bytes]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue


def committed(entries: list[dict[str, Any]]) -> Counter[str]:
    """How many changes of each kind were promised."""
    done = {entry["id"] for entry in entries if entry["phase"] == "committed"}
    return Counter(
        change["operation"]
        for entry in entries
        if entry["phase"] == "intent" and entry["id"] in done
        for change in entry["changes"]
    )


def expected(entries: list[dict[str, Any]]) -> dict[str, set[Row]]:
    """For each order the states it may be in: one, or two where a kill left the last change in doubt."""
    phases = {entry["id"]: entry["phase"] for entry in entries}
    states: dict[str, set[Row]] = {}
    for entry in entries:
        if entry["phase"] != "intent" or phases[entry["id"]] == "rolled_back":
            continue
        for change in entry["changes"]:
            row = change["row"] and (
                change["row"]["status"],
                change["row"]["revision"],
                change["row"]["total_piconero"],
                change["row"]["items"],
            )
            if phases[entry["id"]] == "committed":
                states[change["key"]] = {row}
            elif change["key"] in states:
                states[change["key"]].add(row)
    return states
