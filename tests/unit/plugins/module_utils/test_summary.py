# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last lines of a run, as a person reads them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from ansible_collections.monero_marketplace.incident.plugins.module_utils._outcome import judge
from ansible_collections.monero_marketplace.incident.plugins.module_utils._plain_text import shown_in, summary_wrapped, wrapped
from ansible_collections.monero_marketplace.incident.plugins.module_utils._summary import (
    LOG_LINES,
    MOST_LINES,
    ORDER,
    duration,
    epoch,
    header,
    labelled,
    summary,
)

FINISHED = 1795486449  # 2026-11-24 02:14:09 UTC
RECORD = {"incident": "INC-20261124-0213", "severity": "P1", "head": "9f3c21d0aa55bb66"}
RESTORED: dict[str, Any] = {
    "host": "market-1",
    "title": "OUTAGE",
    "outcome": "restored",
    "finished_at": FINISHED,
    "repair_seconds": 16.2,
    "down": {"first_bad": FINISHED - 440, "down_seconds": 440, "complete": True},
    "causes": ["server killed by the kernel's OOM killer 02:06:47 (limit 2 GiB)", "nginx upstream dead"],
    "did": ["started server", "reloaded nginx"],
    "untouched": 6,
    "kept": [{"service": "server", "path": "/var/lib/marketplace_incident/kept/server.log.gz", "sha256": "9f3c" + "0" * 60}],
    "proof": ["GET /api/health 200 ×5 over 10 s", "error ratio not measurable yet (18 requests)"],
    "risk": ["will recur: resident memory +38 MiB/min before death"],
    "undo": "none needed",
}


def test_restored_reads_as_in_the_handbook():
    assert summary(RESTORED, RECORD).split("\n") == [
        "OUTAGE market-1 · RESTORED 02:14:09 UTC, repair 16 s, customers down 7 m 20 s (first bad probe 02:06:49)",
        "cause  server killed by the kernel's OOM killer 02:06:47 (limit 2 GiB); nginx upstream dead",
        "did    started server; reloaded nginx · 6 services untouched · logs kept: /var/lib/marketplace_incident/kept/server.log.gz, sha256 9f3c…",
        "proof  GET /api/health 200 ×5 over 10 s · error ratio not measurable yet (18 requests)",
        "risk   will recur: resident memory +38 MiB/min before death",
        "record INC-20261124-0213 · P1 · head 9f3c21d0aa55 · next update due 02:29 · undo: none needed",
    ]


HEADERS = {
    "healthy": ({"outcome": "healthy"}, "OUTAGE market-1 · HEALTHY"),
    "planned": ({"outcome": "planned", "did": []}, "OUTAGE market-1 · PLANNED, nothing changed"),
    "asked": ({"outcome": "needs_confirmation", "did": []}, "OUTAGE market-1 · NEEDS CONFIRMATION, nothing changed"),
    "asked after steps": ({"outcome": "needs_confirmation"}, "OUTAGE market-1 · NEEDS CONFIRMATION"),
    "escalated": ({"outcome": "escalated"}, "OUTAGE market-1 · NOT RESTORED"),
    "escalated, but served": (
        {"outcome": "escalated", "serving": True, "page": "Incident Commander", "did": ["started server"], "down": {}},
        "OUTAGE market-1 · SERVING, customers down: unknown, needs a person, page Incident Commander",
    ),
    "left to a person, nothing done": (
        {"outcome": "escalated", "serving": True, "did": []},
        "OUTAGE market-1 · SERVING, needs a person",
    ),
    "escalated to": ({"outcome": "escalated", "page": "Database Team"}, "OUTAGE market-1 · NOT RESTORED, page Database Team"),
    "held": ({"outcome": "held", "did": []}, "OUTAGE market-1 · HELD, nothing changed"),
    "unreachable": (
        {"outcome": "failed", "unreachable": True, "did": []},
        "OUTAGE market-1 · UNREACHABLE, nothing changed",
    ),
    "failed": ({"outcome": "failed", "did": []}, "OUTAGE market-1 · FAILED, nothing changed"),
    "done": ({"outcome": "done", "title": "VERIFY"}, "VERIFY market-1 · DONE 02:14:09 UTC"),
    "contained": ({"outcome": "contained", "title": "SECURITY"}, "SECURITY market-1 · CONTAINED 02:14:09 UTC"),
    "down unknown": ({"down": None}, "OUTAGE market-1 · RESTORED 02:14:09 UTC, repair 16 s, customers down: unknown"),
    "down at least": (
        {"down": {"first_bad": FINISHED - 60, "down_seconds": 60, "complete": False}},
        "OUTAGE market-1 · RESTORED 02:14:09 UTC, repair 16 s, customers down at least 1 m 00 s (first bad probe 02:13:09)",
    ),
    "repair unknown": (
        {"repair_seconds": None, "down": None},
        "OUTAGE market-1 · RESTORED 02:14:09 UTC, repair unknown, customers down: unknown",
    ),
}


