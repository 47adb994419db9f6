# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person at a terminal sees: real runs of ansible-playbook on small playbooks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from oncall.run import ESCAPE, OVERWRITTEN, SUMMARY, Run, write

AT_ONCE = 4
QUIET = f"""Complete service outage
Diagnose
  waited N s: nginx: starting?[2J
  changed: A secret
Act
  start server, nginx
  changed: What had stopped
Close

{SUMMARY}
"""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def _run(run: Run) -> Run:
    run.start()
    run.finish()
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Run]:
    """All runs once, side by side: each costs a second of Ansible's own."""
    site = tmp_path_factory.mktemp("site")
    write(site)
    ends = ("items,hide,refuse,undefined,vain,lost,", ("-e", "mode=ends"))
    wanted = [
        Run(site, "piped", hosts="market-1,market-2,", variables={"ONCALL_WAITING_INTERVAL": "60"}),
        Run(
            site, "broken", extra=("-e", "broken=true"), variables={"PYTHONIOENCODING": "ascii", "ONCALL_WAITING_INTERVAL": "0"}
        ),
        Run(site, "terminal", columns=200, variables={"TERM": "xterm"}),
        Run(site, "narrow", columns=40, variables={"TERM": "xterm", "NO_COLOR": "1"}),
        Run(site, "dumb", columns=80, variables={"TERM": "dumb"}),
        Run(site, "verbose", extra=("-v",)),
        Run(site, "default", variables={"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}),
        Run(site, "ends", play="ends.yml", hosts=ends[0], extra=ends[1]),
        Run(site, "refused", play="ends.yml", hosts="refuse,"),
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {run.name: run for run in pool.map(_run, wanted)}


def test_movements_changes_and_the_summary(runs):
    assert (runs["dumb"].status, runs["terminal"].status) == (0, 0)
    assert runs["terminal"].final == QUIET


def test_the_step_at_work_is_shown_in_place(runs):
    said = runs["terminal"].said
    assert re.search(r"\r\x1b\[K  waiting \d+ s: nginx: starting", said)
    assert f"{OVERWRITTEN}  Look at the services ..." in said
    assert said.count("waiting") >= 2


def test_colour_where_the_terminal_has_it(runs):
    assert "\x1b[0;32mOUTAGE market-1" in runs["terminal"].said
    assert [name for name, run in runs.items() if COLOUR.search(run.said)] == ["terminal"]


def test_a_dumb_terminal_gets_whole_lines(runs):
    run = runs["dumb"]
    assert "\x1b" not in run.said and "\r" not in run.said
    assert " ".join(run.final.split()) == " ".join(QUIET.split())


@pytest.mark.parametrize("name, columns", [("narrow", 40), ("dumb", 80)])
def test_narrow_terminals_lose_nothing(runs, name, columns):
    run = runs[name]
    written = [ESCAPE.sub("", part) for part in re.split(r"\n|\r\x1b\[K", run.said)]
    assert max(map(len, written)) <= columns, "also what is overwritten in place"
    assert " ".join(SUMMARY.split()) in " ".join(run.final.split())
    assert "\ncause  server killed" in run.final
    assert re.search(r"\n {7}\S", run.final), "under the label"


def test_a_pipe_gets_whole_lines_for_each_host(runs):
    run = runs["piped"]
    lines = run.final.split("\n")
    assert "\x1b" not in run.said and "\r" not in run.said
    assert {"  changed: market-1: What had stopped", "  changed: market-2: What had stopped"} <= set(lines)
    assert lines.count("Act") == 1
    assert run.said.count(SUMMARY) == 2, "never wrapped; each host has its own"
    assert "waiting" not in run.said, "not within the interval"


def test_a_failure_is_said_once(runs):
    run = runs["broken"]
    assert run.status == 2
    assert run.said.count("/no/such/path") == 1
    places = [
        run.said.index(part)
        for part in ("failed: Break", "\nEscalate\n", "NOT RESTORED", "why    ls: cannot access '/no/such/path'")
    ]
    assert places == sorted(places)
    for unwanted in ("PLAY RECAP", "fatal", "[ERROR]", "hidden failure", "Traceback"):
        assert unwanted not in run.said


def test_without_utf8_there_are_stand_ins(runs):
    assert "OUTAGE market-1 - NOT RESTORED" in runs["broken"].said
    assert runs["broken"].said.isascii()


def test_waiting_is_said_now_and_then_where_nothing_can_be_overwritten(runs):
    assert "waiting N s: nginx: starting?[2J\n" in runs["broken"].final


def test_secrets_stay_hidden(runs):
    assert not [name for name, run in runs.items() if "hunter2" in run.said]


def test_with_v_nothing_is_quiet(runs):
    parts = (
        "PLAY [Complete service outage]",
        "TASK [stub : Start | What had stopped]",
        "PLAY RECAP",
        "hidden failure",
        "OUTAGE market-1",
    )
    assert [part for part in parts if part not in runs["verbose"].said] == []


def test_the_default_callback_loses_nothing_but_the_layout(runs):
    flat = " ".join(runs["default"].said.split())
    assert runs["default"].status == 0
    assert [line for line in SUMMARY.split("\n") if " ".join(line.split()) not in flat] == []


ENDS = {
    "items": "items: ls: cannot access '/no/such/item': No such file or directory (exit status 2)",
    "hide": "hide: It failed, and its words are hidden because they may hold a secret (no_log).",
    "refuse": "refuse: The host is held.",
    "undefined": "'nothing_such' is undefined",
    "vain": "vain: ",
    "lost": "lost (127.0.0.1) is there but takes no ssh (connection refused).",
}


@pytest.mark.parametrize("host", ENDS)
def test_an_end_without_a_summary_is_one_sentence(runs, host):
    assert runs["ends"].said.count(ENDS[host]) == 1 or host == "vain"
    assert ENDS[host] in runs["ends"].said


def test_without_a_summary_there_is_the_recap(runs):
    run = runs["ends"]
    assert (run.status, runs["refused"].status) == (4, 2)
    assert "PLAY RECAP" in run.said and "PLAY RECAP" in runs["refused"].said
    assert "Ends\n\none\ntwo\n" in run.said
    assert not [unwanted for unwanted in ("fatal:", "Traceback", "[ERROR]", "UNREACHABLE!") if unwanted in run.said]


def test_a_play_without_hosts_says_so(runs):
    assert "No host is left for this play." in runs["ends"].said
