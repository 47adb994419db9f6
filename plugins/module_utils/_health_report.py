# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection.

"""What role incident is told about a look, a plan and what became of it."""

from __future__ import annotations

from typing import Any

from ansible_collections.monero_marketplace.incident.plugins.module_utils._cause import ABOUT_DATA, OUTAGE_PAGE
from ansible_collections.monero_marketplace.incident.plugins.module_utils._causes import PAGES
from ansible_collections.monero_marketplace.incident.plugins.module_utils._incident_refusals import CLOCK_TOLERANCE


def report(
    first: dict[str, Any],
    last: dict[str, Any],
    changes: dict[str, Any],
    kept: list[dict[str, Any]],
    problems: list[str],
    done: list[str],
    disk: list[dict[str, Any]],
    disk_warning: float,
    given: list[str],
    clock_ahead: float = 0.0,
) -> dict[str, Any]:
    """The findings of a run, in sentences."""
    escalate = [{"sentence": one["sentence"]} for one in last["escalate"]]
    if not last["settled"]:
        escalate += [{"sentence": problem} for problem in problems]
        problems = []
    return {
        "settled": last["settled"],
        "serving": last["serving"],
        "causes": causes_of(first, last),
        "plan": plan_of(first),
        "confirm": last["confirm"],
        "stray_confirmations": stray(given, first["confirm"] + last["confirm"]),
        "escalate": escalate,
        "did": done + changes["did"],
        "untouched": changes["untouched"],
        "kept": kept,
        "risk": problems + first.get("risks", []) + _risks(disk, disk_warning) + clock_risk(clock_ahead),
        "next": list(
            dict.fromkeys(f"read {PAGES.get(one['cause'], OUTAGE_PAGE)}" for one in last["escalate"] if not one.get("frozen"))
        ),
        "frozen": any(one.get("frozen") for one in last["escalate"]),
        "log": {one["service"]: one["log"] for one in last["escalate"] if one.get("log")},
        "page": "Incident Commander" + (", Database Team" if any(one["cause"] in ABOUT_DATA for one in last["causes"]) else ""),
    }


def causes_of(first: dict[str, Any], last: dict[str, Any]) -> list[str]:
    """Roots only: what is down because of something else says nothing new."""
    roots = [one for one in first["causes"] + last["causes"] if not one.get("consequence_of")]
    told: dict[tuple[str, Any], str] = {}
    for one in roots:
        words = one["sentence"]
        if one["evidence"]:
            words += f" ({'; '.join(one['evidence'][:2])})"
        told.setdefault((one["cause"], one["service"]), words)
    return list(told.values())


def stray(given: list[str], asked: list[dict[str, Any]]) -> list[str]:
    """A confirmation that was mistyped, or whose plan is no longer this one."""
    known = {one["what"] for one in asked}
    return [what for what in given if what and what not in known]


def plan_of(first: dict[str, Any]) -> list[str]:
    lines = [f"{step['sentence']}: {step['reason']}" if step["reason"] else step["sentence"] for step in first["steps"]]
    lines += [f"only with confirm={one['what']}: {one['why']}" for one in first["confirm"] if not one["given"]]
    lines += [f"needs a person: {one['sentence']}" for one in first["escalate"]]
    return lines


def clock_risk(ahead: float) -> list[str]:
    if abs(ahead) <= CLOCK_TOLERANCE:
        return []
    order = "ahead of" if ahead > 0 else "behind"
    return [
        f"the host's clock is about {abs(ahead):.0f} s {order} the controller's: while it is, nothing is done automatically"
    ]


def _risks(disk: list[dict[str, Any]], warning: float) -> list[str]:
    found = []
    for one in disk:
        for what, used in (("full", one["used_percent"]), ("out of inodes", one["inodes_used_percent"])):
            if used is not None and used >= warning:
                found.append(f"{one['mount']} is {used:.0f} % {what}")
    return list(dict.fromkeys(found))