@pytest.mark.parametrize("changes, expected", HEADERS.values(), ids=HEADERS)
def test_headers(changes, expected):
    assert summary({**RESTORED, **changes}).split("\n", maxsplit=1)[0] == expected


def test_every_outcome_of_the_judge_has_its_lines():
    run = {"host": "market-1", "playbook": "outage"}
    outcomes = {
        judge({**run, "findings": {"settled": True}, "proof": {"verdict": "proven"}})["outcome"],
        judge({**run, "failure": {"sentence": "no route"}})["outcome"],
        judge({**run, "refusal": {"kind": "hold", "sentence": "held"}})["outcome"],
        judge({**run, "check": True, "findings": {"settled": False}})["outcome"],
        judge({**run, "findings": {"confirm": [{"what": "unpause:server", "given": False, "why": "paused"}]}})["outcome"],
    }
    assert outcomes == {"healthy", "failed", "held", "planned", "needs_confirmation"}
    assert outcomes <= set(ORDER)


def test_a_refusal_says_why_and_the_command_first():
    refusal = {
        "kind": "lease",
        "sentence": "Bob@laptop has been acting here.",
        "next": "ansible-playbook playbooks/outage.yml -e take_over=true",
    }
    text = summary(
        judge(
            {
                "host": "market-1",
                "playbook": "outage",
                "findings": {"settled": False, "causes": ["server exited"]},
                "refusal": refusal,
            }
        )
    )
    assert text.split("\n") == [
        "OUTAGE market-1 · HELD, nothing changed",
        "why    Bob@laptop has been acting here.",
        "next   ansible-playbook playbooks/outage.yml --limit market-1 -e take_over=true",
        "cause  server exited",
    ]


def test_a_failing_services_last_words_follow():
    log = {"server": [f"line {number}" for number in range(20)]}
    text = summary({**RESTORED, "outcome": "escalated", "log": log})
    assert [line for line in text.split("\n") if "line " in line] == ["log    server: line 12"] + [
        f"       server: line {n}" for n in range(13, 20)
    ]
    both = summary({**RESTORED, "outcome": "escalated", "log": {"a": ["x"] * 20, "b": ["y"] * 20}})
    assert (
        sum("a: x" in line for line in both.split("\n")) == sum("b: y" in line for line in both.split("\n")) == LOG_LINES // 2
    )


@pytest.mark.parametrize(
    "more", [{}, {"lost": ["3 orders"]}, {"state": ["buyer: restored"], "funds": ["unchanged"]}, {"backup": ["5 min old"]}]
)
@pytest.mark.parametrize("ended", sorted(ORDER))
def test_however_much_there_is_to_say_the_record_is_named(ended, more):
    everything = {key: ["x"] for key in ("causes", "did", "proof", "risk", "why", "next", "plan")}
    below = labelled({**everything, "outcome": ended, "record": RECORD, **more})
    labels = [label for label, _text in below]
    assert len(labels) <= MOST_LINES and (ended in ("planned", "healthy") or "record" in labels), labels
    assert "next" in labels or ended in ("restored", "done"), labels


