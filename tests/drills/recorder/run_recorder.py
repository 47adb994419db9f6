# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what a run did as JSON lines, for the drills and the bench. Presentation is left to the stdout callback."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: run_recorder
type: aggregate
short_description: Record each task result and the final statistics as JSON lines
version_added: 0.1.0
description: Used by the drills and the bench; no part of the collection.
options:
  path:
    description: The file to append to.
    type: str
    required: true
    env:
      - name: DRILL_RECORD
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """One line for each task result, loop item and retry; one for the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "run_recorder"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, **line: Any) -> None:
        line["at"] = time.time()
        with Path(self.get_option("path")).open("a", encoding="utf-8") as record:
            record.write(json.dumps(line, default=str) + "\n")

    def _result(self, kind: str, result: Any) -> None:
        # Each key of the result is optional: a skipped task has hardly any.
        delegated = result.result.get("_ansible_delegated_vars", {}).get("ansible_delegated_host")
        self._write(
            kind=kind,
            host=result.host.get_name(),
            delegated=delegated or result.task.delegate_to,
            task=result.task.get_name(),
            action=result.task.resolved_action or result.task.action,
            looped=result.task.loop is not None,
            changed=bool(result.result.get("changed", False)),
            message=str(result.result.get("msg", "")),
        )

    def v2_runner_on_ok(self, result: Any) -> None:
        self._result("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ARG002
        self._result("failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._result("unreachable", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._result("skipped", result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._result("item", result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._result("item", result)

    def v2_runner_retry(self, result: Any) -> None:
        self._result("retry", result)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002
        self._write(kind="begin", task=task.get_name())

    def v2_playbook_on_stats(self, stats: Any) -> None:
        recap = {host: stats.summarize(host) for host in stats.processed}
        self._write(kind="end", recap=recap, custom=stats.custom)
