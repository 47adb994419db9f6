# Copyright (c) 2026 Monero Marketplace Operations
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last lines of a run: what a person needs at night, at most six labelled lines, as plain text.

Nothing in here raises because something is missing: what is not known is said as unknown, or not at all.

This module is private to the collection.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any, Iterable, Mapping

from ansible_collections.monero_marketplace.incident.plugins.module_utils._plain_text import LABEL, summary_wrapped

LOG_LINES = 8
LONGEST_ITEM = 400
# How often the handbook wants the status updated while people wait, in seconds.
CADENCE = {"P1": 900}
DOT = " · "

# Which lines an outcome has, the most important first, and of those there are the first six: more is not read at night.
MOST_LINES = 6
ORDER = {
    "healthy": ("proof", "cause", "risk", "record", "next"),
    "restored": ("cause", "did", "proof", "risk", "record", "next"),
    "done": ("cause", "did", "proof", "risk", "record", "next"),
    "contained": ("cause", "did", "proof", "risk", "next", "record"),
    "planned": ("cause", "plan", "why", "proof", "risk", "next"),
    "needs_confirmation": ("cause", "why", "next", "did", "record", "proof", "risk"),
    "escalated": ("cause", "did", "why", "next", "proof", "record", "risk"),
    "held": ("why", "next", "cause", "did", "record", "risk"),
    "failed": ("why", "next", "cause", "did", "record", "risk"),
}

# Where each of several has a state of its own, that line says the causes too; what became of the money comes before what is next.
STATES = {
    "healthy": ("cause", "did", "state", "proof", "risk", "next"),
    "restored": ("cause", "did", "state", "proof", "risk", "record"),
    "planned": ("state", "plan", "why", "funds", "risk", "next"),
    "needs_confirmation": ("state", "why", "next", "did", "funds", "record", "risk"),
    "escalated": ("state", "did", "why", "funds", "next", "record", "risk"),
}

# Of a database the age of its backup is read, too; what else is at risk stands behind it.
BACKUPS = {
    "healthy": ("proof", "backup", "cause", "record", "next"),
    "restored": ("cause", "did", "proof", "backup", "record", "next"),
    "planned": ("cause", "plan", "why", "backup", "proof", "next"),
    "needs_confirmation": ("cause", "why", "next", "did", "record", "backup"),
    "escalated": ("cause", "did", "why", "next", "backup", "record"),
}


# What was lost comes before what is left to do.
LOSSES = {
    "restored": ("cause", "did", "lost", "proof", "risk", "record"),
    "needs_confirmation": ("cause", "lost", "why", "next", "did", "record", "risk"),
    "escalated": ("cause", "lost", "why", "proof", "next", "did", "record", "risk"),
}


def _text(value: Any) -> str:
    """One line of printable text, whatever came."""
    words = "".join(letter if letter.isprintable() else " " for letter in str(value))
    words = " ".join(words.split())
    return words if len(words) <= LONGEST_ITEM else words[: LONGEST_ITEM - 1] + "…"