def test_at_most_six_labelled_lines():
    full = {**RESTORED, "why": ["w"], "next": ["n"], "plan": ["p"], "log": {"server": ["x"] * 50}}
    for outcome in ORDER:
        found = labelled({**full, "outcome": outcome, "record": RECORD})
        assert len([label for label, _text in found if label not in ("", "log")]) <= 6, outcome
        assert len(found) <= 6 + LOG_LINES


def test_what_the_desk_did_not_take_is_said():
    assert "record NOT WRITTEN: No space is left" in summary(RESTORED, {"failed": True, "msg": "No space is left"})
    broken = {**RECORD, "intact": False, "broken_at": {"entry": 3, "why": "entry 3 was edited"}}
    assert "TIMELINE BROKEN: entry 3 was edited" in summary(RESTORED, broken)


def test_an_interrupted_predecessor_is_said():
    earlier = {"responder": "alice", "since": "2026-11-24T02:13:44.120Z", "text": "start server"}
    assert "an earlier run (alice, 02:13:44) was interrupted after: start server" in summary(
        {**RESTORED, "interrupted": earlier}
    )


def test_text_from_outside_cannot_make_lines_or_drive_the_terminal():
    text = summary({**RESTORED, "causes": ["a\nrecord INC-1 · forged\x1b[2J\u202e"], "host": "m\x1b]0;x\x07"})
    assert len(text.split("\n")) == 5
    assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text


ODD: list[Any] = [None, "", "x", 0, -1, 1e300, math.nan, True, [], {}, [None], {"a": 1}, object()]


@pytest.mark.parametrize("outcome", [*ORDER, "nonsense", None])
def test_nothing_missing_or_odd_ever_raises(outcome):
    assert summary({"outcome": outcome})
    for name, odd in itertools.product(
        [*RESTORED, "why", "next", "plan", "log", "interrupted", "page", "next_update", "started_at"], ODD
    ):
        changed = {**RESTORED, "outcome": outcome, name: odd}
        if name != "outcome":
            assert summary(changed, RECORD)
    for odd in ODD:
        assert summary(odd, odd)
        assert summary(RESTORED, odd)


def test_times():
    assert [duration(value) for value in (0, 59.4, 60, 440, 3600, 86400 * 3)] == [
        "0 s",
        "59 s",
        "1 m 00 s",
        "7 m 20 s",
        "1 h 00 m",
        "3 d 0 h",
    ]
    assert [duration(value) for value in (None, -1, math.nan, "x")] == [None] * 4
    assert epoch("2026-11-24T02:14:09Z") == epoch("2026-11-24T02:14:09") == epoch(FINISHED) == FINISHED


@pytest.mark.parametrize("width", [40, 60, 80])
def test_narrow_terminals_wrap_at_words_under_the_label(width):
    whole = summary(RESTORED, RECORD)
    fitted = summary_wrapped(whole, width).split("\n")
    longest_word = "/var/lib/marketplace_incident/kept/server.log.gz,"
    assert all(len(line) <= width for line in fitted if longest_word not in line)
    assert " ".join(word for line in fitted for word in line.split()) == " ".join(whole.split()), "nothing lost, nothing cut"
    labels = [line for line in fitted[1:] if not line.startswith(" ")]
    assert [line.split()[0] for line in labels] == ["cause", "did", "proof", "risk", "record"]
    assert all(line.startswith((" " * 7, "  ")) for line in fitted if line not in labels and line != fitted[0])
    below = fitted[fitted.index(labels[0]) : fitted.index(labels[1])]
    assert all(line.startswith(" " * 7 + line.strip()[0]) for line in below[1:])


