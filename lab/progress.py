# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each stage of the work with its time, as it happens."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator


def say(text: str = "") -> None:
    """A line for the person watching."""
    print(text, flush=True)


@contextlib.contextmanager
def stage(name: str) -> Iterator[Callable[[str], None]]:
    """Show a stage while it runs and its seconds when it is done; yields a function that adds a remark."""
    live = sys.stdout.isatty()
    began = time.monotonic()
    remarks: list[str] = []
    if live:
        print(f"  {name} ...", end="", flush=True)
    done = False
    try:
        yield remarks.append
        done = True
    finally:
        seconds = time.monotonic() - began
        remark = f"  {', '.join(remarks)}" if remarks else ""
        verdict = f"{seconds:5.1f} s" if done else " failed"
        clear = "\r\033[K" if live else ""
        print(f"{clear}  {name:<46}{verdict}{remark}", flush=True)