def _items(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    if isinstance(value, str) or not isinstance(value, Iterable) or isinstance(value, Mapping):
        return [_text(value)]
    return [_text(item) for item in value if item not in (None, "")]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def epoch(value: Any) -> float | None:
    """Seconds since 1970 from a number or an ISO time; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return float(value)
    try:
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()


def clock(value: Any, form: str = "%H:%M:%S") -> str | None:
    seconds = epoch(value)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime(form)
    except (OverflowError, ValueError, OSError):
        return None


def duration(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        return None
    seconds = int(value + 0.5)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} m {seconds:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} m" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def customers_down(down: Any) -> str:
    found = _mapping(down)
    if found.get("first_bad") is None and found.get("complete"):
        return "no bad probe seen"
    seconds = duration(found.get("down_seconds"))
    first = clock(found.get("first_bad"))
    if seconds is None:
        return "customers down: unknown" if first is None else f"customers down since {first}, how long unknown"
    least = "" if found.get("complete", True) else "at least "
    since = "" if first is None else f" (first bad probe {first})"
    return f"customers down {least}{seconds}{since}"


def _escalated(result: Mapping[str, Any]) -> str:
    page = f" · page {_text(result['page'])}" if result.get("frozen") and result.get("page") else ""
    page = page or (f", page {_text(result['page'])}" if result.get("page") else "")
    if result.get("frozen"):
        return f"NOT RESTORED, payouts frozen{page}"
    if result.get("verb"):
        return f"{'DONE IN PART' if _items(result.get('did')) else 'NOT DONE'}{page}"
    if not result.get("serving"):
        return f"NOT RESTORED{page}"
    down = f"{customers_down(result.get('down'))}, " if _items(result.get("did")) else ""
    return f"SERVING, {down}needs a person{page}"


def header(result: Mapping[str, Any]) -> str:
    outcome = result.get("outcome")
    finished = clock(result.get("finished_at")) or "unknown"
    untouched = "" if _items(result.get("did")) else ", nothing changed"
    state = {
        "healthy": "HEALTHY",
        "done": f"DONE {finished} UTC",
        "contained": f"CONTAINED {finished} UTC",
        "planned": "PLANNED, nothing changed",
        "needs_confirmation": f"NEEDS CONFIRMATION{', payouts frozen' if result.get('frozen') else ''}{untouched}",
        "escalated": _escalated(result),
        "held": f"HELD{untouched}",
        "failed": f"{'UNREACHABLE' if result.get('unreachable') else 'FAILED'}{untouched}",
    }.get(str(outcome))
    if outcome in ("needs_confirmation", "escalated") and result.get("headline"):
        state = _text(result["headline"])
    if outcome == "restored":
        repair = duration(result.get("repair_seconds"))
        parts = [f"RESTORED {finished} UTC", f"repair {repair or 'unknown'}", customers_down(result.get("down"))]
        state = ", ".join(parts)
    title = _text(result.get("title") or result.get("playbook") or "incident").upper()
    return f"{title} {_text(result.get('host') or 'unknown host')}{DOT}{state or 'ENDED WITHOUT A RESULT'}"


def _kept(kept: Any) -> str | None:
    """Where the old logs went: the first one's hash stands for all, the record has the rest."""
    if not isinstance(kept, (list, tuple)) or not kept:
        return None
    first = kept[0]
    more = f" and {len(kept) - 1} more" if len(kept) > 1 else ""
    if isinstance(first, Mapping):
        sha256 = _text(first.get("sha256") or "")
        named = f", sha256 {sha256[:4]}…" if sha256 else ""
        what = "logs kept" if str(first.get("path")).endswith(".gz") else "kept"
        return f"{what}: {_text(first.get('path') or 'unknown')}{more}{named}"
    return _text(first) + more


def did_line(result: Mapping[str, Any]) -> list[str]:
    did = _items(result.get("did"))
    parts = ["; ".join(did)] if did else []
    untouched = result.get("untouched")
    if did and isinstance(untouched, int) and not isinstance(untouched, bool):
        parts.append(f"{untouched} service{'' if untouched == 1 else 's'} untouched")
    kept = _kept(result.get("kept"))
    return [*parts, kept] if kept else parts


def _next_update(result: Mapping[str, Any], severity: Any) -> float | None:
    cadence, finished = CADENCE.get(str(severity)), epoch(result.get("finished_at"))
    return None if cadence is None or finished is None else finished + cadence


def record_line(result: Mapping[str, Any]) -> list[str]:
    record = _mapping(result.get("record"))
    # What is wrong with a record, or happened to it, is said whether or not this run wrote to it.
    notes = _items(result.get("record_notes"))
    if record.get("failed"):
        return [f"NOT WRITTEN: {_text(record.get('msg') or 'the desk gave no answer')}", *notes]
    incident = record.get("incident")
    if not incident:
        return notes
    parts = [_text(incident)]
    severity = record.get("severity") or result.get("severity")
    if severity:
        parts.append(_text(severity))
    head = record.get("head")
    if head:
        parts.append(f"head {_text(head)[:12]}")
    if record.get("intact") is False:
        parts.append(f"TIMELINE BROKEN: {_text(_mapping(record.get('broken_at')).get('why') or 'unknown why')}")
        notes = [note for note in notes if f"TIMELINE BROKEN of {_text(incident)} " not in note]
    due = clock(result.get("next_update") or _next_update(result, severity), "%H:%M")
    if due:
        parts.append(f"next update due {due}")
    if result.get("postmortem"):
        parts.append(f"post-mortem {_text(result['postmortem'])}")
    if result.get("undo"):
        parts.append(f"undo: {_text(result['undo'])}")
    return parts + notes


def cause_line(result: Mapping[str, Any]) -> list[str]:
    causes = _items(result.get("causes"))
    parts = ["; ".join(causes)] if causes else []
    earlier = _mapping(result.get("interrupted"))
    if earlier:
        since = clock(earlier.get("since"))
        who = _text(earlier.get("responder") or "unknown")
        parts.append(
            f"an earlier run ({who}, {since or 'time unknown'}) was interrupted after: {_text(earlier.get('text') or 'unknown')}"
        )
    return parts


def log_lines(log: Any) -> list[str]:
    """The last words of what fails, shared out when several do."""
    services = [(name, lines) for name, lines in _mapping(log).items() if isinstance(lines, (list, tuple)) and lines]
    said = []
    for name, lines in services[:LOG_LINES]:
        share = max(1, LOG_LINES // len(services))
        said += [f"{_text(name)}: {_text(line)}" for line in lines[-share:]]
    return said


def labelled(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(label, text) of each line below the header."""
    parts = {
        "cause": cause_line(result),
        "did": did_line(result),
        "record": record_line(result),
        **{
            label: _items(result.get(label))
            for label in ("plan", "proof", "risk", "why", "next", "state", "funds", "backup", "lost")
        },
    }
    outcome = str(result.get("outcome"))
    order = ORDER.get(outcome, ORDER["failed"])
    if parts["state"] and outcome in STATES:
        order = STATES[outcome]
        if "cause" not in order and result.get("interrupted"):
            parts["state"] += cause_line({"interrupted": result["interrupted"]})
    elif parts["lost"] and outcome in LOSSES:
        order = LOSSES[outcome]
    elif parts["backup"] and outcome in BACKUPS:
        order = BACKUPS[outcome]
        parts["backup"] = parts["backup"] + parts["risk"]
    joiner = {"plan": "; ", "why": "; ", "next": "  or  "}
    lines = [(label, joiner.get(label, DOT).join(parts[label])) for label in order if parts[label]]
    # Where the post-mortem begins, and what could not be written there, is never what there is no room for.
    behind = [one for one in lines[MOST_LINES:] if one[0] == "record"]
    found = lines[: MOST_LINES - len(behind)] + behind
    return found + [("log" if not number else "", line) for number, line in enumerate(log_lines(result.get("log")))]


def summary(result: Any, record: Any = None, width: int | None = None, brief: bool = False) -> str:
    """The whole summary of one host; brief, where others need the room: of a host that is well the header and its risk."""
    now = time.time()
    told = dict(_mapping(result))
    told["record"] = record if record else told.get("record")
    if told.get("finished_at") is None:
        told["finished_at"] = now
    started, finished = epoch(told.get("started_at")), epoch(told["finished_at"])
    if told.get("repair_seconds") is None and started is not None and finished is not None:
        told["repair_seconds"] = finished - started
    below = labelled(told)
    # Whatever was done or noted beside the proof has to be read.
    quiet = {label for label, text in below if label != "backup" or "BREACHED" in text} <= {"proof", "risk"}
    if brief and told.get("outcome") in ("healthy", "done") and quiet:
        return DOT.join([header(told), *(f"risk: {one}" for one in _items(told.get("risk"))[:1])])
    lines = [header(told)] + [label.ljust(LABEL) + text for label, text in below]
    return summary_wrapped("\n".join(line.rstrip() for line in lines), width)