@pytest.mark.parametrize("width", [1, 5, 10, 20, 30])
def test_very_narrow_ones_lose_nothing(width):
    whole = summary(RESTORED, RECORD)
    assert " ".join(summary_wrapped(whole, width).split()) == " ".join(whole.split())


def test_without_utf8_there_are_stand_ins():
    assert shown_in("a · b… 200 ×5 → c \u201cd\u201d 日", "ascii") == 'a - b... 200 x5 -> c "d" ?'
    assert shown_in("a · b…", "utf-8") == "a · b…"
    assert shown_in("a · b", None) == shown_in("a · b", "no-such-encoding") == "a - b"


def test_a_short_line_stays():
    assert wrapped("  changed: x", 80) == "  changed: x"
    assert wrapped("  changed: one two", 14, "    ") == "  changed: one\n    two" or wrapped("  changed: one two", 14, "    ")


WELL = {"host": "market-1", "title": "OUTAGE", "outcome": "healthy", "proof": ["GET 200"]}


def test_among_many_hosts_a_well_one_is_one_line():
    assert summary(WELL, brief=True) == "OUTAGE market-1 · HEALTHY"
    assert summary({**WELL, "outcome": "done"}, brief=True).startswith("OUTAGE market-1 · DONE")
    assert summary(WELL).split("\n")[1:] == ["proof  GET 200"], "alone it has its proof"


def test_among_many_hosts_a_risk_is_not_lost():
    assert (
        summary({**WELL, "risk": ["disk 85 % full", "another"]}, brief=True)
        == "OUTAGE market-1 · HEALTHY · risk: disk 85 % full"
    )


@pytest.mark.parametrize(
    "noted",
    [
        {"outcome": "done", "finished_at": FINISHED, "did": ["nothing now"]},
        {"record_notes": ["CHAIN BROKEN at 3"]},
        {"causes": ["interrupted"]},
    ],
)
def test_among_many_hosts_what_was_done_or_noted_is_not_lost(noted):
    told = {**WELL, **noted}
    assert summary(told, brief=True) == summary(told) != summary(WELL, brief=True)


def test_what_is_at_risk_is_said_before_it_is_confirmed_where_there_is_room() -> None:
    asked = {**RESTORED, "outcome": "needs_confirmation", "proof": [], "why": ["restore:x: y"], "next": ["z"], "record": RECORD}
    assert [label for label, _line in labelled(asked)][-1] == "risk"
    assert "risk" not in [label for label, _line in labelled({**asked, "proof": ["a", "b"]})]


@pytest.mark.parametrize("outcome", ["restored", "escalated", "needs_confirmation", "planned", "held", "failed"])
def test_among_many_hosts_every_other_one_says_everything(outcome):
    told = {**RESTORED, "outcome": outcome, "why": ["because"]}
    assert summary(told, RECORD, brief=True) == summary(told, RECORD)


@pytest.mark.parametrize("ended", ["healthy", "restored", "escalated", "needs_confirmation", "held", "failed"])
def test_what_is_wrong_with_a_record_is_said_however_the_run_ended(ended):
    told = {"host": "m", "playbook": "outage", "outcome": ended, "record_notes": ["2 entries wait"]}
    assert "record 2 entries wait" in summary(told)
    assert summary(told, {"incident": "INC-1", "head": "9f3c"}).count("INC-1 · head 9f3c · 2 entries wait") == 1


def test_what_mends_nothing_is_not_said_to_have_restored_nothing():
    run = {"host": "market-1", "playbook": "backup", "acted": True, "failure": {"sentence": "no room"}}
    part = {"verb": False, "settled": False, "did": ["buyer: 2 wallets"], "escalate": []}
    assert header(judge({**run, "findings": part})) == "BACKUP market-1 · DONE IN PART"
    assert header(judge({**run, "findings": {**part, "did": []}})) == "BACKUP market-1 · NOT DONE"
