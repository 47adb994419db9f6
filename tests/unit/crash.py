# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a step of a module at each of its effects in turn, run it again, and ask whether all is well.

    def test_killed_at_any_effect(tmp_path):
        def prepare(folder): ...            # the state before
        def act(folder): return place(...)  # what the module does
        def converged(folder, result): ...  # asserts, after act() has run once more
        assert killed_at_each_effect(tmp_path, prepare, act, converged) > 5

An effect is a call that changes a file system, and whatever `also` names: [(module, "function"), ...], for example the
function that runs docker. The child process ends as by SIGKILL: nothing is cleaned up, and a write may be half done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

KILLED = 9
EFFECTS = (
    "chmod", "fchmod", "fsync", "ftruncate", "link", "mkdir", "rename", "replace", "rmdir", "symlink", "truncate", "unlink", "write",
)  # fmt: skip
# A child that ends by itself has this many more effects than it was allowed; more would be an endless loop.
MOST = 500

Also = Iterable[tuple[Any, str]]


def _deadly(allowed: int, also: Also) -> None:
    """From now on, in this process, the effect after so many others is the last thing that is begun."""
    count = 0

    def guarded(real: Callable[..., Any], tears: bool) -> Callable[..., Any]:
        def effect(*given: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count > allowed:
                if tears and len(given[1]) > 1:
                    real(given[0], given[1][: len(given[1]) // 2])
                os._exit(KILLED)
            return real(*given, **named)

        return effect

    for name in EFFECTS:
        setattr(os, name, guarded(getattr(os, name), tears=name == "write"))
    for module, name in also:
        setattr(module, name, guarded(getattr(module, name), tears=False))


def killed_after(allowed: int, act: Callable[[], Any], also: Also = ()) -> bool:
    """Run act in a child that dies at the effect after so many; False when it came to its end before."""
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            _deadly(allowed, also)
            act()
            ended = 0
        finally:
            os._exit(ended)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (0, KILLED), f"the step failed by itself, with {allowed} effects allowed"
    return ended == KILLED


def killed_at_each_effect(
    folder: Path,
    prepare: Callable[[Path], Any],
    act: Callable[[Path], Any],
    converged: Callable[[Path, Any], None],
    also: Also = (),
) -> int:
    """Kill act at its first effect, its second, and so on, each time in a fresh folder; how many there were."""
    for allowed in range(MOST):
        fresh = folder / f"{allowed:03d}"
        fresh.mkdir()
        prepare(fresh)
        killed = killed_after(allowed, partial(act, fresh), also)
        try:
            converged(fresh, act(fresh))
        except BaseException as problem:
            problem.add_note(f"after a kill at effect {allowed + 1}" if killed else "without any kill")
            raise
        if not killed:
            return allowed
    raise AssertionError(f"more than {MOST} effects: does it end?")
