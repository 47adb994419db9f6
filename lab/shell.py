# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands, and saying which one failed and why."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from lab.errors import LabError


def run(
    argv: Sequence[str | Path],
    *,
    check: bool = True,
    timeout: float | None = 600,
    stdin: str | IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command; its output as text. With check, a failure is a LabError that names the command."""
    words = [str(word) for word in argv]
    text = stdin if isinstance(stdin, str) else None
    file = subprocess.DEVNULL if stdin is None else None if isinstance(stdin, str) else stdin
    try:
        result = subprocess.run(
            words,
            input=text,
            stdin=file if text is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=env,
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError as missing:
        raise LabError(f"The command {words[0]} is not on this machine: run script/bootstrap.") from missing
    except subprocess.TimeoutExpired as late:
        raise LabError(f"`{shown(words)}` did not end within {timeout:.0f} s.") from late
    if check and result.returncode != 0:
        raise LabError(f"`{shown(words)}` failed ({result.returncode}): {reason(result)}")
    return result


def shown(words: Sequence[str]) -> str:
    """A command short enough for a sentence."""
    line = " ".join(words)
    return line if len(line) <= 160 else line[:157] + "..."


def reason(result: subprocess.CompletedProcess[str]) -> str:
    """The last lines a failed command said."""
    said = (result.stderr.strip() or result.stdout.strip() or "it said nothing").splitlines()
    text = " / ".join(line.strip() for line in said[-4:])
    if "no space left" in text.lower():
        text += " (the disk is full: free some space, or set MARKETPLACE_LAB_HOME to a folder on a larger disk)"
    return text


def wait_until(condition: Callable[[], bool], seconds: float, every: float = 0.1) -> bool:
    """Ask until the condition holds; False when it did not within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every)
    return True
