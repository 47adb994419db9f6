# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running ansible-playbook as a person would, and reading what it did."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
RECORDER = Path(__file__).resolve().parent / "recorder"
INVENTORY = PROJECT / "inventories" / "lab"
BIN = PROJECT / ".venv" / "bin"

# Longer than any honest run: a hang is a failure with output, not a stuck test.
LONGEST_RUN = 600

# Actions that never leave the controller, whatever host they are counted for.
ON_CONTROLLER = frozenset(
    {
        "add_host",
        "assert",
        "debug",
        "fail",
        "group_by",
        "import_playbook",
        "import_role",
        "import_tasks",
        "include_role",
        "include_tasks",
        "include_vars",
        "meta",
        "set_fact",
        "set_stats",
        "validate_argument_spec",
    }
)


@dataclass(frozen=True)
class Run:
    """One finished (or killed) run."""

    status: int
    output: str
    seconds: float
    began: float
    events: tuple[dict[str, Any], ...]

    @property
    def ended(self) -> dict[str, Any]:
        """The last line of the record: recap and custom statistics. Empty when the run was killed."""
        return next((event for event in self.events if event["kind"] == "end"), {})

    @property
    def changed(self) -> int:
        """Tasks that reported a change, over all hosts."""
        return sum(counts["changed"] for counts in self.ended["recap"].values())

    @property
    def result(self) -> dict[str, Any]:
        """What the run handed to machines by set_stats: incident_result of the one host."""
        found = self.results
        assert len(found) == 1, f"expected one incident_result, the run set {len(found)}:\n{self.output}"
        return found[0]

    @property
    def results(self) -> list[dict[str, Any]]:
        """The same of every host."""
        return list(_results(self.ended.get("custom", {})))

    @property
    def proposal(self) -> dict[str, Any]:
        """What triage.yml handed to machines for the one host."""
        found = [one for statistics in self.ended["custom"].values() for one in statistics.get("triage_result", {}).values()]
        assert len(found) == 1, f"expected one triage_result, the run set {len(found)}:\n{self.output}"
        return dict(found[0])

    @property
    def remote(self) -> list[dict[str, Any]]:
        """Results of tasks that really went to a host."""
        return [
            event
            for event in self.events
            if event["kind"] in ("ok", "failed", "unreachable")
            and event["action"].rpartition(".")[2] not in ON_CONTROLLER
            and event["delegated"] not in ("localhost", "127.0.0.1")
        ]

    def seconds_of(self, module: str) -> float:
        """How long the tasks of one module took, from their beginning to the host's result."""
        seconds, began = 0.0, self.began
        for event in self.events:
            if event["kind"] == "begin":
                began = event["at"]
            elif event["kind"] in ("ok", "failed") and event["action"].endswith(f".{module}"):
                seconds += event["at"] - began
        return seconds

    @property
    def retries(self) -> int:
        """Further calls of the same task while something was waited for."""
        return sum(event["kind"] == "retry" for event in self.events)


def _results(custom: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for statistics in custom.values():
        result = statistics.get("incident_result")
        if result is None:
            continue
        if "outcome" in result:
            yield result
        else:
            yield from (value for value in result.values() if "outcome" in value)


class Controller:
    """A place to run ansible-playbook from: its own ANSIBLE_HOME and a clean environment."""

    def __init__(self, lab: str, artifacts: Path) -> None:
        self.lab = lab
        self.artifacts = artifacts
        artifacts.mkdir(parents=True, exist_ok=True)
        # Short, because SSH keeps its control socket below it.
        self.home = Path(tempfile.mkdtemp(prefix="drill-"))
        self._runs = 0

    def close(self) -> None:
        """Remove what the runs left on this machine."""
        shutil.rmtree(self.home, ignore_errors=True)

    def environment(self, record: Path, callback: str) -> dict[str, str]:
        """Nothing of the caller's Ansible settings; the lab's own variables are kept."""
        kept = ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "MARKETPLACE_LAB_HOME", "DOCKER_HOST")
        env = {name: os.environ[name] for name in kept if name in os.environ}
        return env | {
            "PATH": f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "LAB": self.lab,
            "ANSIBLE_HOME": str(self.home),
            "ANSIBLE_STDOUT_CALLBACK": callback,
            "ANSIBLE_CALLBACK_PLUGINS": str(RECORDER),
            "ANSIBLE_CALLBACKS_ENABLED": "run_recorder",
            "ANSIBLE_ALLOW_EMBEDDED_TEMPLATES": "false",
            "ANSIBLE_INJECT_FACT_VARS": "false",
            "DRILL_RECORD": str(record),
        }

    def start(
        self,
        playbook: str,
        *arguments: str,
        callback: str = "default",
        inventory: Path = INVENTORY,
        environment: Mapping[str, str] | None = None,
    ) -> RunningPlaybook:
        """Start a playbook in a process group of its own."""
        self._runs += 1
        name = f"{self._runs:02d}-{playbook}"
        record = self.artifacts / f"{name}.jsonl"
        argv = [str(BIN / "ansible-playbook"), "-i", str(inventory), f"playbooks/{playbook}.yml", *arguments]
        return RunningPlaybook(
            argv,
            self.environment(record, callback) | dict(environment or {}),
            self.artifacts / f"{name}.txt",
            record,
        )

    def run(self, playbook: str, *arguments: str, **options: Any) -> Run:
        """Run a playbook to its end."""
        return self.start(playbook, *arguments, **options).finish()


class RunningPlaybook:
    """An ansible-playbook that runs now."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], output: Path, record: Path) -> None:
        self._output, self._record = output, record
        self.began = time.time()
        self._started = time.monotonic()
        record.unlink(missing_ok=True)
        # A file, not a pipe: a survivor of a killed run must not keep the reader waiting.
        with output.open("wb") as stream:
            self._process = subprocess.Popen(
                argv,
                cwd=PROJECT,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def finish(self) -> Run:
        """Wait for the end."""
        try:
            self._process.wait(timeout=LONGEST_RUN)
        except subprocess.TimeoutExpired:
            self.kill(tree=True)
            raise AssertionError(
                f"ansible-playbook did not end within {LONGEST_RUN:.0f} s:\n{self._output.read_text()}"
            ) from None
        return self._collect()

    def kill(self, tree: bool) -> Run:
        """SIGKILL to its process group, or to every process below it as a dead machine would have it.

        Ansible's workers leave the group for sessions of their own, so they outlive the first kind.
        """
        doomed = _descendants(self._process.pid) if tree else []
        os.killpg(self._process.pid, signal.SIGKILL)
        for pid in doomed:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()
        return self._collect()

    def freeze(self) -> None:
        """SIGSTOP to every process of it, as a laptop's lid does."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on as if no time had passed."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in [self._process.pid, *_descendants(self._process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _collect(self) -> Run:
        lines = self._record.read_text(encoding="utf-8").splitlines() if self._record.exists() else []
        return Run(
            status=self._process.returncode,
            output=self._output.read_text(encoding="utf-8", errors="replace"),
            seconds=time.monotonic() - self._started,
            began=self.began,
            events=tuple(json.loads(line) for line in lines if line.endswith("}")),
        )


def _descendants(root: int) -> list[int]:
    """Every process below root, in whatever session it is."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent = int(text.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(stat.parent.name))
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found
