# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One command that passes or fails: run, shown, timed and counted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CACHE = PROJECT / ".cache"
LOGS = CACHE / "test"

# pytest's closing line, with and without its rulers.
CLOSING = re.compile(r"^=* ?(?:\d+ [a-z]+, )*\d+ [a-z]+ in [\d.]+s")
NUMBER = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed)")
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\x1b\][^\x1b\x07]*(?:\x1b\\|\x07)")
SHOWN_ON_FAILURE = 60
SHOWN_AT_THE_END = 15
# What pytest says of a test that failed, and of why.
TELLING = re.compile(r"(?:FAILED|ERROR) |E  ")

_screen = threading.Lock()
_running: set[int] = set()


@dataclass(frozen=True)
class Check:
    """A command. Counted: pytest says how many tests it held; else it counts as one. Telling: what matters on failure."""

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = PROJECT
    counted: bool = False
    shown: bool = False
    telling: str = ""
    seconds: float = 900


@dataclass(frozen=True)
class Result:
    """What became of a check."""

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    failures: tuple[str, ...] = ()


def say(text: str) -> None:
    """One line, whole, even while others write."""
    with _screen:
        print(text, flush=True)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, with our tools first and none of the caller's own Ansible settings."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_") and key != "PYTHONPATH"}
    clean["PATH"] = f"{PROJECT / '.venv' / 'bin'}{os.pathsep}{clean['PATH']}"
    clean["ANSIBLE_HOME"] = str(CACHE / "ansible_home")
    # What ansible-core would only warn about, or will drop soon, fails here already.
    clean["ANSIBLE_ALLOW_EMBEDDED_TEMPLATES"] = "false"
    return {**clean, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1", "PY_COLORS": "0", **extra}


def run(check: Check) -> Result:
    """Run a check to its end or its time limit, and say how it ended."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{re.sub(r'[^a-z0-9]+', '-', check.name.lower()).strip('-')}.log"
    began = time.monotonic()
    if check.shown:
        say(f"{check.name}: begins")
    process = subprocess.Popen(
        [str(word) for word in check.argv],
        cwd=check.cwd, env=environment(check.env), text=True, errors="replace", start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    _running.add(process.pid)
    limit = threading.Timer(check.seconds, end, [process.pid])
    limit.start()
    lines: list[str] = []
    assert process.stdout is not None
    with log.open("w", encoding="utf-8") as file:
        for line in process.stdout:
            clean = COLOUR.sub("", line.rstrip("\n"))
            lines.append(clean)
            file.write(f"{clean}\n")
            file.flush()
            if check.shown:
                say(f"  {check.name} | {clean}")
    status = process.wait()
    limit.cancel()
    _running.discard(process.pid)
    if limit.finished.is_set() and time.monotonic() - began >= check.seconds:
        lines.append(f"ended by script/test: it took longer than {check.seconds:.0f} s")
    result = _result(check, status, lines, time.monotonic() - began)
    _report(check, result, lines, log)
    return result


def end(group: int) -> None:
    """End what a check started, children too."""
    try:
        os.killpg(group, signal.SIGTERM)
    except ProcessLookupError:
        return


def end_all() -> None:
    """End everything still running, because the person at the keyboard said so."""
    for group in list(_running):
        end(group)


def _result(check: Check, status: int, lines: Sequence[str], seconds: float) -> Result:
    passed = failed = skipped = 0
    closing = [line for line in lines if CLOSING.match(line)] if check.counted else []
    if closing:
        for number, word in NUMBER.findall(closing[-1]):
            passed += int(number) if word == "passed" else 0
            failed += int(number) if word in ("failed", "error", "errors") else 0
            skipped += int(number) if word in ("skipped", "xfailed") else 0
        # It may have ended badly after its last test, or without any.
        if status != 0 and failed == 0:
            failed = 1
    else:
        passed, failed = (1, 0) if status == 0 and not check.counted else (0, 1)
    # Again at the very end: of a long run often only the end is kept.
    told = [line for line in lines if TELLING.match(line)] or lines
    return Result(check.name, passed, failed, skipped, seconds, tuple(told[-SHOWN_AT_THE_END:]) if failed else ())


def _report(check: Check, result: Result, lines: Sequence[str], log: Path) -> None:
    counts = f"{result.passed} passed, {result.failed} failed" if check.counted else "ok" if not result.failed else "FAILED"
    skipped = f", {result.skipped} skipped" if result.skipped else ""
    say(f"{check.name:<44}{result.seconds:6.1f} s  {counts}{skipped}")
    if result.failed and not check.shown:
        told = [line for line in lines if re.match(check.telling, line)] or lines
        for line in told[-SHOWN_ON_FAILURE:]:
            say(f"  {check.name} | {line}")
        if len(lines) > SHOWN_ON_FAILURE or told != lines:
            say(f"  {check.name} | (all of it: {log.relative_to(PROJECT)})")


def python() -> str:
    """The Python of the project's own environment, which runs this."""
    return sys.executable
