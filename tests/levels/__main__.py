# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry point of script/test."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from levels import drills, lint, roles, unit
from levels.check import Check, Result, end_all, run, say
from levels.sanity import NEWEST, OLDEST, sanity

USAGE = """\
script/test                    lint, unit, half of the roles by turns, and the main drill of each playbook
script/test lint               ansible-lint, yamllint, ruff, mypy, shellcheck, ansible-test sanity
script/test unit               logic, rules over the YAML, the three ways to install
script/test roles [NAME]       molecule, one scenario per role
script/test drills [PREFIX]    all drills, or those whose names begin so; --list names them
script/test all                everything on both supported pairs, the drills in rotation: what .ci/run calls"""
# The smallest machine we promise times for. It carries as many labs.
CORES = 2
LABS = threading.Semaphore(CORES)
# More parts than labs: the roles have one of those meanwhile, and whoever is done takes the next part.
PARTS = 3


def side_by_side(checks: Sequence[Check], do: Callable[[Check], Result] = run) -> list[Result]:
    """Checks that share nothing."""
    with ThreadPoolExecutor(CORES) as pool:
        return list(pool.map(do, checks))


def on_roles_lab(chosen: Sequence[str]) -> list[Result]:
    """The scenarios, on a lab made for them and taken down afterwards."""
    with LABS:
        # What an interrupted run left is of another day's files, or broken half-way through something.
        removed = run(drills.lab(roles.LAB, "down"))
        up = run(drills.lab(roles.LAB, "up"))
        try:
            return [one for one in (removed, up) if one.failed] or [run(check) for check in roles.checks(chosen)]
        finally:
            run(drills.lab(roles.LAB, "down"))


def on_drill_labs(parts: int, *options: str) -> list[Result]:
    """The drills, side by side on labs that they make and take down."""
    removed = [run(drills.lab(name, "down")) for name in drills.labs(parts)]
    return [one for one in removed if one.failed] or side_by_side(drills.in_parts(parts, *options), _with_a_lab)


def _with_a_lab(check: Check) -> Result:
    with LABS:
        return run(check)


def everything(drill_set: str, *, both_pairs: bool) -> list[Result]:
    """What needs no lab, beside the roles; then the drills, beside the rest of the roles."""
    quiet = [*unit.checks(), *lint.checks()]
    if both_pairs and OLDEST.exists:
        # Pylint reads the same files in each pair, and takes as long as all the others together.
        quiet += [*unit.oldest_checks(), sanity(OLDEST, "pylint")]
    with ThreadPoolExecutor(1) as pool:
        roles_done = pool.submit(on_roles_lab, roles.names() if both_pairs else roles.of_today())
        results = side_by_side(quiet)
        # Of the few main ones each lab has its part at once.
        results += on_drill_labs(CORES if drill_set == "main" else PARTS, f"--drill-set={drill_set}")
        return results + roles_done.result()


def prepare_oldest() -> list[Result]:
    """The second pair, where it exists here and is not the first."""
    if NEWEST.version == "3.11":
        say("oldest pair: Python 3.11 and its Ansible are the newest here, so nothing runs twice")
        return []
    if not OLDEST.possible():
        say("oldest pair: no Python 3.11 here, so it is left out")
        return []
    return [run(Check("oldest pair", ["script/bootstrap", "--oldest"]))]


def main(arguments: Sequence[str]) -> list[Result]:
    """Run what the words name."""
    match list(arguments):
        case []:
            return everything("main", both_pairs=False)
        case ["all"]:
            return prepare_oldest() + everything("rotation", both_pairs=True)
        case ["lint"]:
            return side_by_side(lint.checks())
        case ["unit"]:
            return side_by_side(unit.checks())
        case ["roles"]:
            return on_roles_lab(roles.names())
        case ["roles", name] if name in roles.names():
            return on_roles_lab([name])
        case ["roles", name]:
            sys.exit(f"script/test: there is no scenario {name!r}; there are {', '.join(roles.names())}.")
        case ["drills", "--list"]:
            sys.exit(drills.show_names())
        case ["drills"]:
            return on_drill_labs(CORES)
        case ["drills", *words]:
            return [run(drills.chosen(words))]
        case ["-h" | "--help"]:
            print(USAGE)
            sys.exit(0)
    sys.exit(f"script/test: {' '.join(arguments)!r} is none of these:\n{USAGE}")


def total(results: Sequence[Result], seconds: float) -> int:
    """The closing lines; the exit status."""
    failed = [result for result in results if result.failed]
    print(f"\n{'level':<44}{'seconds':>8}")
    for result in results:
        print(f"{result.name:<44}{result.seconds:8.1f}  {'FAILED' if result.failed else 'ok'}")
        for line in result.failures:
            print(f"    {line}")
    print(f"{'in all':<44}{seconds:8.1f}\n")
    skipped = sum(result.skipped for result in results)
    counts = f"{sum(result.passed for result in results)} passed, {sum(result.failed for result in results)} failed"
    print(counts + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not results else 0


if __name__ == "__main__":
    began = time.monotonic()
    try:
        done = main(sys.argv[1:])
    except KeyboardInterrupt:
        end_all()
        sys.exit("script/test: interrupted")
    sys.exit(total(done, time.monotonic() - began))
