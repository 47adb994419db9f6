# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that really break the marketplace, one module each, and the one way back from all of them.

A fault has SUMMARY, what a user now sees, and `break_`, which returns when users do see it, judged from outside.
What plain healing would not undo, its `heal_` takes away.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path

from lab.faults import healing
from lab.instance import Lab

__all__ = ["break_lab", "heal", "names", "summary"]

ATTEMPTS = "/var/lib/marketplace_incident/attempts.json"
_HELPERS = {"backups", "chain", "database", "healing", "outside", "pages", "wallets"}


def names() -> list[str]:
    """All faults, as a person types them."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name.replace("_", "-") for name in modules if name not in _HELPERS)


def summary(name: str) -> str:
    """What a user sees once the fault is in."""
    return str(_fault(name).SUMMARY)


def break_lab(lab: Lab, name: str) -> str:
    """Break the lab; the line that says what a user now sees."""
    # Before the break: one that fails half way has to be undone too.
    with _broken(lab).open("a") as file:
        file.write(f"{name}\n")
    # Each fault is a night of its own: the third one within the hour would else be left to a person.
    lab.run(["rm", "-f", ATTEMPTS], check=False)
    _fault(name).break_(lab)
    return summary(name)


def heal(lab: Lab) -> None:
    """Everything healthy again and nothing of a fault left, whichever it was."""
    broken = _broken(lab)
    for name in reversed(broken.read_text().split() if broken.exists() else []):
        undo = getattr(_fault(name), "heal_", None)
        if undo is not None:
            undo(lab)
    healing.heal(lab)
    broken.unlink(missing_ok=True)


def _broken(lab: Lab) -> Path:
    """The faults that were put in since the last healing, one a line."""
    return lab.folder / "broken"


def _fault(name: str):  # type: ignore[no-untyped-def]  # a module, whose attributes a type cannot name
    return import_module(f"{__name__}.{name.replace('-', '_')}")
