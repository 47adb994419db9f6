# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""1,000 entries by four writers at once, two for each of two hosts' runs: none is lost, and the chain holds."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

from ansible_collections.monero_marketplace.incident.plugins.module_utils import _incident_desk as desk
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_record import Said, record

WRITERS = 4
EACH = 250


def _writer(desk_dir: str, number: int) -> None:
    for turn in range(EACH):
        record(
            desk_dir,
            Said(host="market-1", playbook="outage", responder=f"controller-{number % 2}", run_id=f"run-{number}", event="note",
                 text=f"{number}-{turn}", open=True),
        )  # fmt: skip


def test_a_thousand_entries_by_four_writers(tmp_path):
    desk_dir = str(tmp_path / "desk")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_writer, args=(desk_dir, number)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    (found,) = desk.look(desk_dir, "market-1", 3600)["incidents"]
    assert (found["entries"], found["intact"], found["torn"]) == (WRITERS * EACH, True, False)
    lines = [json.loads(line) for line in Path(desk_dir, found["id"], "timeline.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, WRITERS * EACH + 1))
    for number in range(WRITERS):
        own = [line["text"] for line in lines if line["run_id"] == f"run-{number}"]
        assert own == [f"{number}-{turn}" for turn in range(EACH)], "each writer's own order"
